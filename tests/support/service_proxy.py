"""The API server's service proxy as a page meets it: another path, and no Authorization behind it."""

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREFIX = "/api/v1/namespaces/loco-health/services/http:loco-api:3000/proxy"


@contextmanager
def a_service_proxy(port):
    """Yield the address under which an API at `port` of this machine is served; its path ends in `/`."""

    class Handler(BaseHTTPRequestHandler):
        """Hands every request on."""

        def do_GET(self):
            """Hand one on."""
            self._hand_on()

        def do_POST(self):
            """Hand one on."""
            self._hand_on()

        def _hand_on(self):
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name: value for name, value in self.headers.items() if name != "Authorization"}
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                link.request(self.command, self.path.removeprefix(PREFIX), self.rfile.read(length), headers)
                answer = link.getresponse()
                body = answer.read()
            finally:
                link.close()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing (the handler's own hook)."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{PREFIX}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
