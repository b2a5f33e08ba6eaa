import t from 'tap'
import { summarize } from '../../../src/core/alert/summary.js'
import { parseJson, stringifyJson, type JsonObject } from '../../../src/core/platform/json.js'

t.test('a summary drops what is empty or about the match itself, and keeps the rest once', async (t) => {
  const records = [
    `{"ts":"1","message":"m","event":{"id":"1","created":"c","kind":"alert","duration":5,"original":"o","action":["a","b"],"start":1678861273000000001},
      "matano":{"alert":{"rule":{"name":"r"}},"table":"t"},"user":{"name":null,"id":"","roles":[],"extra":{}},"ok":false,"zero":0}`,
    '{"event.action":"b","event":{"action":[["c",["a"]],null]},"ok":false,"port":[443,"443",443.0],"elf":{"sections":[{"name":"x","flags":null}]},"":"empty key"}',
  ].map((text) => parseJson(text) as JsonObject)
  t.equal(
    stringifyJson(summarize(records)),
    '{"":["empty key"],"elf":{"sections":[{"name":"x"}]},"event":{"action":["a","b","c"],"start":[1678861273000000001]},' +
      '"matano":{"table":["t"]},"ok":[false],"port":[443,"443"],"zero":[0]}',
  )
  t.equal(stringifyJson(summarize([])), '{}')
})
