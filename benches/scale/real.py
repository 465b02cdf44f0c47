"""real.py NGINX [PROGRAM]: checks the model with one, two and four real processes behind nginx, and measures the CPU time of a request.

PROGRAM is what `cargo build --profile dist` makes, by default. Everything is on loopback: the processes ask a stand-in for the Login
API, which answers after LATENCY. No answer is cached.
"""

import asyncio
import itertools
import os
import sys
import tempfile
import threading
import time
from contextlib import ExitStack

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../tests/outside"))

import service  # noqa: E402
from model import SLOTS  # noqa: E402
from proxy import OWN_HOST, Proxy, certificate  # noqa: E402
from server import Server  # noqa: E402
from service import Service, ask, login_token  # noqa: E402

LATENCY = 0.2  # seconds
IN_FLIGHT = 64  # limits.requests_in_flight of each process: 16 wait slots
LIMIT = 100  # calls a second of the Login API in the last case
SECONDS = 5
CLIENTS = 100  # more than the wait slots of four processes
PAUSE = 0.1  # seconds before a client that was refused asks again


class LoginApi(Server):
    """Answers each call after its latency; with a limit, 429 to what is over it."""

    def __init__(self, latency, limit, *files):
        self.latency, self.limit, self.calls, self.lock = latency, limit, [], threading.Lock()
        super().__init__(self.validate, *files)

    def validate(self, *_):
        now = time.monotonic()
        with self.lock:
            self.calls = [at for at in self.calls if at > now - 1]
            is_over = self.limit is not None and len(self.calls) >= self.limit
            if not is_over:
                self.calls.append(now)
        time.sleep(self.latency)
        return 429 if is_over else 204


class Replicas:
    """As many processes as there are replicas, for config/nginx.conf."""

    def __init__(self, count, stack, **settings):
        self.services = [stack.enter_context(Service(**settings)) for _ in range(count)]
        *others, last = [running.public for running in self.services]
        # The file has two lines for servers; the first one becomes all but the last. A single process is in both.
        self.addresses = [" max_fails=0;\n        server ".join(others or [last]), last]

    def cpu(self):
        """Seconds of CPU time of all processes."""
        texts = [ask(running.admin, "/metrics")[2] for running in self.services]
        return sum(float(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("process_cpu_seconds_total "))


async def load(proxy, tokens, results):
    """CLIENTS clients for SECONDS: each asks with the next token after each response."""
    end = time.monotonic() + SECONDS

    async def client():
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=proxy.context, server_hostname=OWN_HOST)
        while time.monotonic() < end:
            head = f"GET /generate/token HTTP/1.1\r\nHost: {OWN_HOST}:{proxy.port}\r\nCookie: token={next(tokens)}\r\n\r\n"
            writer.write(head.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
            status = head.split()[1]
            results.append((time.monotonic(), status))
            if status == "503":
                await asyncio.sleep(PAUSE)
        writer.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


def measure(program, folder, count, in_flight=1024, latency=None, limit=None):
    """Tokens a second, CPU microseconds of a response, and statuses, with this many processes. With a latency they ask the Login API."""
    with ExitStack() as stack:
        files = f"{folder}/cert.pem", f"{folder}/cert.pem.key"
        api = stack.enter_context(LoginApi(latency, limit, *files))
        asking = {"check_revocation": "true", "revocation_cache": "0s", "api_url": api.url, "ca_file": files[0]} if latency else {}
        replicas = Replicas(count, stack, limits__requests_in_flight=str(in_flight), **{f"login__{name}": value for name, value in asking.items()})
        proxy = stack.enter_context(Proxy(program, tempfile.mkdtemp(dir=folder), replicas))
        now = int(time.time())
        tokens = itertools.cycle([login_token(iat=now - 60, exp=now + 3600, sub=str(number)) for number in range(5_000)])
        results, before = [], replicas.cpu()
        asyncio.run(load(proxy, tokens, results))
        used = replicas.cpu() - before
        first = results[0][0]
        # Without the beginning and the end, when not all clients are there.
        steady = [status for at, status in results if 1 < at - first < SECONDS - 0.5]
        issued = sum(status == "200" for status in steady) / (SECONDS - 1.5)
        return issued, used / len(results) * 1e6, {status: steady.count(status) for status in sorted(set(steady))}


def main(program, binary=os.path.join(HERE, "../../target/dist/zendesk-token")):
    service.BINARY = binary
    assert os.access(binary, os.X_OK), f"build it first: {binary}"
    with tempfile.TemporaryDirectory() as folder:
        certificate(folder)
        print(f"{CLIENTS} clients, nginx, {IN_FLIGHT * SLOTS:.0f} wait slots each, the Login API answers after {LATENCY} s")
        print(f"{'processes':<12}{'tokens/s':>10}{'model':>8}{'ratio':>8}")
        for count, limit in [(1, None), (2, None), (4, None), (4, LIMIT)]:
            issued, _, statuses = measure(program, folder, count, IN_FLIGHT, LATENCY, limit)
            model = min(count * IN_FLIGHT * SLOTS / LATENCY, limit or float("inf"))
            name = f"{count}, limit {limit}" if limit else str(count)
            print(f"{name:<12}{issued:>10.0f}{model:>8.0f}{issued / model:>8.2f}  {statuses}", flush=True)
        print("CPU time of a request")
        for name, latency in [("without", None), ("with revocation", 0.001)]:
            for count in [1, 2, 4]:
                issued, cpu, statuses = measure(program, folder, count, 4096, latency)
                print(f"{name}, {count}: {cpu:.0f} µs at {issued:.0f} tokens/s  {statuses}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
