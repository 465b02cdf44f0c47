"""An HTTP or HTTPS server on loopback whose responses are made by a function: replaces the shop, the Login API and others in tests."""

import http.server
import ssl
import threading
from contextlib import AbstractContextManager


class Server(AbstractContextManager):
    """Runs until the end of its `with` block. `answer` gets method, path, body and headers, and returns a status, or a tuple of status,
    body and perhaps headers; None ends the connection without a response. With the files of a certificate and its key, it uses TLS."""

    def __init__(self, answer, *certificate):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                answered = answer(self.command, self.path, self.rfile.read(int(self.headers["Content-Length"] or 0)), self.headers)
                if answered is None:
                    self.close_connection = True
                    return
                status, body, headers = (*answered, {})[:3] if isinstance(answered, tuple) else (answered, b"", {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_DELETE = do_POST

            def log_message(self, *_):
                pass

        class ManyClients(http.server.ThreadingHTTPServer):
            request_queue_size = 512

        self.server = ManyClients(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
