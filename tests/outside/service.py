"""Starts the service with new secrets, makes login tokens for it, and sends requests to it."""

import http.client
import json
import os
import subprocess
import threading
import time
from contextlib import AbstractContextManager

import jwt

BINARY = os.path.join(os.path.dirname(__file__), "../../target/debug/zendesk-token")
SUB = "82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11"
KEY_ID = "app_5f0d1a7b3c11"
PATHS = {
    "chat": "/generate/token", "messaging": "/messaging/token", "help_center": "/help-center/token", "support_sdk": "/support-sdk/token",
}
# New for each run.
SECRETS = {name: os.urandom(32).hex() for name in ("login", *PATHS)}
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
# Seconds until a step that has not finished is a failure.
PATIENCE = 20


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    """Replaces a file atomically, as a rotation of secrets should."""
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.rename(f"{path}.new", path)


def wait_until(condition, what, patience=PATIENCE):
    """Returns the first true value of the condition; fails after `patience` seconds. `what` is a text, or a function that makes one."""
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {patience} s: {what() if callable(what) else what}"
        time.sleep(0.05)
    return value


def login_token(signed_with=None, /, **changes):
    """A login token of a player who signed in a minute ago; a claim set to None is left out. Signed with another secret, if one is given."""
    now = int(time.time())
    claims = {
        "sub": SUB, "email": "jane@example.com", "username": "Jane Doe", "iss": "https://login.xsolla.com",
        "iat": now - 60, "exp": now + 86_340, "groups": [], "type": "xsolla_login", **changes,
    }
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, signed_with or SECRETS["login"], "HS256")


def host_and_port(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def ask(server, path="/generate/token", method="GET", body=None, **headers):
    """Status, headers and text of a response. `server` is an HTTPConnection, or the address for a new one."""
    connection = http.client.HTTPConnection(server, timeout=PATIENCE) if isinstance(server, str) else server
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    if connection is not server:
        connection.close()
    return answer.status, answer.headers, text


def exchange(server, product, token, cookie="token", **headers):
    """Status and decoded body of the response to a login token."""
    if product == "support_sdk":
        status, _, text = ask(server, PATHS[product], "POST", f"user_token={token}", **FORM, **headers)
    else:
        status, _, text = ask(server, PATHS[product], Cookie=f"a=b; {cookie}={token}", **headers)
    return status, json.loads(text)


class Service(AbstractContextManager):
    """All four products on loopback; stops at the end of its `with` block. `before` is a command to start it with, `log` a file for its
    standard output, which otherwise goes to `self.log`, but only after `read_on()` if `is_read` is false."""

    def __init__(
        self, origins="https://shop.example.com", listen="127.0.0.1:0", environment=None, before=(), log=None, is_read=True, **more
    ):
        settings = {f"{name}__secret": secret for name, secret in SECRETS.items()}
        settings |= {"messaging__key_id": KEY_ID, "cors__origins": origins, "listen": listen, "admin__listen": "127.0.0.1:0"} | more
        environment = (environment or {}) | {f"ZENDESK_TOKEN_{name.upper()}": value for name, value in settings.items() if value}
        with open(log or os.devnull, "a") as file:
            out = file if log else subprocess.PIPE
            self.process = subprocess.Popen([*before, BINARY, "serve"], env=environment, stdout=out, text=True)
        self.log, self.file, self.reader = [], log, None
        for line in self.follow() if log else self.process.stdout:
            self.log.append(line)
            entry = json.loads(line)
            if entry["message"] == "listening":
                self.public, self.admin = entry["listen"], entry["admin_listen"]
                break
        else:
            raise SystemExit("the service did not start")
        if is_read and not log:
            self.read_on()

    def follow(self):
        """The lines of the log file, including those to come."""
        with open(self.file) as file:
            while self.process.poll() is None:
                if line := file.readline():
                    yield line
                else:
                    time.sleep(0.02)

    def lines(self):
        """All log lines until now."""
        if self.file:
            return read(self.file).splitlines()
        return self.log

    def read_on(self):
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def stop(self):
        """Sends SIGTERM; the exit status must be 0."""
        self.process.terminate()
        if self.process.wait(PATIENCE) != 0:
            raise SystemExit("the service did not stop with status 0")
        if self.reader:
            self.reader.join(PATIENCE)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
