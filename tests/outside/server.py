"""What the service and its pages ask, for its tests."""

import http.server
import ssl
import threading


class Server:
    """Answers with the status that `answer` makes of method, path, body and headers, or a status, a body and headers if any, on loopback,
    and by TLS with a certificate and its key; ends with its `with` block."""

    def __init__(self, answer, *certificate):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                answered = answer(self.command, self.path, self.rfile.read(int(self.headers["Content-Length"] or 0)), self.headers)
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

        class Crowded(http.server.ThreadingHTTPServer):
            request_queue_size = 512

        self.server = Crowded(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
