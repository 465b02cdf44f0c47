"""starve.py BINARY LIBFAKETIME [TRIAL…]: tests the service when resources run out, and when its clock jumps.

Each trial starts a service; good clients use it before, during and after the shortage. A trial fails if a good client gets no token without
an excuse, if a probe fails, if memory or descriptors leak, if something panics, or if the service does not stop with status 0.
"""

import base64
import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types

import jwt

import clients
import crowd
import service
from crowd import Crowd
from server import Server
from service import PATIENCE, SECRETS, Service, exchange, host_and_port, login_token, wait_until, write
from watched import Watched

# The good clients' own addresses, so that limits for the crowd's address do not affect them.
REGULAR, NEWCOMER, SERVER = "127.0.0.10", "127.0.0.11", "127.0.0.12"
PAGES = ["chat", "messaging", "help_center"]
# Seconds before and after the shortage in which only good clients are there.
ALONE = 2
# Lowest accepted number of good requests per second, far below what a busy machine can do.
ENOUGH = 5
# Longest duration of a probe in seconds. In Kubernetes the default is one, but this machine also runs the clients.
PROBE = 10
# Timeouts of the services in seconds, short so that the test sees them.
HEADERS, IDLE = 3, 6
# How many seconds later a busy machine may close a connection.
LATE = 10
HOUR = 3600
# The library that changes the time of a process.
LIBFAKETIME = None


def room_after(connections):
    """How much memory in MiB may stay allocated after so many connections: the allocator keeps up to 28 KiB of each."""
    return 2 + connections * 32 / 1024


def chat_request(token, more=""):
    return f"GET /generate/token HTTP/1.1\r\nHost: x\r\n{more}Cookie: token={token}\r\n\r\n".encode()


def outcome(server, token, product="chat"):
    """Status and error code of the response to a login token."""
    status, body = exchange(server, product, token)
    return status, body.get("code")


class Group:
    """Two good clients of one kind."""

    def __init__(self, name, endpoint, products, tokens):
        self.name, self.endpoint, self.tally, self.over = name, endpoint, clients.new_tally(), threading.Event()
        arguments = endpoint, tokens, {product: SECRETS[product] for product in products}, self.over, self.tally
        self.threads = [threading.Thread(target=clients.good, args=arguments, daemon=True) for _ in range(2)]

    def good(self):
        return self.tally["good"].total()


