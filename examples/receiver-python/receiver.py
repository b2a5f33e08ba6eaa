"""A receiver of alert-relay's webhooks: verifies requests, processes every event once, and answers before it processes.

    WEBHOOK_SECRET=whsec_... PORT=9000 python3 receiver.py
"""
import base64
import hmac
import json
import os
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE_S = 5 * 60
MAX_BODY_BYTES = 10 * 1024 * 1024

# Ids of the events received. In memory for brevity: a table with a unique column survives a restart, and can be pruned.
received, lock = set(), threading.Lock()
jobs = queue.Queue()


def is_genuine(event_id, timestamp, signatures, body):
    # A recorded request must not be accepted later: its time is signed, too.
    if not timestamp.isdecimal() or len(timestamp) > 12 or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    # The signature is over the bytes as received, so verify before parsing.
    signed = f"{event_id}.{timestamp}.".encode() + body
    expected = b"v1," + base64.b64encode(hmac.digest(KEY, signed, "sha256"))
    # While a secret is rotated there are several signatures, separated by spaces, of which one must match. compare_digest
    # compares in constant time, so that a signature cannot be guessed byte by byte.
    return any(hmac.compare_digest(expected, signature) for signature in signatures.encode().split(b" "))


class Receiver(BaseHTTPRequestHandler):
    timeout = 30  # seconds, for an incomplete request

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 12 or int(length) > MAX_BODY_BYTES:
            return self.answer(413)
        body = self.rfile.read(int(length))
        event_id = self.headers.get("webhook-id", "")  # the same at every retry and replay, and signed
        timestamp, signatures = (self.headers.get(f"webhook-{name}", "") for name in ("timestamp", "signature"))
        if not is_genuine(event_id, timestamp, signatures, body):
            return self.answer(401)
        with lock:
            is_new = event_id not in received
            received.add(event_id)
        if is_new:  # if no event may be lost, store it here: after a 2xx the relay does not send it again
            jobs.put(json.loads(body))
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


def work():
    """Slow work belongs here: the relay waits 15 seconds for an answer, and retries without one."""
    while True:
        event = jobs.get()
        # the contents of an alert are untrusted: json.dumps escapes terminal codes and line breaks
        print("took", event["relay"]["event_id"], json.dumps(event.get("context_diff")), flush=True)


threading.Thread(target=work, daemon=True).start()
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver)
print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
