"""The machine of a reader of README.md and docs/, and the values for their placeholders."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
import time

from proxy import PREFIX, SITE, certificate, free_port
from server import Server
from service import BINARY, PATIENCE, SECRETS, Service, ask, login_token, wait_until, write
from zendesk_api import ZendeskApi, user

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(f"{HERE}/../..")
PROJECT = "0f6a7c5e-3b1d-4e0a-9a51-1f0c6f7d2b90"
OLD_USER = "67a11490f0305f4a391e9f8a"
API_KEY, API_SECRET = "a1b2c3d4", "e5f6a7b8c9d0"
# Seconds for building an image, if there is a Docker engine.
BUILD_PATIENCE = 1800
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The values for the placeholders in the documents. Hosts stay: curl and the browser map them to loopback. readme.py makes two more changes:
# a free port instead of the published one, and the API on loopback instead of Zendesk's.
PLACEHOLDERS = {
    "<the login token>": lambda: login_token(xsolla_login_project_id=PROJECT),
    "'__Host-token=…'": lambda: f"'__Host-token={login_token()}'",
    "'user_token=…'": lambda: f"'user_token={login_token()}'",
    "Bearer …'": lambda: f"Bearer {login_token()}'",
    "LOGIN__SECRET=…": lambda: f"LOGIN__SECRET={SECRETS['login']}",
    "CHAT__SECRET=…": lambda: f"CHAT__SECRET={SECRETS['chat']}",
    "PROJECT_ID=…": lambda: f"PROJECT_ID={PROJECT}",
    'key_secret = "…"': lambda: f'key_secret = "{API_SECRET}"',
    'secret = "…"': lambda: f'secret = "{SECRETS["login"]}"',
    '"…"': lambda: f'"{API_KEY}"',
    '"app_…"': lambda: f'"app_{API_KEY}"',
    "USER": lambda: OLD_USER,
}


def filled(text):
    """A text of the documents with values for all placeholders."""
    for placeholder, value in PLACEHOLDERS.items():
        text = re.sub(f"{re.escape(placeholder)}(?![A-Z-])", lambda _: value(), text)
    code = re.sub(r"^#.*|\s#.*|//.*", "", text, flags=re.MULTILINE)
    assert "…" not in code and "<the" not in code, f"a placeholder without a value: {code}"
    return text


def blocks(text):
    """The code blocks of a page: pairs of language and text."""
    return FENCE.findall(text)


def variables(text):
    """The variables of a file for Docker, without its comments."""
    return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))


class Reader:
    """A reader's machine: a checkout, a home, a shop with its support desk, and the service under a path of the shop's host."""

    def __init__(self, folder):
        self.checkout, self.home, self.desk, self.bin = (f"{folder}/{name}" for name in ["zendesk-token", "home", "desk", "bin"])
        for made in [self.home, self.desk, self.bin]:
            os.mkdir(made)
        os.chmod(self.desk, 0o700)
        shutil.copytree(ROOT, self.checkout, ignore=shutil.ignore_patterns("target", ".git", "__pycache__"))
        os.symlink(os.path.realpath(BINARY), f"{self.bin}/zendesk-token")
        certificate(self.home)
        tls = f"{self.home}/cert.pem", f"{self.home}/cert.pem.key"
        self.service = Service(origins=None, login__cookie="__Host-token", login__bearer="true", support_sdk__user_token_lifetime="90d")
        self.pages, self.shop = {}, Server(self.page, *tls)
        self.api = ZendeskApi(API_KEY, f"app_{API_KEY}", API_SECRET, API_SECRET)
        self.api.users.append(user(OLD_USER, "old-login-id"))
        # The only difference for curl: where the documented hosts are, and their CA.
        self.site = f"127.0.0.1:{self.shop.port}"
        write(f"{self.home}/.curlrc", f'silent\nshow-error\ncacert = "{tls[0]}"\nconnect-to = "{SITE}:443:{self.site}"\n')
        # Building an image takes minutes and replaces an image with the same name, so the real Docker is used only in CI.
        has_engine = shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0
        self.docker = "Docker" if has_engine and os.environ.get("CI") == "true" else "a stand-in for Docker"
        self.cookie = self.tag = self.policy = self.container = self.published = self.driver = None
        self.settings, self.upstream = {}, self.service.public

    def shell(self, text, folder=None, with_engine=False, patience=PATIENCE, **more):
        """The output of a bash script, which must succeed, in a new environment."""
        environment = self.environment(with_engine) | more
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=folder or self.checkout, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=patience)
        assert result.returncode == 0, f"{text} ended with status {result.returncode}: {result.stdout[-2000:]}{result.stderr[-2000:]}"
        return result.stdout

    def run_container(self, text, **more):
        """Runs the documents' commands that start the service, on a free port instead of 8001. Returns their output when it listens."""
        self.published = self.published or f"127.0.0.1:{free_port()}"
        published = text.replace("--publish 127.0.0.1:8001:", f"--publish {self.published}:")
        assert published != text, "the published port is replaced by a free one"
        output = self.shell(published, with_engine=True, **more)
        self.container = output.splitlines()[-1]

        def is_listening():
            with contextlib.suppress(OSError):
                return ask(self.published, "/health")[0] == 200

        wait_until(is_listening, lambda: self.shell(f"docker logs {self.container}", with_engine=True))
        return output

    def environment(self, with_engine=False):
        """The environment of a shell, with the real Docker only `with_engine`, if there is one."""
        stand_in = [] if with_engine and self.docker == "Docker" else [f"{HERE}/stand-ins"]
        path = ":".join([*stand_in, self.bin, os.environ["PATH"]])
        return {"PATH": path, "HOME": self.home, "STAND_IN_FOLDER": self.bin, "STAND_IN_PROGRAM": os.path.realpath(BINARY)}

    def terminal(self, text, question=None):
        """The same, but at a terminal in the support lead's folder; answers the question with yes."""
        mine, theirs = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.desk, env=self.environment(), stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True)
        os.close(theirs)
        output, end = b"", time.monotonic() + PATIENCE
        os.set_blocking(mine, False)
        while True:
            assert time.monotonic() < end, output
            try:
                output += os.read(mine, 65536)
                if question and output.endswith(question.encode()):
                    os.write(mine, b"yes\n")
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:  # on Linux: the process has closed the terminal
                break
        os.close(mine)
        assert process.wait(PATIENCE) == 0, output.decode()
        return output.decode().replace("\r\n", "\n")

    def page(self, method, path, body, headers):
        """The shop: /in and /out sign the player in and out with the documented cookie; the service has its path; the rest are pages."""
        if path.startswith(f"{PREFIX}/"):
            return self.ask_service(method, path.removeprefix(PREFIX), body, headers)
        out = self.cookie and re.sub(r"token=[^;]+", "token=", self.cookie) + "; Max-Age=0"
        cookie = {"/in": {"Set-Cookie": self.cookie}, "/out": {"Set-Cookie": out}}.get(path, {})
        if path.endswith(".js"):
            return 200, self.pages[path].encode(), {"Content-Type": "text/javascript", "Cache-Control": "no-store"}
        policy = {"Content-Security-Policy": self.policy} if self.policy else {}
        html = f'<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">{self.pages.get(path, "")}'
        return 200, html.encode(), {"Content-Type": "text/html; charset=utf-8"} | cookie | policy

    def ask_service(self, method, path, body, headers):
        """Passes a request on to the service, like a reverse proxy."""
        try:
            status, received, text = ask(self.upstream, path, method, body or None, **headers)
        except ConnectionRefusedError:
            return 502
        own = {"content-length", "date", "server"}
        return status, text.encode(), {name: value for name, value in received.items() if name.lower() not in own}

    def open(self, block, setup="", cookie="/in"):
        """Opens a page with the script's tag, a stub for the widget, and the block, in the real browser."""
        self.driver.get(f"https://{SITE}{cookie}")
        self.pages |= {"/setup.js": f"window.seen = [];\n{setup}", "/block.js": block}
        self.pages["/page"] = f'<script src="/setup.js"></script>\n{self.tag}\n<script src="/block.js"></script>'
        self.driver.get_log("browser")
        self.driver.get(f"https://{SITE}/page")

    def token(self, expression):
        """The token that a function of the page calls back with; there must be exactly one call."""
        script = f"({expression})((...called) => seen.push(called)).then(() => arguments[0](seen), (error) => arguments[0](String(error)))"
        seen = self.driver.execute_async_script(script)
        assert len(seen) == 1 and len(seen[0]) == 1 and isinstance(seen[0][0], str), (seen, self.driver.get_log("browser"))
        self.driver.execute_script("seen.length = 0")
        return seen[0][0]

    def close(self):
        if self.driver:
            self.driver.quit()
        if self.container:
            self.shell(f"docker rm --force {self.container}", with_engine=True)
        for server in [self.service, self.shop, self.api]:
            server.__exit__()