class Trial:
    """A service, good clients and probes; the end of the `with` block checks what must be true in every trial."""

    def __init__(self, name, tokens=None, skew=0, room=room_after(600), **settings):
        self.name, self.room = name, room
        self.settings = {"limits__header_timeout": f"{HEADERS}s", "limits__idle_timeout": f"{IDLE}s"} | settings
        self.tokens, self.skew = tokens or [login_token(sub=f"player-{number}") for number in range(50)], skew
        self.notes, self.failed, self.over = [], [], threading.Event()
        self.probes, self.slowest, self.answered, self.is_probed = 0, 0, 0, True

    def __enter__(self):
        self.running = Service(**self.settings)
        self.watched, self.address = Watched(self.running), self.running.public
        self.most = self.watched.resident()

        def endpoint(**more):
            return clients.Endpoint(self.address, down=types.SimpleNamespace(value=0), skew=self.skew, **more)

        # Clients that keep their connections, and clients that open new ones: pages, and Zendesk's servers.
        self.regulars = Group("regular", endpoint(source=REGULAR, kept=[10**9]), PAGES, self.tokens)
        self.newcomers = Group("new", endpoint(source=NEWCOMER), PAGES, self.tokens)
        self.servers = Group("server's", endpoint(source=SERVER), ["support_sdk"], self.tokens)
        self.groups = [self.regulars, self.newcomers, self.servers]
        self.prober = threading.Thread(target=self.probe, daemon=True)
        for thread in [self.prober, *(thread for group in self.groups for thread in group.threads)]:
            thread.start()
        time.sleep(ALONE)
        self.before = self.watched.resident()
        return self

    def probe(self):
        while not self.over.wait(0.1):
            for path in ("/live", "/ready"):
                begun = time.monotonic()
                try:
                    status, _ = self.watched.admin(path)
                except (OSError, http.client.HTTPException) as error:
                    status = repr(error)
                took = time.monotonic() - begun
                self.probes, self.slowest = self.probes + 1, max(self.slowest, took)
                if self.is_probed and (status != 200 or took > PROBE):
                    self.failed.append(f"{path}: {status} after {took:.1f} s")
            self.most = max(self.most, self.watched.resident())

    def note(self, text):
        """Adds to the line that the trial prints."""
        self.notes.append(str(text))

    @contextlib.contextmanager
    def shortage(self, excused=(), refusals=(), is_probed=True):
        """Meanwhile, excused groups may lose connections and get these error codes. Unless `is_probed`, probes may fail."""
        begun, cpu = time.monotonic(), self.watched.cpu()
        for group in self.groups:
            group.begun = group.good()
            group.is_excused = group in excused
            if group.is_excused:
                group.endpoint.down.value, group.endpoint.refusals = float("inf"), refusals
        self.is_probed = is_probed
        yield
        self.is_probed = True
        seconds = time.monotonic() - begun
        self.note(f"CPU {self.watched.cpu() - cpu:.1f} of {seconds:.0f} s")
        for group in self.groups:
            group.meanwhile = group.good() - group.begun
            if not group.is_excused and group.meanwhile < ENOUGH * seconds:
                self.failed.append(f"only {group.meanwhile} {group.name} requests were good in {seconds:.0f} s")
            if group.is_excused:
                group.endpoint.down.value = time.time() + ALONE

    def __exit__(self, *error):
        try:
            if not any(error):
                self.judge()
        finally:
            self.over.set()
            for group in self.groups:
                group.over.set()
            self.prober.join(PATIENCE)
            self.running.__exit__()

    def judge(self):
        for group in self.groups:
            # The excuse ends a moment later than the shortage, because of requests in flight.
            if group.is_excused:
                time.sleep(max(0, group.endpoint.down.value - time.time()))
                group.endpoint.refusals = ()
            group.ended = group.good()
        time.sleep(ALONE)
        counts = []
        for group in self.groups:
            group.over.set()
            for thread in group.threads:
                thread.join(2 * PATIENCE)
                if thread.is_alive():
                    self.failed.append(f"a {group.name} client waits forever")
            after, tally = group.good() - group.ended, group.tally
            if min(group.begun, after) < ENOUGH * ALONE:
                self.failed.append(f"only {group.begun} {group.name} requests were good before and {after} after")
            self.failed += [f"{group.name}: {failure}" for failure in tally["failed"]]
            refused = "".join(f", {count} with {code}" for code, count in sorted(tally["refused"].items()))
            self.answered += group.good() + tally["refused"].total()
            counts.append(f"{group.name} {group.begun}+{group.meanwhile}+{after}" + f" ({tally['cut']} cut{refused})" * group.is_excused)
        left = self.watched.descriptors_left_over(2 * PATIENCE)
        after = self.watched.resident()
        outcomes = [f'product="{product.replace("_", "-")}",outcome="00-14"' for product in [*PAGES, "support_sdk"]]
        broken = sum(self.watched.metric(f"zendesk_token_exchanges_total{{{outcome}}}") for outcome in outcomes)
        begun = time.monotonic()
        self.over.set()
        self.prober.join(PATIENCE)
        self.running.stop()
        ended = time.monotonic() - begun
        panicked = sum('"panicked"' in line for line in self.running.lines())
        if left > 0 or after - self.before > self.room or panicked or broken:
            more = f"{left} descriptors and {after - self.before:.1f} MiB"
            self.failed.append(f"{more} left over, {panicked} panics, {broken:.0f} answers of 500")
        print(f"{self.name}: {'; '.join(self.notes)}; good requests before+meanwhile+after: {', '.join(counts)}; {self.probes} probes, "
              f"slowest {self.slowest:.2f} s; memory {self.before:.1f}, at most {self.most:.1f}, in the end {after:.1f} MiB; "
              f"{left} descriptors left over; ended in {ended:.1f} s", flush=True)
        assert not self.failed, "\n".join([f"{self.name}:", *self.failed[:10]])


