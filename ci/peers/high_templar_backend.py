"""An API that answers every request alike: with what POST /__state has set last.

usage: high_templar_backend.py PORT
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
state = {"status": 200, "body": '{"allowed_rooms": []}'}


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it an answer of two writes waits for the other side's acknowledgement.
    disable_nagle_algorithm = True

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with lock:
            status, body = state["status"], state["body"]
        self.answer(status, body.encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/__state":
            with lock:
                state.update(json.loads(body))
        self.answer(200, b"{}")

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


Server(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
