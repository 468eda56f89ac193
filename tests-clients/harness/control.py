"""Lets a test program in any language restart the broker: `POST $CONTROL/kill-and-restart` or `/stop-and-restart`.

The answer comes when the broker is ready again: 200, or 500 with the reason.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Control:
    def __init__(self, broker):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                try:
                    restarts = {"/kill-and-restart": broker.kill_and_restart, "/stop-and-restart": broker.stop_and_restart}
                    assert self.path in restarts, f"unknown path {self.path}"
                    restarts[self.path]()
                    self.reply(200, "ready\n")
                except Exception as error:  # The program under test must see it, whatever it is.
                    self.reply(500, f"{error}\n")

            def reply(self, status, text):
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