def stay(trial, kind, count, seconds, longest, answers=(), perhaps=(), shortest=0, **more):
    """Keeps a crowd for so many seconds. The service must close all its connections in time, and give these answers, and perhaps those."""
    with Crowd(kind, trial.address, count, **more) as there:
        time.sleep(seconds)
    trial.note(there)
    assert len(there.closed) >= count, f"{there}: not all connections were closed"
    assert shortest <= min(there.closed) and max(there.closed + there.open) <= longest + LATE, f"{there}: out of time"
    assert set(answers) <= set(there.answers) <= {*answers, *perhaps}, f"{there}: other answers than {answers}"
    return there


def slow_headers():
    """Headers that come one byte at a time."""
    with Trial("slow headers") as trial, trial.shortage():
        stay(trial, "slow headers", 500, 2 * HEADERS, HEADERS, shortest=HEADERS / 2)


def slow_bodies():
    """Bodies that never end, first of one client, then of so many that they use all places for bodies."""
    with Trial("slow bodies of one client") as trial, trial.shortage():
        stay(trial, "slow body", 300, 8, 5, ["400", "429"])
    with Trial("slow bodies of many clients") as trial, trial.shortage():
        # From each address fewer than its limit. The good clients need no place, because their bodies come at once.
        sources = [f"127.0.1.{number}" for number in range(1, 41)]
        stay(trial, "endless body", 600, 10, 5, ["400", "503"], sources=sources)


def idle_connections():
    """Connections without a request, and connections that stay open after one."""
    with Trial("silent connections") as trial, trial.shortage():
        stay(trial, "silent", 500, 2 * HEADERS, HEADERS, shortest=HEADERS / 2)
    with Trial("idle connections") as trial, trial.shortage():
        stay(trial, "idle", 500, 2 * IDLE, IDLE, ["200"], shortest=IDLE / 2, requests=[chat_request(trial.tokens[0])])


