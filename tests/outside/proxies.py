"""Does the service do its work behind real proxies, set up as config/ has them?

proxies.py PROGRAM…: for each of nginx, caddy and haproxy, two services and the proxy on loopback.
"""

import json
import os
import sys
import tempfile
import threading
import time

import yaml

from proxy import CLIENT, CONFIG, Proxy, Upstreams, ask
from service import PATIENCE, login_token

ORIGIN = "https://shop.example.com"
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def check(proxy, upstreams):
    """Everything that a page and Zendesk's servers are owed, through the proxy."""
    connection = proxy.connect()
    cookie = f"a=b; token={login_token()}"
    status, headers, body = ask(connection, Cookie=cookie, Origin=ORIGIN, X_Forwarded_For="6.6.6.6")
    assert status == 200 and json.loads(body)["token"], body
    assert headers["Access-Control-Allow-Origin"] == ORIGIN and headers["Cache-Control"] == "no-store" and headers["Vary"] == "Origin"
    entry = until_logged(upstreams.services, headers["X-Request-Id"])
    assert entry["client"] == CLIENT, entry
    status, headers, body = ask(connection, Origin=ORIGIN)
    assert (status, json.loads(body)["code"], headers["Access-Control-Allow-Origin"]) == (401, "00-00", ORIGIN)
    assert ask(connection, Cookie=cookie, Origin="https://evil.example")[0] == 403
    assert ask(connection, Cookie=cookie, Accept="text/plain")[2].count(".") == 2
    preflight = ask(connection, method="OPTIONS", Origin=ORIGIN, Access_Control_Request_Method="GET")
    assert preflight[0] == 200 and preflight[1]["Access-Control-Allow-Credentials"] == "true"
    status, _, body = ask(connection, "/support-sdk/token", "POST", f"user_token={login_token()}", **FORM)
    assert status == 200 and json.loads(body)["jwt"], body
    status, _, body = ask(connection, "/support-sdk/token", "POST", "x" * 100_000, **FORM)
    assert (status, json.loads(body)["code"]) == (413, "00-13"), body
    assert ask(connection, "/jwt_fn.js")[1]["Cache-Control"] == "public, max-age=300"
    for path in ["/metrics", "/live", "/ready"]:
        assert ask(connection, path)[0] == 404, "the admin listener is not there"
    # A token of 8 KiB fits, and what is too much for either is refused by one of them.
    assert ask(connection, Cookie="token=" + "x" * 8192)[0] == 401
    for size in [15_000, 40_000, 200_000]:
        try:
            assert ask(proxy.connect(), Cookie="a=" + "x" * size)[0] in (400, 401, 431), size
        except OSError:  # refused and closed before all of it was sent
            assert size > 30_000
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


def restart_under_load(proxy, upstreams):
    """Restarts both services in turn while pages and Zendesk's servers ask; every answer has to be a token."""
    answers, is_over = [], threading.Event()

    def load(number):
        while not is_over.is_set():
            try:
                connection = proxy.connect()
                for _ in range(50):
                    if number % 4 == 0:
                        answer = ask(connection, "/support-sdk/token", "POST", f"user_token={login_token()}", **FORM)
                    else:
                        answer = ask(connection, Cookie=f"token={login_token()}")
                    [token] = json.loads(answer[2]).values()
                    answers.append(answer[0] if answer[0] != 200 or token.count(".") == 2 else f"no token: {token}")
                    if is_over.is_set():
                        break
                connection.close()
            except Exception as error:  # a connection that was cut is a request that failed
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
        assert not thread.is_alive(), "a client waits for ever"
    failed = [status for status in answers if status != 200]
    assert len(answers) > 500 and not failed, f"{len(failed)} of {len(answers)}: {set(failed)}; {proxy.said()}"
    return len(answers)


def composed_limits():
    """The limits that config/compose.yaml sets of the services behind Caddy."""
    with open(f"{CONFIG}/compose.yaml") as file:
        environment = yaml.safe_load(file)["services"]["first"]["environment"]
    names = {name.removeprefix("ZENDESK_TOKEN_").lower(): value for name, value in environment.items()}
    return {name: value for name, value in names.items() if name.startswith("limits__")}


def main(*programs):
    for program in programs:
        name = os.path.basename(program)
        # Caddy has to know beforehand who is going to stop; the others ask the next.
        more = composed_limits() if name == "caddy" else {}
        with tempfile.TemporaryDirectory() as folder, Upstreams(origins=ORIGIN, proxy__trusted="127.0.0.1", **more) as upstreams:
            # nginx' workers are nobody's.
            os.chmod(folder, 0o755)
            with Proxy(program, folder, upstreams) as proxy:
                check(proxy, upstreams)
                print(f"behind {name}: cookies, CORS, refusals, bodies, header limits, keep-alive and the client's address")
                asked = restart_under_load(proxy, upstreams)
                print(f"four restarts behind {name}: {asked} requests, none failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
