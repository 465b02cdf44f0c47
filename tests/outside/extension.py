"""extension.py CHROMIUM CHROMEDRIVER: tests that a page of a Chromium extension gets a token if its origin is in cors.origins.

Two extensions, one with and one without a permission for the service's host.
"""

import base64
import hashlib
import json
import os
import sys
import tempfile

from jwt_fn import browser, verify
from server import Server
from service import Service, login_token, write

FETCH = """
const [url, headers, done] = arguments;
fetch(url, { headers }).then(async (answer) => done([answer.status, await answer.text()]), (error) => done([0, String(error)]));
"""


def extension(folder, **more):
    """Makes an extension of one page and returns its ID, which Chromium derives from its key: half a SHA-256 in the letters a to p."""
    os.mkdir(folder)
    key = os.urandom(294)
    manifest = {"manifest_version": 3, "name": "Shop", "version": "1", "key": base64.b64encode(key).decode(), **more}
    for name, text in [("manifest.json", json.dumps(manifest)), ("page.html", "<!doctype html><title>Shop</title>")]:
        write(f"{folder}/{name}", text)
    return "".join(chr(ord("a") + int(digit, 16)) for digit in hashlib.sha256(key).hexdigest()[:32])


def main(chromium, chromedriver):
    with tempfile.TemporaryDirectory() as folder:
        folders = [f"{folder}/plain", f"{folder}/permitted"]
        origin = f"chrome-extension://{extension(folders[0])}"
        permitted = f"chrome-extension://{extension(folders[1], host_permissions=['http://127.0.0.1/*'])}"
        # Answers with the Origin that it was sent.
        echo = Server(lambda method, path, body, headers: (200, json.dumps(headers["Origin"]).encode(), {"Access-Control-Allow-Origin": "*"}))
        with echo, browser(chromium, chromedriver, f"--load-extension={','.join(folders)}") as driver:
            driver.get(f"{origin}/page.html")
            assert driver.title == "Shop", driver.page_source
            ask = lambda url, **headers: driver.execute_async_script(FETCH, url, headers)
            sent = ask(echo.url)
            assert sent == [200, json.dumps(origin)], sent
            bearer = {"Authorization": f"Bearer {login_token()}", "Accept": "text/plain", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
            with Service(origins=origin, login__bearer="true") as service:
                status, token = ask(f"http://{service.public}/messaging/token", **bearer)
                assert status == 200, (status, token)
                verify("messaging", token)
            with Service(login__bearer="true") as service:
                status, error = ask(f"http://{service.public}/messaging/token", **bearer)
                assert status == 0, "its origin is not in cors.origins"
                driver.get(f"{permitted}/page.html")
                sent = ask(echo.url)
                assert sent == [200, "null"], f"with a permission for the host there is no Origin: {sent}"
                status, token = ask(f"http://{service.public}/messaging/token", **bearer)
                assert status == 200, (status, token)
    print("an extension's page gets a token if its origin is allowed, or if it may call the host and so sends no Origin")


if __name__ == "__main__":
    main(*sys.argv[1:])