def half_closed_connections():
    """Clients that close their sending half, and clients that never read."""
    with Trial("half-closed connections") as trial, trial.shortage():
        for kind, *answers in [("at once",), ("in headers",), ("in body", ["400"], ["429"]), ("after request", ["200"])]:
            stay(trial, f"half-closed {kind}", 200, 3, 5, *answers, requests=[chat_request(trial.tokens[0])])
    with Trial("clients that never read") as trial, trial.shortage():
        # The longest response, which soon fills the kernel's buffer for a client.
        stay(trial, "not reading", 200, 16, 10 + IDLE, requests=[b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"])


def many_connections():
    """5,000 connections within the limit, and more connections than the limit."""
    # Four crowds: the memory of one is used again for the next, unless it leaks.
    with Trial("5,000 connections", room=room_after(5000), limits__connections="6000", limits__idle_timeout="60s") as trial:
        requests, sources = [chat_request(token) for token in trial.tokens], ["127.0.0.3", "127.0.0.4"]
        count_open = lambda: trial.watched.metric('zendesk_token_connections_open{listener="public"}')
        with trial.shortage():
            with Crowd("staying", trial.address, 5000, sources, requests) as there:
                wait_until(lambda: count_open() >= 5000, "5,000 connections")
                time.sleep(2 * crowd.GAP)
            trial.note(there)
            assert set(there.answers) == {"200"} and there.answers["200"] >= 5000 and not there.closed, there
            for _ in range(3):
                wait_until(lambda: count_open() < 500, "the connections of the last crowd are closed")
                with Crowd("idle", trial.address, 5000, sources, requests) as there:
                    pass
                assert set(there.answers) <= {"200"} and not there.closed, there
    refused = 'zendesk_token_connections_refused_total{listener="public"}'
    with Trial("more connections than the limit", limits__connections="300") as trial:
        with trial.shortage([trial.newcomers, trial.servers]), Crowd("silent", trial.address, 1000):
            wait_until(lambda: trial.watched.metric(refused) > 1000, "refused connections")
            time.sleep(HEADERS)
            trial.note(f"{trial.watched.metric(refused):,.0f} connections refused")
        assert any("all connections are in use" in line for line in trial.running.log)


def with_revocation(folder, api, cache="10m"):
    """Settings with revocation checks and a login secret in a file."""
    write(f"{folder}/login", SECRETS["login"])
    return {
        "login__secret": "", "login__secret_file": f"{folder}/login", "login__check_revocation": "true", "login__api_url": api.url,
        "login__revocation_cache": cache,
    }


def as_root(*command):
    subprocess.run(command if os.geteuid() == 0 else ["sudo", *command], check=True)


@contextlib.contextmanager
def disk(folder, megabytes):
    """Mounts a small file system."""
    as_root("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=1777", "tmpfs", folder)
    try:
        yield
    finally:
        as_root("umount", folder)


def fill(path):
    """Writes until the disk is full."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def requests_and_losses(lines):
    """The number of access log lines, of lines that the log reports as lost, and of incomplete lines."""
    entries, torn = [], 0
    for line in lines:
        try:
            entries.append(json.loads(line))
        except ValueError:
            torn += 1
    return sum(entry["message"] == "request" for entry in entries), sum(entry.get("lines", 0) for entry in entries), torn


def full_disk():
    """A full disk, so that the log cannot be written."""
    with tempfile.TemporaryDirectory() as folder, disk(folder, 32):
        log, other = f"{folder}/log", f"{folder}/other"
        with Trial("a full disk", log=log) as trial, trial.shortage():
            fill(other)
            wait_until(lambda: os.statvfs(folder).f_bfree == 0, "full disk")
            # Time to fill the log's last block.
            time.sleep(1)
            size = os.path.getsize(log)
            time.sleep(5)
            assert os.statvfs(folder).f_bfree == 0 and os.path.getsize(log) == size, "the disk was not full"
            os.remove(other)
            wait_until(lambda: os.path.getsize(log) > size + 4096, "log lines after there is space again")
        answered = trial.answered
        written, lost, torn = requests_and_losses(trial.running.lines())
        print(f"  {answered} requests answered, {written} lines of them written, {lost} reported as lost, {torn} incomplete")
        assert lost > 0 and written + lost == answered and torn <= 1, "the log does not report what it lost"


def full_pipe():
    """A pipe for the log that nothing reads."""
    with Trial("a full pipe", is_read=False, limits__idle_timeout="30s") as trial, trial.shortage():
        lines = len(trial.running.log)
        for _ in range(3):
            # More lines than the pipe and the queue can hold.
            with socket.create_connection(host_and_port(trial.address), PATIENCE) as raw:
                for _ in range(100):
                    raw.sendall(b"GET /generate/token HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
                    got = 0
                    while got < 50:
                        part = raw.recv(65_536)
                        assert part, "closed"
                        got += part.count(b'"00-00"')
        time.sleep(3)
        assert len(trial.running.log) == lines, "something reads the pipe"
        trial.running.read_on()
        wait_until(lambda: any("log lines were lost" in line for line in trial.running.log), "a line about lost lines, after the pipe is read again")
    written, lost, torn = requests_and_losses(trial.running.lines())
    print(f"  {written} lines of requests written, {lost} reported as lost, {torn} incomplete")
    assert lost > 0 and written + lost == trial.answered + 15_000 and not torn, "the log does not report what it lost"


class SteppedClock:
    """Changes the wall clock of a service with libfaketime, but not its monotonic clock, which timeouts use."""

    def __init__(self, folder):
        self.file = f"{folder}/offset"
        self.environment = {
            "LD_PRELOAD": LIBFAKETIME, "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.step(0)

    def step(self, offset):
        write(self.file, f"{offset:+d}")


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def steps(trial, clock, look):
    """The clock jumps an hour forward, back, an hour backward and back; `look` makes a trial's own checks each time."""
    begun = trial.watched.metric("process_start_time_seconds")
    with trial.shortage(), Crowd("silent", trial.address, 50) as waiting:
        for offset in [0, HOUR, 0, -HOUR, 0]:
            clock.step(offset)
            status, body = exchange(trial.address, "chat", trial.tokens[0])
            assert status == 200, body
            issued = claims_of(body["token"])
            assert abs(issued["iat"] - time.time() - offset) < PATIENCE and issued["exp"] - issued["iat"] == 300, f"{offset}: {issued}"
            look(offset)
            _, text = trial.watched.admin("/metrics")
            values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")]
            assert values and min(values) >= 0 and max(values) < float("inf"), text
            assert abs(trial.watched.metric("process_start_time_seconds") - begun) < 1, "another start"
            # Long enough for timeouts to end at each time.
            time.sleep(HEADERS)
    trial.note(waiting)
    assert min(waiting.closed) > HEADERS / 2 and max(waiting.closed + waiting.open) < HEADERS + LATE, f"{waiting}: out of time"


def ask_too_often(address, token):
    """Sends far more requests than the rate limit allows; returns how many got 200 and 429."""
    with socket.create_connection(host_and_port(address), PATIENCE, ("127.0.0.20", 0)) as raw:
        threading.Thread(target=raw.sendall, args=(chat_request(token) * 1500 + chat_request(token, "Connection: close\r\n"),)).start()
        answers = b"".join(iter(lambda: raw.recv(65_536), b""))
    return answers.count(b"HTTP/1.1 200"), answers.count(b"HTTP/1.1 429")


def clock():
    """A clock that jumps: the times in login tokens are compared with the new time, and nothing else changes."""
    now, revoked = int(time.time()), set()
    # Valid an hour earlier and later, too.
    lasting = [login_token(sub=f"player-{number}", iat=now - 2 * HOUR) for number in range(50)]
    ending, young = login_token(iat=now - 2 * HOUR, exp=now + HOUR // 2), login_token()
    fleeting = login_token(iat=now - 2 * HOUR, sub="fleeting")
    refused = json.dumps({"error": {"code": "003-061", "description": "revoked"}}).encode()

    def login_api(_, __, body, ___):
        return (401, refused) if json.loads(body)["token"] in revoked else 204

    with tempfile.TemporaryDirectory() as folder, Server(login_api) as api:
        stepped, secrets = SteppedClock(folder), [SECRETS["login"], os.urandom(32).hex()]
        write(f"{folder}/previous", secrets[1])
        settings = with_revocation(folder, api, "2s") | {
            "login__previous_secret_file": f"{folder}/previous", "rate_limit__per_second": "300",
        }
        with Trial("a clock that jumps", lasting, 2 * HOUR, environment=stepped.environment, **settings) as trial:
            address, done = trial.address, 'zendesk_token_reloads_total{outcome="done"}'
            from_limited = lambda: http.client.HTTPConnection(*host_and_port(address), PATIENCE, ("127.0.0.20", 0))

            def look(offset):
                late, early = (401, "00-01"), offset < 0
                assert outcome(address, ending) == (late if offset > 0 else (200, None)), f"{offset}: a login that ends"
                assert outcome(address, young) == (late if early else (200, None)), f"{offset}: a login that begins"
                assert outcome(address, young, "support_sdk") == ((503, "00-07") if early else (200, None)), f"{offset}: the same"
                wait_until(lambda: outcome(address, fleeting)[0] == 200, f"{offset}: a login that is not revoked")
                revoked.add(fleeting)
                wait_until(lambda: outcome(address, fleeting) == (401, "00-01"), f"{offset}: a login that is revoked")
                revoked.clear()
                good, too_many = ask_too_often(trial.address, lasting[0])
                assert good >= 300 and too_many > 0, f"{offset}: {good} served, {too_many} refused"
                wait_until(lambda: outcome(from_limited(), lasting[0])[0] == 200, f"{offset}: a client that waited")
                reloads = trial.watched.metric(done)
                secrets.reverse()
                write(f"{folder}/previous", secrets[1])
                write(f"{folder}/login", secrets[0])
                wait_until(lambda: trial.watched.metric(done) > reloads, f"{offset}: a reload")

            steps(trial, stepped, look)


class Rsa:
    """A login project's key, made by OpenSSL."""

    def __init__(self, folder):
        self.file = f"{folder}/rsa"
        subprocess.run(["openssl", "genrsa", "-out", self.file, "2048"], check=True, capture_output=True)
        modulus = subprocess.run(["openssl", "rsa", "-in", self.file, "-noout", "-modulus"], check=True, capture_output=True).stdout
        self.modulus = encoded(bytes.fromhex(modulus.decode().strip().split("=")[1]))

    def published(self, key_id):
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key_id, "n": self.modulus, "e": "AQAB"}

    def sign(self, key_id, **claims):
        parts = [encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT", "kid": key_id}, claims)]
        command = ["openssl", "dgst", "-sha256", "-sign", self.file]
        signature = subprocess.run(command, input=".".join(parts).encode(), check=True, capture_output=True).stdout
        return ".".join([*parts, encoded(signature)])


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def published_keys():
    """A clock that jumps, and published keys: their age does not depend on the wall clock."""
    published, fetches = [], []

    def login_api(*_):
        fetches.append(time.monotonic())
        return 200, json.dumps({"keys": published}).encode()

    with tempfile.TemporaryDirectory() as folder, Server(login_api) as api:
        stepped, key, now = SteppedClock(folder), Rsa(folder), int(time.time())
        project = "40db2ea4-5d42-11e6-a3ff-005056a0e04a"

        def token(key_id):
            claims = claims_of(login_token(iat=now - 2 * HOUR, xsolla_login_project_id=project))
            return key.sign(key_id, **claims)

        published.append(key.published("0"))
        settings = {
            "login__secret": "", "login__algorithm": "RS256", "login__project_id": project, "login__api_url": api.url,
            "login__keys_cooldown": "1s", "login__keys_max_age": "60s",
        }
        with Trial("a clock that jumps, and published keys", [token("0")], 2 * HOUR, environment=stepped.environment, **settings) as trial:

            def look(offset):
                key_id = str(len(published))
                published.append(key.published(key_id))
                rotated_in = token(key_id)
                wait_until(lambda: outcome(trial.address, rotated_in)[0] == 200, f"{offset}: a new key")
                count = len(fetches)
                unknown = token("unknown")
                wait_until(lambda: len(fetches) > count or outcome(trial.address, unknown)[0] == 200, f"{offset}: a fetch after the cooldown")
                age = trial.watched.metric("zendesk_token_key_age_seconds")
                assert 0 <= age < 60, f"{offset}: keys are {age} s old"

            steps(trial, stepped, look)
            gaps = [later - earlier for earlier, later in zip(fetches, fetches[1:])]
            trial.note(f"{len(fetches)} fetches")
            assert min(gaps) > 0.9, f"fetched again after {min(gaps):.1f} s, before the cooldown ended"


def failed_accepts(running):
    return sum("can't accept connections" in line for line in running.log)


def few_descriptors():
    """The smallest allowed number of file descriptors, with all connections in use and a slow Login API: there are enough."""
    good = [login_token(sub=f"player-{number}") for number in range(50)]

    def login_api(_, __, body, ___):
        if json.loads(body)["token"] not in good:
            time.sleep(4)
        return 204

    with Server(login_api) as api, tempfile.TemporaryDirectory() as folder:
        limit = {"before": ["prlimit", "--nofile=1100:1100"]}
        few = Trial("few file descriptors", good, room=room_after(1200), **with_revocation(folder, api), **limit)
        with few as trial, trial.shortage([trial.newcomers, trial.servers], ["00-07"]):
            others = [chat_request(login_token(sub=f"other-{number}")) for number in range(3000)]
            with Crowd("staying", trial.address, 500, requests=others) as asking, Crowd("silent", trial.address, 700):
                reloads = trial.watched.metric('zendesk_token_reloads_total{outcome="done"}')
                most = 0
                for _ in range(80):
                    time.sleep(0.1)
                    most = max(most, trial.watched.descriptors())
                trial.running.process.send_signal(signal.SIGHUP)
                wait_until(lambda: trial.watched.metric('zendesk_token_reloads_total{outcome="done"}') > reloads, "a reload")
            trial.note(f"{most} of 1100 descriptors in use, {asking}")
            assert most > 900 and asking.answers["200"] > 0 and set(asking.answers) <= {"200", "503"}, asking
        assert not failed_accepts(trial.running), "a connection could not be accepted"


def no_descriptors():
    """No file descriptor left, because the limit was lowered: open connections work, new ones wait, and the service does not spin."""
    good = [login_token(sub=f"player-{number}") for number in range(50)]
    with Server(lambda *_: 204) as api, tempfile.TemporaryDirectory() as folder:
        none = Trial("no file descriptors", good, limits__idle_timeout="60s", **with_revocation(folder, api))
        with none as trial, trial.shortage([trial.newcomers, trial.servers], ["00-07"], is_probed=False):
            watched, pid = trial.watched, trial.watched.pid
            held = clients.Endpoint(trial.address).connect()
            assert exchange(held, "chat", good[0])[0] == 200
            few, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (watched.descriptors() + 20, most))
            with Crowd("silent", trial.address, 300) as silent:
                begun, cpu, refused = time.monotonic(), watched.cpu(), 0
                while time.monotonic() - begun < 10:
                    try:
                        refused += outcome(trial.address, good[0])[0] != 200
                    except (OSError, http.client.HTTPException):
                        refused += 1
                    time.sleep(0.1)
                spent = (watched.cpu() - cpu) / (time.monotonic() - begun)
                status, body = exchange(held, "chat", login_token(sub="another"))
                assert status == 200 or body["code"] == "00-07", body
                trial.running.process.send_signal(signal.SIGHUP)
                reloads = ['zendesk_token_reloads_total{outcome="done"}', 'zendesk_token_reloads_total{outcome="failed"}']
                wait_until(lambda: sum(map(watched.metric, reloads)) > 0, "a reload, done or failed")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, most))
            held.close()
            trial.note(f"{refused} new connections had no answer in time, {failed_accepts(trial.running)} log lines about it, {spent:.0%} of a core, {silent}")
            assert failed_accepts(trial.running) > 0, "there were enough descriptors"
            assert spent < 0.5 and failed_accepts(trial.running) < 100, f"it spins: {spent:.0%} of a core"
            done = watched.metric(reloads[0])
            trial.running.process.send_signal(signal.SIGHUP)
            wait_until(lambda: watched.metric(reloads[0]) > done, "a reload afterwards")


TRIALS = [
    slow_headers, slow_bodies, idle_connections, half_closed_connections, many_connections, full_disk, full_pipe, clock, published_keys,
    few_descriptors, no_descriptors,
]

if __name__ == "__main__":
    service.BINARY, LIBFAKETIME = os.path.abspath(sys.argv[1]), sys.argv[2]
    # This process also runs the Login API, with a connection for each of the service's.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for trial in TRIALS:
        if not sys.argv[3:] or trial.__name__ in sys.argv[3:]:
            trial()
