"""The image's health check, asking a listener that is well, one that is not, and none."""

import http.server
import os
import subprocess
import threading


class Operations(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        well = self.path == "/livez"
        self.send_response(200 if well else 503)
        self.end_headers()
        self.wfile.write(b"alive\n" if well else b"not ready: 200 reasons\n")

    def log_message(self, *_):
        pass


def asks(port, *path):
    said = subprocess.run(
        ["packaging/healthcheck", *path],
        env={"PATH": os.environ["PATH"], "HOOKYARD_OPS_LISTEN": f"0.0.0.0:{port}"},
        capture_output=True,
        text=True,
        timeout=10,
    )
    return said.returncode == 0, said.stdout.strip()


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Operations) as listener:
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    port = listener.server_address[1]
    assert asks(port) == (True, "alive")
    assert asks(port, "/livez") == (True, "alive")
    assert asks(port, "/readyz") == (False, "not ready: 200 reasons")
    listener.shutdown()
assert asks(port) == (False, "")
