"""Clients for load tests: good ones, which must get a token for every request, bad ones and slow ones."""

import http.client
import random
import socket
import ssl
import threading
import time
from collections import Counter

import jwt

from proxy import OWN_HOST
from service import PATIENCE, exchange, host_and_port

# Input that must never get a token.
RUBBISH = [
    b"GET /generate/token HTTP/1.1\r\nHost: x\r\nCookie: token=rubbish\r\n\r\n",
    b"GET /generate/token HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nCookie: token=a.b.c\r\n\r\n",
    b"GET /generate/token HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 60_000 + b"\r\n\r\n",
    b"POST /support-sdk/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n[[[[",
    b"POST /support-sdk/token HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 100_000,
    b"GET /messaging/token HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 1000, b"GET", b"",
    b"GET /generate/token HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + b"1.2.3.4, " * 200 + b"\r\nCookie: token=.\r\n\r\n",
]


class Endpoint:
    """An address of the service, and the rules for its clients. Until the time in `down`, connections may be cut, for example by a proxy
    that restarts. A good client closes its connection after one of `kept` numbers of requests, and accepts the error codes in `refusals`.
    `source` is the clients' address, and `skew` the largest difference of the service's clock in seconds."""

    def __init__(self, address, is_tls=False, down=None, source="", kept=(1, 5, 100), refusals=(), skew=0):
        self.address, self.is_tls, self.down, self.source = address, is_tls, down, source
        self.kept, self.refusals, self.skew = kept, refusals, skew

    def raw(self):
        return socket.create_connection(host_and_port(self.address), PATIENCE, (self.source, 0) if self.source else None)

    def open(self):
        """A socket that is ready for HTTP."""
        if not self.is_tls:
            return self.raw()
        # Other tests verify the certificate. Here it changes every few seconds.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(self.raw(), server_hostname=OWN_HOST)

    def any(self):
        """The same, but one in eight does not use TLS where it should."""
        return self.open() if random.random() < 0.875 else self.raw()

    def connect(self):
        connection = http.client.HTTPConnection(OWN_HOST)
        connection.sock = self.open()
        return connection

    def was_down_since(self, begun):
        return self.down is not None and self.down.value >= begun - 1


def good(endpoint, tokens, secrets, over, tally):
    """Requests tokens, and counts all other responses."""
    while not over.is_set():
        begun, kept = time.time(), random.choice(endpoint.kept)
        try:
            connection = endpoint.connect()
            for _ in range(kept):
                begun, product = time.time(), random.choice(list(secrets))
                status, body = exchange(connection, product, random.choice(tokens), Origin="https://shop.example.com")
                if status == 200:
                    check(body, secrets[product], endpoint.skew)
                    tally["good"][f"{endpoint.address} {product}"] += 1
                elif body["code"] in endpoint.refusals:
                    tally["refused"][body["code"]] += 1
                else:
                    tally["failed"].append(f"{endpoint.address} {product} {status} {body}")
                # The service closes the connection after a POST.
                if over.wait(random.random() * 0.02) or connection.sock is None:
                    break
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            # While its proxy restarts, a client may lose its connection, but it never gets a response without a token.
            if endpoint.was_down_since(begun):
                tally["cut"] += 1
                time.sleep(0.1)
            else:
                tally["failed"].append(f"{endpoint.address} {error!r}")
        except Exception as error:
            tally["failed"].append(f"{endpoint.address} without a token: {error!r}")


def check(body, secret, skew):
    [token] = body.values()
    assert token.count(".") == 2, token
    # Only some signatures: to verify one costs more than the request.
    if random.random() < 0.02:
        jwt.decode(token, secret, ["HS256"], leeway=skew)


def bad(endpoint, over, tally):
    """Sends rubbish, and closes the connection at any time; a token in the response is a failure."""
    while not over.wait(0.02):
        try:
            with endpoint.any() as raw:
                raw.settimeout(2)
                raw.sendall(random.choice(RUBBISH))
                if random.random() < 0.7 and b'":"ey' in raw.recv(4096):
                    tally["failed"].append(f"{endpoint.address} issued a token for rubbish")
        except OSError:
            pass
        tally["bad"] += 1


def slow(endpoint, over, tally):
    """Sends one byte at a time, or nothing, or never reads, until the service closes the connection."""
    while not over.is_set():
        try:
            with endpoint.any() as raw:
                kind = random.choice(["header", "idle", "half-closed", "not reading"])
                if kind == "half-closed":
                    raw.shutdown(socket.SHUT_WR)
                elif kind == "not reading":
                    raw.sendall(b"GET /jwt_fn.js HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
                end = time.monotonic() + random.uniform(5, 30)
                while time.monotonic() < end and not over.wait(0.5):
                    if kind == "header":
                        raw.sendall(b"G")
        except OSError:
            pass
        tally["slow"] += 1


def new_tally():
    return {"good": Counter(), "refused": Counter(), "cut": 0, "bad": 0, "slow": 0, "failed": []}


def run(endpoints, tokens, secrets, seconds, counts, results):
    """Main function of a process: runs so many clients of each kind at each endpoint, and puts the tally into `results`."""
    over, tally, threads = threading.Event(), new_tally(), []
    for endpoint in endpoints:
        kinds = [(good, (endpoint, tokens, secrets, over, tally)), (bad, (endpoint, over, tally)), (slow, (endpoint, over, tally))]
        for (kind, arguments), count in zip(kinds, counts):
            threads += [threading.Thread(target=kind, args=arguments, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join(2 * PATIENCE)
        if thread.is_alive():
            tally["failed"].append("a client waits forever")
    results.put(tally)
