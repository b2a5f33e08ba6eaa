/** LocalStack's name for itself, on which its URLs are whatever it is called by. Its public address is 127.0.0.1. */
import { lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'

export const LOCALSTACK_HOST = 'localhost.localstack.cloud'

const LOOPBACK = { address: '127.0.0.1', family: 4 }

/** A lookup that knows LocalStack's address also where DNS does not. */
export const lookupWithLocalStack: LookupFunction = (host, options, callback) => {
  lookup(host, options, (error, address, family) => {
    if (!error || host !== LOCALSTACK_HOST) callback(error, address, family)
    else if (options.all) callback(null, [LOOPBACK])
    else callback(null, LOOPBACK.address, LOOPBACK.family)
  })
}
