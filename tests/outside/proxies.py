"""Does the service do its work behind a real proxy, set up as config/ has it?

proxies.py NGINX: two services and nginx on loopback, with a certificate made for the day.
"""

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from service import PATIENCE, Service, login_token

CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../config")
ORIGIN = "https://shop.example.com"
# Where the browser is; the proxy is on 127.0.0.1, and believed.
CLIENT = "127.0.0.2"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """config/nginx.conf with ports, paths and the second upstream of this test; ends with its `with` block."""

    def __init__(self, program, folder, upstreams):
        self.port = free_port()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2",
             "-subj", "/CN=support-token.example.com", "-addext", "subjectAltName=DNS:support-token.example.com"],
            cwd=folder, check=True, capture_output=True)
        with open(f"{CONFIG}/nginx.conf") as file:
            text = file.read()
        for old, new in [
            ("#server 127.0.0.1:8002", f"server 127.0.0.1:{upstreams[1]}"), ("server 127.0.0.1:8001", f"server 127.0.0.1:{upstreams[0]}"),
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"), ("/etc/ssl/support-token.pem", f"{folder}/cert.pem"),
            ("/etc/ssl/support-token.key", f"{folder}/key.pem"),
            # Temporary files and logs of a process that is not the machine's own.
            ("http {", "http {\n    access_log off;\n" + "".join(
                f"    {kind}_temp_path {folder}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])),
        ]:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        with open(f"{folder}/nginx.conf", "w") as file:
            file.write(f"pid {folder}/nginx.pid;\ndaemon off;\n{text}")
        self.context = ssl.create_default_context(cafile=f"{folder}/cert.pem")
        self.process = subprocess.Popen([program, "-e", f"{folder}/error.log", "-p", folder, "-c", f"{folder}/nginx.conf"])
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert time.monotonic() < end and self.process.poll() is None, "nginx did not start"
                time.sleep(0.05)

    def connect(self):
        """A connection as the browser makes it."""
        raw = socket.create_connection(("127.0.0.1", self.port), PATIENCE, source_address=(CLIENT, 0))
        connection = http.client.HTTPConnection("support-token.example.com")
        connection.sock = self.context.wrap_socket(raw, server_hostname="support-token.example.com")
        return connection

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)


def ask(connection, path="/generate/token", method="GET", body=None, **headers):
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


def check(nginx, services):
    """Everything that a page and Zendesk's servers are owed, through the proxy."""
    connection = nginx.connect()
    cookie = f"a=b; token={login_token()}"
    status, headers, body = ask(connection, Cookie=cookie, Origin=ORIGIN, X_Forwarded_For="6.6.6.6")
    assert status == 200 and json.loads(body)["token"], body
    assert headers["Access-Control-Allow-Origin"] == ORIGIN and headers["Cache-Control"] == "no-store" and headers["Vary"] == "Origin"
    entry = until_logged(services, headers["X-Request-Id"])
    assert entry["client"] == CLIENT, entry
    status, headers, body = ask(connection, Origin=ORIGIN)
    assert (status, json.loads(body)["code"], headers["Access-Control-Allow-Origin"]) == (401, "00-00", ORIGIN)
    assert ask(connection, Cookie=cookie, Origin="https://evil.example")[0] == 403
    assert ask(connection, Cookie=cookie, Accept="text/plain")[2].count(".") == 2
    preflight = ask(connection, method="OPTIONS", Origin=ORIGIN, Access_Control_Request_Method="GET")
    assert preflight[0] == 204 and preflight[1]["Access-Control-Allow-Credentials"] == "true"
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    status, _, body = ask(connection, "/support-sdk/token", "POST", f"user_token={login_token()}", **form)
    assert status == 200 and json.loads(body)["jwt"], body
    status, _, body = ask(connection, "/support-sdk/token", "POST", "x" * 100_000, **form)
    assert (status, json.loads(body)["code"]) == (413, "00-13"), body
    assert ask(connection, "/jwt_fn.js")[1]["Cache-Control"] == "public, max-age=300"
    for path in ["/metrics", "/live", "/ready"]:
        assert ask(connection, path)[0] == 404, "the admin listener is not there"
    # A token of 8 KiB fits, and what is too much for either is refused by one of them.
    assert ask(connection, Cookie="token=" + "x" * 8192)[0] == 401
    for size in [15_000, 40_000, 200_000]:
        assert ask(nginx.connect(), Cookie="a=" + "x" * size)[0] in (400, 401, 431), size
    for _ in range(300):
        assert ask(connection, Cookie=cookie)[0] == 200, "kept alive"


def until_logged(services, request_id):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for line in [line for service in services for line in service.log]:
            entry = json.loads(line)
            if entry.get("request_id") == request_id:
                return entry
        time.sleep(0.05)
    raise AssertionError("no line of that request")


def restart_under_load(nginx, ports, services, settings):
    """Restarts both services in turn while pages and Zendesk's servers ask; every answer has to be a token."""
    answers, is_over = [], threading.Event()

    def load(number):
        while not is_over.is_set():
            connection = nginx.connect()
            for _ in range(50):
                if number % 4 == 0:
                    form = {"Content_Type": "application/x-www-form-urlencoded"}
                    answers.append(ask(connection, "/support-sdk/token", "POST", f"user_token={login_token()}", **form)[0])
                else:
                    answers.append(ask(connection, Cookie=f"token={login_token()}")[0])
                if is_over.is_set():
                    break
            connection.close()

    threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for turn in range(4):
        index = turn % 2
        services[index].stop()
        time.sleep(0.3)
        services[index] = Service(listen=f"127.0.0.1:{ports[index]}", **settings)
        time.sleep(1)
    is_over.set()
    for thread in threads:
        thread.join(PATIENCE)
    failed = [status for status in answers if status != 200]
    assert len(answers) > 500 and not failed, f"{len(failed)} of {len(answers)}: {set(failed)}"
    return len(answers)


def main(program):
    settings = {"origins": ORIGIN, "proxy__trusted": "127.0.0.1"}
    ports = [free_port(), free_port()]
    services = [Service(listen=f"127.0.0.1:{port}", **settings) for port in ports]
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            with Nginx(program, folder, ports) as nginx:
                check(nginx, services)
                print("behind nginx: cookies, CORS, refusals, bodies, header limits, keep-alive and the client's address")
                asked = restart_under_load(nginx, ports, services, settings)
                print(f"four restarts behind nginx: {asked} requests, none failed")
        for service in services:
            service.stop()
    finally:
        for service in services:
            service.__exit__()


if __name__ == "__main__":
    main(*sys.argv[1:])
