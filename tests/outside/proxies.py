"""proxies.py PROGRAM…: tests the service behind nginx, caddy and haproxy with their configurations from config/.

Each proxy runs on loopback in front of a shop and two services.
"""

import json
import os
import ssl
import sys
import tempfile
import threading
import time
import warnings
from functools import partial

import yaml

from proxy import CDN, CLIENT, CONFIG, PREFIX, Proxy, Upstreams
from server import Server
from service import FORM, PATIENCE, ask, login_token, read, wait_until

COOKIE = "__Host-token"
SUPPORT_SDK = f"{PREFIX}/support-sdk/token"
ask_chat = partial(ask, path=f"{PREFIX}/generate/token")


def check(proxy):
    """What pages and Zendesk's servers need works through the proxy."""
    connection = proxy.connect()
    cookie = f"a=b; {COOKIE}={login_token()}"
    status, headers, body = ask_chat(connection, Cookie=cookie, Sec_Fetch_Site="same-origin", X_Forwarded_For="6.6.6.6")
    assert status == 200 and json.loads(body)["token"], body
    assert headers["Cache-Control"] == "no-store" and headers["Vary"] == "Origin", headers
    assert ask_chat(connection)[0] == 401
    # A page of the shop's own host sends no Origin, so every Origin is another page's.
    for origin in ["https://evil.example", "https://evil.example.com", "null"]:
        status, headers, body = ask_chat(connection, Cookie=cookie, Origin=origin)
        assert (status, json.loads(body)["code"]) == (403, "00-05") and "Access-Control-Allow-Origin" not in headers, body
    assert ask_chat(connection, Cookie=cookie, Accept="text/plain")[2].count(".") == 2
    status, _, body = ask(connection, SUPPORT_SDK, "POST", f"user_token={login_token()}", **FORM)
    assert status == 200 and json.loads(body)["jwt"], body
    for size in [60_000, 100_000]:
        other = proxy.connect()
        assert ask_chat(other)[0] == 401
        try:
            status, _, body = ask(other, SUPPORT_SDK, "POST", "x" * size, **FORM)
            assert (status, json.loads(body)["code"]) == (413, "00-13"), body
        except OSError:  # HAProxy lost the refusal: the service reads 64 KiB of a body, and closes the connection of a longer one
            assert size > 64 * 1024
    assert ask(connection, f"{PREFIX}/jwt_fn.js?v=1")[1]["Cache-Control"] == "public, max-age=300"
    for path in ["/metrics", "/live", "/ready", "/support-token/generate/token"]:
        assert ask(connection, PREFIX + path)[0] == 404, path
    for path in ["/", "/generate/token", "/support-tokens/generate/token"]:
        assert ask(connection, path, Cookie=cookie)[2] == "the shop", path
    # A login token of 8 KiB is accepted. Longer headers are refused by the proxy or the service.
    assert ask_chat(connection, Cookie=f"{COOKIE}={'x' * 8192}")[0] == 401
    for size in [15_000, 40_000, 200_000]:
        try:
            assert ask_chat(proxy.connect(), Cookie="a=" + "x" * size)[0] in (400, 401, 431), size
        except OSError:  # refused and closed before all of it was sent
            assert size > 30_000
    for _ in range(300):
        assert ask_chat(connection, Cookie=cookie)[0] == 200, "kept alive"


def check_client(proxy, upstreams):
    """The log has the client's real address: the client cannot choose it, and a trusted CDN passes it on."""
    for peer, forwarded, client in [
        (CLIENT, None, CLIENT), (CLIENT, "6.6.6.6", CLIENT), (CLIENT, f"6.6.6.6, {CDN}", CLIENT), ("127.0.0.1", "6.6.6.6", "127.0.0.1"),
        (CDN, "198.51.100.7", "198.51.100.7"), (CDN, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
    ]:
        headers = {"X_Forwarded_For": forwarded} if forwarded else {}
        request_id = ask_chat(proxy.connect(peer), **headers)[1]["X-Request-Id"]
        lines = lambda: (line for service in upstreams.services for line in service.log if f'"request_id":"{request_id}"' in line)
        entry = json.loads(wait_until(lambda: next(lines(), None), "a log line of the request"))
        assert entry["client"] == client, (peer, forwarded, entry)


def check_versions(proxy):
    """TLS 1.2 and 1.3 are supported, TLS 1.1 is not."""
    for version, is_supported in [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)]:
        context = ssl.create_default_context(cafile=f"{proxy.folder}/cert.pem")
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):
            context.minimum_version = context.maximum_version = version
        try:
            proxy.connect(context=context).close()
            assert is_supported, version
        except ssl.SSLError:
            assert not is_supported, version


def check_own_host(program, folder, upstreams):
    """The alternative that each file describes: a host for the service alone."""
    with Proxy(program, folder, upstreams) as proxy:
        connection = proxy.connect()
        assert ask(connection, "/generate/token", Cookie=f"{COOKIE}={login_token()}")[0] == 200
        assert ask(connection, "/support-sdk/token", "POST", f"user_token={login_token()}", **FORM)[0] == 200


def restart_under_load(proxy, upstreams):
    """Restarts both services in turn under load. Every response must be a token. Returns the number of requests."""
    answers, is_over = [], threading.Event()

    def load(number):
        while not is_over.is_set():
            try:
                connection = proxy.connect()
                for _ in range(50):
                    if number % 4 == 0:
                        answer = ask(connection, SUPPORT_SDK, "POST", f"user_token={login_token()}", **FORM)
                    else:
                        answer = ask_chat(connection, Cookie=f"{COOKIE}={login_token()}")
                    [token] = json.loads(answer[2]).values()
                    answers.append(answer[0] if answer[0] != 200 or token.count(".") == 2 else f"not a token: {token}")
                    if is_over.is_set():
                        break
                connection.close()
            except Exception as error:  # a closed connection is a failed request
                answers.append(repr(error))

    threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for turn in range(4):
        upstreams.restart(turn % 2)
        time.sleep(2)
    is_over.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a client waits forever"
    failed = [status for status in answers if status != 200]
    assert len(answers) > 500 and not failed, f"{len(failed)} of {len(answers)}: {set(failed)}; {proxy.output()}"
    return len(answers)


def compose_limits():
    """The settings in [limits] that config/compose.yaml has for services behind Caddy."""
    environment = yaml.safe_load(read(f"{CONFIG}/compose.yaml"))["services"]["first"]["environment"]
    names = {name.removeprefix("ZENDESK_TOKEN_").lower(): value for name, value in environment.items()}
    return {name: value for name, value in names.items() if name.startswith("limits__")}


def main(*programs):
    for program in programs:
        name = os.path.basename(program)
        # Caddy needs limits.drain_delay. The other proxies ask the second service when the first one stops.
        more = compose_limits() if name == "caddy" else {}
        settings = {"origins": None, "login__cookie": COOKIE, "proxy__trusted": f"127.0.0.1,{CDN}", **more}
        pages = Server(lambda *_: (200, b"the shop"))
        with tempfile.TemporaryDirectory() as folder, Upstreams(**settings) as upstreams, pages:
            # nginx' workers run as the user nobody.
            os.chmod(folder, 0o755)
            check_own_host(program, folder, upstreams)
            with Proxy(program, folder, upstreams, pages.url.removeprefix("http://")) as proxy:
                check(proxy)
                check_client(proxy, upstreams)
                check_versions(proxy)
                print(f"behind {name}: cookies, refusals, bodies, header limits, keep-alive, the client's address, TLS and the shop")
                count = restart_under_load(proxy, upstreams)
                print(f"four restarts behind {name}: {count} requests, none failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
