"""Clients of all kinds, for hours: good ones, whose every request has to be answered with a token, bad ones and slow ones."""

import http.client
import json
import random
import socket
import ssl
import threading
import time
from collections import Counter

import jwt

from proxy import OWN_HOST

# Longest that a client waits for anything, in seconds.
PATIENCE = 20
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# What nobody may get a token for.
RUBBISH = [
    b"GET /generate/token HTTP/1.1\r\nHost: x\r\nCookie: token=rubbish\r\n\r\n",
    b"GET /generate/token HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nCookie: token=a.b.c\r\n\r\n",
    b"GET /generate/token HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 60_000 + b"\r\n\r\n",
    b"POST /support-sdk/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n[[[[",
    b"POST /support-sdk/token HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 100_000,
    b"GET /messaging/token HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 1000, b"GET", b"",
    b"GET /generate/token HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + b"1.2.3.4, " * 200 + b"\r\nCookie: token=.\r\n\r\n",
]


class Place:
    """Where a service is reached, and from which address. `down` has the time until which connections may have been cut: by a proxy that
    was restarted, say. `kept` are the numbers of requests after which a good client leaves, `refusals` the codes that it has to bear, and
    `skew` is how far the service's clock may be off, in seconds."""

    def __init__(self, address, is_tls=False, down=None, source="", kept=(1, 5, 100), refusals=(), skew=0):
        self.address, self.is_tls, self.down, self.source = address, is_tls, down, source
        self.kept, self.refusals, self.skew = kept, refusals, skew

    def raw(self):
        host, port = self.address.rsplit(":", 1)
        return socket.create_connection((host, int(port)), PATIENCE, (self.source, 0) if self.source else None)

    def spoken(self):
        """A socket that the service's HTTP is spoken on."""
        if not self.is_tls:
            return self.raw()
        # Who it is that answers is asked by other tests: here the certificate changes every few seconds.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(self.raw(), server_hostname=OWN_HOST)

    def any(self):
        """The same, but for one in eight who doesn't even speak TLS where it should."""
        return self.spoken() if random.random() < 0.875 else self.raw()

    def connect(self):
        connection = http.client.HTTPConnection(OWN_HOST)
        connection.sock = self.spoken()
        return connection

    def was_down_since(self, begun):
        return self.down is not None and self.down.value >= begun - 1


def good(place, tokens, secrets, over, tally):
    """Asks for tokens over connections that last for one request or for many; counts what was no token."""
    while not over.is_set():
        begun, kept = time.time(), random.choice(place.kept)
        try:
            connection = place.connect()
            for _ in range(kept):
                begun, product = time.time(), random.choice(list(secrets))
                status, body = ask(connection, product, random.choice(tokens))
                if status != 200 and (code := json.loads(body)["code"]) in place.refusals:
                    tally["refused"][code] += 1
                elif status != 200:
                    tally["failed"].append(f"{place.address} {product} {status} {body[:100]!r}")
                else:
                    check(body, secrets[product], place.skew)
                    tally["good"][f"{place.address} {product}"] += 1
                # A post is its connection's last request.
                if over.wait(random.random() * 0.02) or connection.sock is None:
                    break
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            # Whoever's proxy is stopped has to ask again; nothing excuses an answer that is no token.
            if place.was_down_since(begun):
                tally["cut"] += 1
                time.sleep(0.1)
            else:
                tally["failed"].append(f"{place.address} {error!r}")
        except Exception as error:
            tally["failed"].append(f"{place.address} no token: {error!r}")


def ask(connection, product, token):
    if product == "support_sdk":
        connection.request("POST", "/support-sdk/token", f"user_token={token}", FORM)
    else:
        path = {"chat": "/generate/token", "messaging": "/messaging/token", "help_center": "/help-center/token"}[product]
        connection.request("GET", path, headers={"Cookie": f"a=b; token={token}", "Origin": "https://shop.example.com"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def check(body, secret, skew=0):
    """Fails unless it is signed as it should be, which is looked at now and then: that costs more than the request does."""
    [token] = json.loads(body).values()
    assert token.count(".") == 2, token
    if random.random() < 0.02:
        jwt.decode(token, secret, ["HS256"], leeway=skew)


def bad(place, over, tally):
    """Sends rubbish, and hangs up at any time; a token in answer is a failure."""
    while not over.wait(0.02):
        try:
            with place.any() as raw:
                raw.settimeout(2)
                raw.sendall(random.choice(RUBBISH))
                if random.random() < 0.7 and b'":"ey' in raw.recv(4096):
                    tally["failed"].append(f"{place.address} gave rubbish a token")
        except OSError:
            pass
        tally["bad"] += 1


def slow(place, over, tally):
    """Sends a byte at a time, or nothing, or never reads; until the service has had enough."""
    while not over.is_set():
        try:
            with place.any() as raw:
                kind = random.choice(["header", "idle", "half", "deaf"])
                if kind == "half":
                    raw.shutdown(socket.SHUT_WR)
                elif kind == "deaf":
                    raw.sendall(b"GET /jwt_fn.js HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
                end = time.monotonic() + random.uniform(5, 30)
                while time.monotonic() < end and not over.wait(0.5):
                    if kind == "header":
                        raw.sendall(b"G")
        except OSError:
            pass
        tally["slow"] += 1


def new_tally():
    """Of what happened to clients."""
    return {"good": Counter(), "refused": Counter(), "cut": 0, "bad": 0, "slow": 0, "failed": []}


def run(places, tokens, secrets, seconds, counts, results):
    """A process of clients: so many of each kind at each place. Puts the tally into `results`."""
    over, told, threads = threading.Event(), new_tally(), []
    for place in places:
        kinds = [(good, (place, tokens, secrets, over, told)), (bad, (place, over, told)), (slow, (place, over, told))]
        for (kind, arguments), count in zip(kinds, counts):
            threads += [threading.Thread(target=kind, args=arguments, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join(2 * PATIENCE)
        if thread.is_alive():
            told["failed"].append("a client waits for ever")
    results.put(told)
