"""Does a page of a Chromium extension get a token once its origin is in cors.origins?

extension.py CHROMIUM CHROMEDRIVER: an extension without permissions and one with, the service on loopback.
"""

import base64
import hashlib
import http.server
import json
import os
import sys
import tempfile
import threading

from jwt_fn import browser, verify
from service import Service, login_token

FETCH = """
const [url, headers, done] = arguments;
fetch(url, { headers }).then(async (answer) => done([answer.status, await answer.text()]), (error) => done([0, String(error)]));
"""


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the Origin that it was sent."""

    def do_GET(self):
        origin = self.headers["Origin"]
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(json.dumps(origin).encode())

    def log_message(self, *_):
        pass


def extension(folder, **more):
    """An extension of one page. Its id is made of its key, as Chromium does it: half a SHA-256 in the letters a to p."""
    os.mkdir(folder)
    key = os.urandom(294)
    manifest = {"manifest_version": 3, "name": "Shop", "version": "1", "key": base64.b64encode(key).decode(), **more}
    for name, text in [("manifest.json", json.dumps(manifest)), ("page.html", "<!doctype html><title>Shop</title>")]:
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    return "".join(chr(ord("a") + int(digit, 16)) for digit in hashlib.sha256(key).hexdigest()[:32])


def main(chromium, chromedriver):
    echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        folders = [f"{folder}/plain", f"{folder}/permitted"]
        origin = f"chrome-extension://{extension(folders[0])}"
        permitted = f"chrome-extension://{extension(folders[1], host_permissions=['http://127.0.0.1/*'])}"
        driver = browser(chromium, chromedriver, f"--load-extension={','.join(folders)}")
        try:
            driver.get(f"{origin}/page.html")
            assert driver.title == "Shop", driver.page_source
            ask = lambda url, **headers: driver.execute_async_script(FETCH, url, headers)
            sent = ask(f"http://127.0.0.1:{echo.server_port}/")
            assert sent == [200, json.dumps(origin)], sent
            bearer = {"Authorization": f"Bearer {login_token()}", "Accept": "text/plain", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
            with Service(origins=origin, login__bearer="true") as service:
                status, token = ask(f"http://{service.public}/messaging/token", **bearer)
                assert status == 200, (status, token)
                verify("messaging", token)
            with Service(login__bearer="true") as service:
                status, error = ask(f"http://{service.public}/messaging/token", **bearer)
                assert status == 0, "it is not listed"
                driver.get(f"{permitted}/page.html")
                sent = ask(f"http://127.0.0.1:{echo.server_port}/")
                assert sent == [200, "null"], f"with a permission for the host there is no Origin: {sent}"
                status, token = ask(f"http://{service.public}/messaging/token", **bearer)
                assert status == 200, (status, token)
        finally:
            driver.quit()
    echo.shutdown()
    print("a page of an extension: it gets a token where its origin is listed, or where it may call the host and so sends none")


if __name__ == "__main__":
    main(*sys.argv[1:])
