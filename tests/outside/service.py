"""A running service for tests outside of Rust: its binary, its secrets, and login tokens for it."""

import json
import os
import subprocess
import threading
import time

import jwt

BINARY = os.path.join(os.path.dirname(__file__), "../../target/debug/zendesk-token")
SUB = "82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11"
KEY_ID = "app_5f0d1a7b3c11"
# Each start of a test has secrets of its own.
SECRETS = {name: os.urandom(32).hex() for name in ("login", "chat", "messaging", "help_center", "support_sdk")}
# Longest that any single step waits, in seconds.
PATIENCE = 20


def write(path, text):
    """Swaps a file in whole, as those who rotate secrets should."""
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.rename(f"{path}.new", path)


def login_token(**changes):
    """A login token of a player signed in a minute ago; a claim set to None is left out."""
    now = int(time.time())
    claims = {
        "sub": SUB, "email": "jane@example.com", "username": "Jane Doe", "iss": "https://login.xsolla.com",
        "iat": now - 60, "exp": now + 86_340, "groups": [], "type": "xsolla_login", **changes,
    }
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, SECRETS["login"], "HS256")


class Service:
    """All four products on loopback; ends with its `with` block. `before` is a command that starts it, `log` a file for its standard
    output; otherwise that is read here, unless it is told not to be."""

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
        """The lines of a file that is still written."""
        with open(self.file) as file:
            while self.process.poll() is None:
                if line := file.readline():
                    yield line
                else:
                    time.sleep(0.02)

    def lines(self):
        """What it has logged, in a file or to us."""
        if self.file:
            with open(self.file) as file:
                return file.readlines()
        return self.log

    def read_on(self):
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def stop(self):
        """Ends it as an orchestrator does, and sees it end well."""
        self.process.terminate()
        if self.process.wait(PATIENCE) != 0:
            raise SystemExit("the service did not end well")
        if self.reader:
            self.reader.join(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
