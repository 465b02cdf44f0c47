"""Does the service live through want: of clients that hurry, of connections, of disk, of time that passes evenly, of file descriptors?

starve.py BINARY LIBFAKETIME [TRIAL…]: each trial, or each that is named, starts a service, and lets good clients ask it before, while and
after it is starved. Fails when one of them gets no token and nothing excuses that, when a probe is not answered, when memory or
descriptors are left over, when something panicked, or when the service does not end well.
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

import clients
import crowd
import service
from crowd import Crowd
from server import Server
from service import PATIENCE, SECRETS, Service, login_token, write
from watched import Watched

# Good clients come from addresses of their own: where it matters who asks, that is not the crowd.
REGULAR, NEWCOMER, SERVER = "127.0.0.10", "127.0.0.11", "127.0.0.12"
PAGES = ["chat", "messaging", "help_center"]
# How long good clients are by themselves before and after, in seconds.
ALONE = 2
# How many of their requests have to be answered in each second, far below what a busy machine manages.
ENOUGH = 5
# Longest wait of a probe, in seconds; Kubernetes' own is one, on a machine that does less besides.
PROBE = 3
# Of the services here, in seconds; short ones, that there is something to see.
HEADERS, IDLE = 3, 6
# What a client of a crowd may stay beyond that on a busy machine.
LATE = 10
HOUR = 3600
# The library that shows a process another time.
LIBFAKETIME = None


def room_after(connections):
    """What may be held beyond before after so many connections at once, in MiB: the allocator keeps up to 28 KiB of each for the next."""
    return 2 + connections * 32 / 1024


def until(is_so, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < end, f"not within {patience} s: {what}"
        time.sleep(0.05)


def chat_request(token, more=""):
    return f"GET /generate/token HTTP/1.1\r\nHost: x\r\n{more}Cookie: token={token}\r\n\r\n".encode()


def ask(running, token, path="/generate/token", source="", **headers):
    """Status and body, on a connection of its own."""
    host, port = running.public.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE, source_address=(source, 0) if source else None)
    with contextlib.closing(connection):
        if path == "/support-sdk/token":
            connection.request("POST", path, f"user_token={token}", clients.FORM | headers)
        else:
            connection.request("GET", path, headers={"Cookie": f"token={token}"} | headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
    return answer.status, body.get("code"), body


class Excuse:
    """Until when connections may be cut, as a `Place` wants to know."""

    value = 0


class Group:
    """Some good clients of one kind."""

    def __init__(self, name, place, products, tokens, count=2):
        self.name, self.place, self.tally, self.over = name, place, clients.new_tally(), threading.Event()
        arguments = place, tokens, {product: SECRETS[product] for product in products}, self.over, self.tally
        self.threads = [threading.Thread(target=clients.good, args=arguments, daemon=True) for _ in range(count)]

    def good(self):
        return self.tally["good"].total()


class Trial:
    """A service, good clients, and probes. What must hold in every trial is judged when it ends."""

    def __init__(self, name, tokens=None, skew=0, room=room_after(600), **settings):
        self.name, self.room = name, room
        self.settings = {"limits__header_timeout": f"{HEADERS}s", "limits__idle_timeout": f"{IDLE}s"} | settings
        self.tokens, self.skew = tokens or [login_token(sub=f"player-{number}") for number in range(50)], skew
        self.said, self.failed, self.over = [], [], threading.Event()
        self.probes, self.slowest, self.answered, self.is_probed = 0, 0, 0, True

    def __enter__(self):
        self.running = Service(**self.settings)
        self.watched, self.address = Watched(self.running), self.running.public
        self.most = self.watched.resident()

        def place(**more):
            return clients.Place(self.address, down=Excuse(), skew=self.skew, **more)

        # Those who stay on their connections, and those who come and go, Zendesk's servers among them.
        self.regulars = Group("regular", place(source=REGULAR, kept=[10**9]), PAGES, self.tokens)
        self.newcomers = Group("new", place(source=NEWCOMER), PAGES, self.tokens)
        self.servers = Group("server's", place(source=SERVER), ["support_sdk"], self.tokens)
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

    def say(self, what):
        self.said.append(str(what))

    @contextlib.contextmanager
    def starved(self, excused=(), refusals=(), is_probed=True):
        """While this lasts, connections of the excused groups may be cut, and they bear these refusals; probes may fail where they
        do not count."""
        begun, cpu = time.monotonic(), self.watched.cpu()
        for group in self.groups:
            group.begun = group.good()
            group.is_excused = group in excused
            if group.is_excused:
                group.place.down.value, group.place.refusals = float("inf"), refusals
        self.is_probed = is_probed
        yield
        self.is_probed = True
        seconds = time.monotonic() - begun
        self.say(f"CPU {self.watched.cpu() - cpu:.1f} of {seconds:.0f} s")
        for group in self.groups:
            group.meanwhile = group.good() - group.begun
            if not group.is_excused and group.meanwhile < ENOUGH * seconds:
                self.failed.append(f"only {group.meanwhile} {group.name} requests were good in {seconds:.0f} s")
            if group.is_excused:
                group.place.down.value = time.time() + ALONE

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
            # An excuse ends a moment later, for what was on its way.
            if group.is_excused:
                time.sleep(max(0, group.place.down.value - time.time()))
                group.place.refusals = ()
            group.ended = group.good()
        time.sleep(ALONE)
        counts = []
        for group in self.groups:
            group.over.set()
            for thread in group.threads:
                thread.join(2 * PATIENCE)
                if thread.is_alive():
                    self.failed.append(f"a {group.name} client waits for ever")
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
        print(f"{self.name}: {'; '.join(self.said)}; good requests before+meanwhile+after: {', '.join(counts)}; {self.probes} probes, "
              f"slowest {self.slowest:.2f} s; memory {self.before:.1f}, at most {self.most:.1f}, in the end {after:.1f} MiB; "
              f"{left} descriptors left over; ended in {ended:.1f} s", flush=True)
        assert not self.failed, "\n".join([f"{self.name}:", *self.failed[:10]])


def stay(trial, kind, count, seconds, longest, answers=(), perhaps=(), shortest=0, **more):
    """Has a crowd there for so long: all of it is closed by the service in time, and gets these answers and at most those others."""
    with Crowd(kind, trial.address, count, **more) as there:
        time.sleep(seconds)
    trial.say(there)
    assert len(there.closed) >= count, f"{there}: not all were closed once"
    assert shortest <= min(there.closed) and max(there.closed + there.open) <= longest + LATE, f"{there}: out of time"
    assert set(answers) <= set(there.answers) <= {*answers, *perhaps}, f"{there}: other answers than {answers}"
    return there


def slow_headers():
    """Headers that come a byte at a time."""
    with Trial("slow headers") as trial, trial.starved():
        stay(trial, crowd.slow_headers, 500, 2 * HEADERS, HEADERS, shortest=HEADERS / 2)


def slow_bodies():
    """Bodies that never end: of one client, and then of so many that they have all places. A server's comes at once and needs none."""
    with Trial("slow bodies of one client") as trial, trial.starved():
        stay(trial, crowd.slow_body, 300, 8, 5, ["400", "429"])
    with Trial("slow bodies of many clients") as trial, trial.starved():
        # More than all places for bodies, of which each client has less than its share.
        sources = [f"127.0.1.{number}" for number in range(1, 41)]
        stay(trial, crowd.endless_body, 600, 10, 5, ["400", "503"], sources=sources)


