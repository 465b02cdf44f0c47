"""A crowd: hundreds or thousands of clients that occupy connections, in a process of their own.

A client keeps its connection until the service closes it, and then connects again. Each kind of client is a function in KINDS that
counts the statuses of the responses and returns when the service closes the connection.
"""

import asyncio
import itertools
import multiprocessing
import resource
import socket
from collections import Counter
from functools import partial

from service import PATIENCE, host_and_port, wait_until

CONTEXT = multiprocessing.get_context("spawn")
# Seconds between two bytes of a slow client, and before a client connects again.
BYTE, AGAIN = 0.2, 0.5
# Seconds between two requests on a connection.
GAP = 5
POST = b"POST /support-sdk/token HTTP/1.1\r\nHost: x\r\n"
ASK = b"GET /generate/token HTTP/1.1\r\nHost: x\r\nCookie: token=rubbish\r\n\r\n"


async def receive(raw):
    return await asyncio.get_running_loop().sock_recv(raw, 65_536)


async def send(raw, data):
    await asyncio.get_running_loop().sock_sendall(raw, data)


def count(answers, answer):
    # A response that is not long arrives in one piece.
    if answer.startswith(b"HTTP/1.1 "):
        answers[answer[9:12].decode()] += 1


async def until_closed(raw, answers, *_):
    while part := await receive(raw):
        count(answers, part)


async def trickle(raw, answers, _, head, piece):
    """Sends the head at once, and then one piece after another."""
    await send(raw, head)
    while True:
        try:
            part = await asyncio.wait_for(receive(raw), BYTE)
        except TimeoutError:
            await send(raw, piece)
            continue
        if not part:
            return
        count(answers, part)


async def ask(raw, answers, request):
    """Returns whether a complete response came."""
    await send(raw, request)
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer) < length(answer):
        part = await receive(raw)
        if not part:
            return False
        answer += part
    count(answers, answer)
    return True


def length(answer):
    head, _ = answer.lower().split(b"\r\n\r\n", 1)
    return len(head) + 4 + int(head.split(b"content-length: ")[1].split(b"\r\n")[0])


async def idle(raw, answers, requests):
    """Sends one request and keeps the connection."""
    if await ask(raw, answers, next(requests)):
        await until_closed(raw, answers)


async def staying(raw, answers, requests):
    while await ask(raw, answers, next(requests)):
        await asyncio.sleep(GAP)


async def half_closed(raw, answers, requests, data=None):
    """Sends this data, or a request, and closes its sending half."""
    await send(raw, next(requests) if data is None else data)
    raw.shutdown(socket.SHUT_WR)
    await until_closed(raw, answers)


async def not_reading(raw, _, requests):
    """Sends requests and never reads."""
    while True:
        await send(raw, next(requests) * 100)
        # Let the other clients send too, so that the service does not time them out.
        await asyncio.sleep(BYTE / 10)


KINDS = {
    "silent": until_closed, "idle": idle, "staying": staying, "not reading": not_reading,
    "slow headers": partial(trickle, head=b"GET /generate/token HTTP/1.1\r\nX-Slow: ", piece=b"x"),
    "slow body": partial(trickle, head=POST + b"Content-Length: 1000\r\n\r\n", piece=b"x"),
    "endless body": partial(trickle, head=POST + b"Transfer-Encoding: chunked\r\n\r\n", piece=b"1\r\nx\r\n"),
    "half-closed at once": partial(half_closed, data=b""),
    "half-closed in headers": partial(half_closed, data=ASK[:30]),
    "half-closed in body": partial(half_closed, data=POST + b"Content-Length: 1000\r\n\r\nuser_token="),
    "half-closed after request": half_closed,
}


async def client(kind, address, source, requests, tally, connected):
    loop, is_first = asyncio.get_running_loop(), True
    while True:
        with socket.socket() as raw:
            raw.setblocking(False)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            # Choose the port when connecting: a port chosen earlier must not be in TIME_WAIT, and earlier crowds leave many of those.
            raw.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            raw.bind((source, 0))
            try:
                await loop.sock_connect(raw, address)
            except OSError:
                tally["not connected"] += 1
                await asyncio.sleep(AGAIN)
                continue
            begun = loop.time()
            if is_first:
                is_first = False
                connected.value += 1
            try:
                await KINDS[kind](raw, tally["answers"], requests)
            except OSError:
                pass
            except asyncio.CancelledError:
                tally["open"].append(loop.time() - begun)
                raise
            tally["closed"].append(loop.time() - begun)
        await asyncio.sleep(AGAIN)


async def gather(kind, address, count, sources, requests, connected, over):
    requests, tally = itertools.cycle(requests), {"answers": Counter(), "closed": [], "open": [], "not connected": 0}
    members = [
        asyncio.create_task(client(kind, address, sources[number % len(sources)], requests, tally, connected)) for number in range(count)
    ]
    while not over.is_set() and not any(member.done() for member in members):
        await asyncio.sleep(0.1)
    failed, left = [repr(member.exception()) for member in members if member.done()], set(members)
    # Repeated, because a task whose timeout ends at the same moment misses the cancellation.
    while left:
        for member in left:
            member.cancel()
        _, left = await asyncio.wait(left, timeout=1)
    return tally | {"failed": failed}


def run(results, *arguments):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    results.put(asyncio.run(gather(*arguments)))


class Crowd:
    """Clients of one kind, from one or more addresses, until the end of the `with` block. Then `closed` has the durations in seconds of the
    connections that the service closed, `open` those of the others, and `answers` the number of responses by status."""

    def __init__(self, kind, address, count, sources=("127.0.0.3",), requests=(ASK,)):
        self.name, self.count = kind, count
        self.connected, self.over, self.results = CONTEXT.Value("i", 0), CONTEXT.Event(), CONTEXT.Queue()
        arguments = kind, host_and_port(address), count, sources, list(requests), self.connected, self.over
        self.process = CONTEXT.Process(target=run, args=(self.results, *arguments), daemon=True)

    def __enter__(self):
        self.process.start()
        what = lambda: f"{self.count} clients ({self.name}) connected, not only {self.connected.value}"
        wait_until(lambda: self.connected.value >= self.count or not self.process.is_alive(), what, 3 * PATIENCE)
        assert self.process.is_alive(), what()
        return self

    def __exit__(self, *error):
        self.over.set()
        try:
            tally = self.results.get(timeout=PATIENCE)
        finally:
            self.process.join(PATIENCE)
            self.process.kill()
        self.answers, self.closed, self.open = tally["answers"], tally["closed"], tally["open"]
        assert any(error) or not tally["failed"], tally["failed"][:3]

    def __str__(self):
        answers = "".join(f", {count:,} of {status}" for status, count in sorted(self.answers.items()))
        closed = f", each after {min(self.closed):.1f} to {max(self.closed):.1f} s" if self.closed else ""
        return f"{self.count:,} clients ({self.name}): {len(self.closed):,} connections closed by the service{closed}{answers}"