def idle_sockets():
    """Sockets that say nothing, and those that have nothing more to say."""
    with Trial("silent sockets") as trial, trial.starved():
        stay(trial, crowd.silent, 500, 2 * HEADERS, HEADERS, shortest=HEADERS / 2)
    with Trial("idle sockets") as trial, trial.starved():
        stay(trial, crowd.idle, 500, 2 * IDLE, IDLE, ["200"], shortest=IDLE / 2, requests=[chat_request(trial.tokens[0])])


def half_closed_sockets():
    """Sockets whose client has closed its half, and those whose client never reads."""
    with Trial("half-closed sockets") as trial, trial.starved():
        for kind, answers, perhaps in [
            (crowd.half_before, [], []), (crowd.half_in_headers, [], []), (crowd.half_in_body, ["400"], ["429"]),
            (crowd.half_after, ["200"], []),
        ]:
            stay(trial, kind, 200, 3, 5, answers, perhaps, requests=[chat_request(trial.tokens[0])])
    with Trial("sockets that nobody reads") as trial, trial.starved():
        # The longest answer that there is soon fills what the kernel holds for a client.
        stay(trial, crowd.deaf, 200, 16, 10 + IDLE, requests=[b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"])


def crowded():
    """5,000 connections at once with room for them, and more connections than there is room for."""
    # What one crowd leaves is there for the next: were it lost, four would leave more.
    with Trial("5,000 connections", room=room_after(5000), limits__connections="6000", limits__idle_timeout="60s") as trial:
        requests, sources = [chat_request(token) for token in trial.tokens], ["127.0.0.3", "127.0.0.4"]
        with trial.starved():
            with Crowd(crowd.staying, trial.address, 5000, sources, requests) as there:
                until(lambda: trial.watched.metric('zendesk_token_connections_open{listener="public"}') >= 5000, "5,000 connections")
                time.sleep(2 * crowd.GAP)
            trial.say(there)
            assert set(there.answers) == {"200"} and there.answers["200"] >= 5000 and not there.closed, there
            for _ in range(3):
                with Crowd(crowd.idle, trial.address, 5000, sources, requests) as there:
                    pass
                assert set(there.answers) <= {"200"} and not there.closed, there
    refused = 'zendesk_token_connections_refused_total{listener="public"}'
    with Trial("more connections than there may be", limits__connections="300") as trial:
        with trial.starved([trial.newcomers, trial.servers]), Crowd(crowd.silent, trial.address, 1000):
            until(lambda: trial.watched.metric(refused) > 1000, "refused connections")
            time.sleep(HEADERS)
            trial.say(f"{trial.watched.metric(refused):,.0f} connections refused")
        assert any("all connections are in use" in line for line in trial.running.log)


def as_root(*command):
    subprocess.run(command if os.geteuid() == 0 else ["sudo", *command], check=True)


@contextlib.contextmanager
def disk(folder, megabytes):
    """A disk of its own, of that size."""
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
    """How many lines say that a request was answered, and how many lines are said to be lost; one that was torn is no line."""
    entries, torn = [], 0
    for line in lines:
        try:
            entries.append(json.loads(line))
        except ValueError:
            torn += 1
    return sum(entry["message"] == "request" for entry in entries), sum(entry.get("lines", 0) for entry in entries), torn


def full_disk():
    """A disk without room for the log."""
    with tempfile.TemporaryDirectory() as folder, disk(folder, 32):
        log, other = f"{folder}/log", f"{folder}/other"
        with Trial("a full disk", log=log) as trial, trial.starved():
            fill(other)
            until(lambda: os.statvfs(folder).f_bfree == 0, "full disk")
            # What is left of the log's last block.
            time.sleep(1)
            size = os.path.getsize(log)
            time.sleep(5)
            assert os.statvfs(folder).f_bfree == 0 and os.path.getsize(log) == size, "the disk was not full"
            os.remove(other)
            until(lambda: os.path.getsize(log) > size + 4096, "log lines, once there is room again")
        answered = trial.answered
        written, lost, torn = requests_and_losses(trial.running.lines())
        print(f"  {answered} requests answered, {written} lines of them written, {lost} told lost, {torn} torn")
        assert lost > 0 and written + lost == answered and torn <= 1, "the log does not tell what it lost"


def full_pipe():
    """A reader of the log that does not read."""
    with Trial("a full pipe", is_read=False, limits__idle_timeout="30s") as trial, trial.starved():
        host, port = trial.address.rsplit(":", 1)
        for _ in range(3):
            # More lines than pipe and queue hold.
            with socket.create_connection((host, int(port)), PATIENCE) as raw:
                for _ in range(100):
                    raw.sendall(b"GET /generate/token HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
                    got = 0
                    while got < 50:
                        part = raw.recv(65_536)
                        assert part, "closed"
                        got += part.count(b'"00-00"')
        time.sleep(3)
        assert len(trial.running.log) == 1, "somebody reads"
        trial.running.read_on()
        until(lambda: any("log lines were lost" in line for line in trial.running.log), "lines, once somebody reads again")
    written, lost, torn = requests_and_losses(trial.running.lines())
    print(f"  {written} lines of requests written, {lost} told lost, {torn} torn")
    assert lost > 0 and written + lost == trial.answered + 15_000 and not torn, "the log does not tell what it lost"


class SteppedClock:
    """The time of a service that libfaketime is loaded into; the machine's own, and the one that timeouts go by, stay as they are."""

    def __init__(self, folder):
        self.file = f"{folder}/offset"
        self.environment = {
            "LD_PRELOAD": LIBFAKETIME, "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.step(0)

    def step(self, offset):
        self.offset = offset
        write(self.file, f"{offset:+d}")


def claims_of(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def steps(trial, clock, look):
    """Has the clock jump an hour forward, back, backward and back again; `look` looks closer each time."""
    begun = trial.watched.metric("process_start_time_seconds")
    with trial.starved(), Crowd(crowd.silent, trial.address, 50) as waiting:
        for offset in [0, HOUR, 0, -HOUR, 0]:
            clock.step(offset)
            status, _, body = ask(trial.running, trial.tokens[0])
            assert status == 200, body
            issued = claims_of(body["token"])
            assert abs(issued["iat"] - time.time() - offset) < PATIENCE and issued["exp"] - issued["iat"] == 300, f"{offset}: {issued}"
            look(offset)
            _, text = trial.watched.admin("/metrics")
            values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")]
            assert values and min(values) >= 0 and max(values) < float("inf"), text
            assert abs(trial.watched.metric("process_start_time_seconds") - begun) < 1, "another start"
            # Long enough for what waits to end in each of the hours.
            time.sleep(HEADERS)
    trial.say(waiting)
    assert min(waiting.closed) > HEADERS / 2 and max(waiting.closed + waiting.open) < HEADERS + LATE, f"{waiting}: out of time"


def ask_too_often(address, token):
    """Asks far more often than a client may, all at once; how often each status came."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), PATIENCE, ("127.0.0.20", 0)) as raw:
        threading.Thread(target=raw.sendall, args=(chat_request(token) * 1500 + chat_request(token, "Connection: close\r\n"),)).start()
        answers = b"".join(iter(lambda: raw.recv(65_536), b""))
    return answers.count(b"HTTP/1.1 200"), answers.count(b"HTTP/1.1 429")


def clock():
    """A clock that jumps: what a login says of times is judged by the new one, and nothing else notices."""
    now, revoked = int(time.time()), set()
    # Theirs are good an hour before and after, too.
    lasting = [login_token(sub=f"player-{number}", iat=now - 2 * HOUR) for number in range(50)]
    ending, young = login_token(iat=now - 2 * HOUR, exp=now + HOUR // 2), login_token()
    fleeting = login_token(iat=now - 2 * HOUR, sub="fleeting")
    refused = json.dumps({"error": {"code": "003-061", "description": "revoked"}}).encode()

    def login_api(_, __, body, ___):
        return (401, refused) if json.loads(body)["token"] in revoked else 204

    with tempfile.TemporaryDirectory() as folder, Server(login_api) as api:
        stepped, secrets = SteppedClock(folder), [SECRETS["login"], os.urandom(32).hex()]
        write(f"{folder}/login", secrets[0])
        write(f"{folder}/previous", secrets[1])
        settings = {
            "login__secret": "", "login__secret_file": f"{folder}/login", "login__previous_secret_file": f"{folder}/previous",
            "login__check_revocation": "true", "login__api_url": api.url, "login__revocation_cache": "2s", "rate_limit__per_second": "300",
        }
        with Trial("a clock that jumps", lasting, 2 * HOUR, environment=stepped.environment, **settings) as trial:
            running, done = trial.running, 'zendesk_token_reloads_total{outcome="done"}'

            def look(offset):
                late, early = (401, "00-01"), offset < 0
                assert ask(running, ending)[:2] == (late if offset > 0 else (200, None)), f"{offset}: a login that ends"
                assert ask(running, young)[:2] == (late if early else (200, None)), f"{offset}: a login that begins"
                assert ask(running, young, "/support-sdk/token")[:2] == ((503, "00-07") if early else (200, None)), f"{offset}: the same"
                until(lambda: ask(running, fleeting)[0] == 200, f"{offset}: a login that stands")
                revoked.add(fleeting)
                until(lambda: ask(running, fleeting)[:2] == (401, "00-01"), f"{offset}: a login that is revoked")
                revoked.clear()
                good, too_many = ask_too_often(trial.address, lasting[0])
                assert good >= 300 and too_many > 0, f"{offset}: {good} served, {too_many} refused"
                until(lambda: ask(running, lasting[0], source="127.0.0.20")[0] == 200, f"{offset}: a client that waited")
                reloads = trial.watched.metric(done)
                secrets.reverse()
                write(f"{folder}/previous", secrets[1])
                write(f"{folder}/login", secrets[0])
                until(lambda: trial.watched.metric(done) > reloads, f"{offset}: a reload")

            steps(trial, stepped, look)


class Rsa:
    """A login project's key, by OpenSSL."""

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
    """A clock that jumps, and keys that are fetched: how old they are is no question of the hour."""
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
                until(lambda: ask(trial.running, rotated_in)[0] == 200, f"{offset}: a key that was rotated in")
                count = len(fetches)
                unknown = token("unknown")
                until(lambda: len(fetches) > count or ask(trial.running, unknown)[0] == 200, f"{offset}: a fetch after the cooldown")
                age = trial.watched.metric("zendesk_token_key_age_seconds")
                assert 0 <= age < 60, f"{offset}: keys are {age} s old"

            steps(trial, stepped, look)
            gaps = [later - earlier for earlier, later in zip(fetches, fetches[1:])]
            trial.say(f"{len(fetches)} fetches")
            assert min(gaps) > 0.9, f"fetched again after {min(gaps):.1f} s, in spite of the cooldown"


def failed_accepts(running):
    return sum("can't accept connections" in line for line in running.log)


def few_descriptors():
    """As few file descriptors as there may be, while all connections are in use and the Login API is slow: none is wanting."""
    good = [login_token(sub=f"player-{number}") for number in range(50)]

    def login_api(_, __, body, ___):
        if json.loads(body)["token"] not in good:
            time.sleep(4)
        return 204

    with Server(login_api) as api, tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/login", SECRETS["login"])
        settings = {
            "login__secret": "", "login__secret_file": f"{folder}/login", "login__check_revocation": "true", "login__api_url": api.url,
            "login__revocation_cache": "10m", "before": ["prlimit", "--nofile=1100:1100"],
        }
        few = Trial("few file descriptors", good, room=room_after(1200), **settings)
        with few as trial, trial.starved([trial.newcomers, trial.servers], ["00-07"]):
            strangers = [chat_request(login_token(sub=f"stranger-{number}")) for number in range(3000)]
            with Crowd(crowd.staying, trial.address, 500, requests=strangers) as asking, Crowd(crowd.silent, trial.address, 700):
                reloads = trial.watched.metric('zendesk_token_reloads_total{outcome="done"}')
                most = 0
                for _ in range(80):
                    time.sleep(0.1)
                    most = max(most, trial.watched.descriptors())
                trial.running.process.send_signal(signal.SIGHUP)
                until(lambda: trial.watched.metric('zendesk_token_reloads_total{outcome="done"}') > reloads, "a reload")
            trial.say(f"{most} of 1100 descriptors in use, {asking}")
            assert most > 900 and asking.answers["200"] > 0 and set(asking.answers) <= {"200", "503"}, asking
        assert not failed_accepts(trial.running), "no descriptor was left for a connection"


def no_descriptors():
    """No file descriptor left at all, since somebody lowered the limit: what is open goes on, what is new waits, and nothing spins."""
    good = [login_token(sub=f"player-{number}") for number in range(50)]
    with Server(lambda *_: 204) as api, tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/login", SECRETS["login"])
        settings = {
            "login__secret": "", "login__secret_file": f"{folder}/login", "login__check_revocation": "true", "login__api_url": api.url,
            "login__revocation_cache": "10m", "limits__idle_timeout": "60s",
        }
        none = Trial("no file descriptors", good, **settings)
        with none as trial, trial.starved([trial.newcomers, trial.servers], ["00-07"], is_probed=False):
            watched, pid = trial.watched, trial.watched.pid
            held = clients.Place(trial.address).connect()
            assert clients.ask(held, "chat", good[0])[0] == 200
            few, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (watched.descriptors() + 20, most))
            with Crowd(crowd.silent, trial.address, 300) as silent:
                begun, cpu, refused = time.monotonic(), watched.cpu(), 0
                while time.monotonic() - begun < 10:
                    refused += ask_or_cut(trial.running, good[0]) != 200
                    time.sleep(0.1)
                spent = (watched.cpu() - cpu) / (time.monotonic() - begun)
                status, body = clients.ask(held, "chat", login_token(sub="stranger"))
                assert status == 200 or json.loads(body)["code"] == "00-07", body
                trial.running.process.send_signal(signal.SIGHUP)
                reloads = ['zendesk_token_reloads_total{outcome="done"}', 'zendesk_token_reloads_total{outcome="failed"}']
                until(lambda: sum(map(watched.metric, reloads)) > 0, "a reload, or the refusal of one")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, most))
            held.close()
            trial.say(f"{refused} newcomers had no answer in time, {failed_accepts(trial.running)} lines that say so, {spent:.0%} of a core, {silent}")
            assert failed_accepts(trial.running) > 0, "no descriptor was wanting"
            assert spent < 0.5 and failed_accepts(trial.running) < 100, f"it spins: {spent:.0%} of a core"
            done = watched.metric(reloads[0])
            trial.running.process.send_signal(signal.SIGHUP)
            until(lambda: watched.metric(reloads[0]) > done, "a reload afterwards")


def ask_or_cut(running, token):
    try:
        return ask(running, token)[0]
    except (OSError, http.client.HTTPException):
        return 0


TRIALS = [
    slow_headers, slow_bodies, idle_sockets, half_closed_sockets, crowded, full_disk, full_pipe, clock, published_keys, few_descriptors,
    no_descriptors,
]

if __name__ == "__main__":
    service.BINARY, LIBFAKETIME = os.path.abspath(sys.argv[1]), sys.argv[2]
    # This process has a connection of the Login API's for each of the service's, and some of its own.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for trial in TRIALS:
        if not sys.argv[3:] or trial.__name__ in sys.argv[3:]:
            trial()
