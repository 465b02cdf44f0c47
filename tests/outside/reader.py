"""A reader of README.md: the machine that it is read on, and what is put in place of what it leaves open."""

import http.client
import json
import os
import pty
import re
import shutil
import subprocess
import time

from proxy import PREFIX, SITE, certificate
from server import Server
from service import BINARY, PATIENCE, SECRETS, Service, login_token

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(f"{HERE}/../..")
PROJECT = "0f6a7c5e-3b1d-4e0a-9a51-1f0c6f7d2b90"
OLD_USER = "67a11490f0305f4a391e9f8a"
API_KEY, API_SECRET = "a1b2c3d4", "e5f6a7b8c9d0"
# An image is built for minutes, where there is an engine to build it.
BUILD_PATIENCE = 1800
# What a reader puts in place of what README.md has. Hosts stay as they are: curl and the browser are told where these are. Two more changes
# stand in readme.py, where they are made: a free port for the published one, and the API on loopback for Zendesk's.
PLACEHOLDERS = {
    "<the login token>": lambda: login_token(xsolla_login_project_id=PROJECT),
    "'__Host-token=…'": lambda: f"'__Host-token={login_token()}'",
    "'user_token=…'": lambda: f"'user_token={login_token()}'",
    "Bearer …'": lambda: f"Bearer {login_token()}'",
    "LOGIN__SECRET=…": lambda: f"LOGIN__SECRET={SECRETS['login']}",
    "CHAT__SECRET=…": lambda: f"CHAT__SECRET={SECRETS['chat']}",
    "PROJECT_ID=…": lambda: f"PROJECT_ID={PROJECT}",
    'key_secret = "…"': lambda: f'key_secret = "{API_SECRET}"',
    '"…"': lambda: f'"{API_KEY}"',
    '"app_…"': lambda: f'"app_{API_KEY}"',
    "USER-OF-THE-ANSWER": lambda: OLD_USER,
    "USER": lambda: OLD_USER,
}


def filled(text):
    """A text of README.md as a reader fills it in; nothing may be left to fill in."""
    for placeholder, value in PLACEHOLDERS.items():
        text = re.sub(f"{re.escape(placeholder)}(?![A-Z-])", lambda _: value(), text)
    code = re.sub(r"^#.*|\s#.*|//.*", "", text, flags=re.MULTILINE)
    assert "…" not in code and "<the" not in code, f"nothing here knows what to put in: {code}"
    return text


class Reader:
    """A reader's machine: a checkout, a home, a shop with its support desk, and the service under a path of the shop's host."""

    def __init__(self, folder):
        self.checkout, self.home, self.desk, self.bin = (f"{folder}/{name}" for name in ["checkout", "home", "desk", "bin"])
        for made in [self.home, self.desk, self.bin]:
            os.mkdir(made)
        os.chmod(self.desk, 0o700)
        shutil.copytree(ROOT, self.checkout, ignore=shutil.ignore_patterns("target", ".git", "__pycache__"))
        os.symlink(os.path.realpath(BINARY), f"{self.bin}/zendesk-token")
        certificate(self.home)
        tls = f"{self.home}/cert.pem", f"{self.home}/cert.pem.key"
        self.service = Service(origins=None, login__cookie="__Host-token", login__bearer="true")
        self.pages, self.shop = {}, Server(self.page, *tls)
        self.api = Server(self.desk_api)
        with open(f"{HERE}/../fixtures/sunshine-conversations-users.json") as file:
            self.users = json.load(file)["components"]["examples"]["listUsers"]["value"]["users"]
        assert self.users[0]["id"] == OLD_USER
        # The one thing that a reader's curl knows otherwise: where the hosts of README.md are, and who vouches for them.
        self.site = self.shop.url.removeprefix("https://")
        with open(f"{self.home}/.curlrc", "w") as file:
            file.write(f'silent\nshow-error\ncacert = "{tls[0]}"\nconnect-to = "{SITE}:443:{self.site}"\n')
        # Building an image takes minutes and replaces one of that name, so the real Docker is for machines that are there for tests.
        has_engine = shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0
        self.docker = "Docker" if has_engine and os.environ.get("CI") == "true" else "a stand-in for Docker"
        self.cookie = self.tag = self.container = self.driver = None
        self.settings = {}

    def shell(self, text, folder=None, with_engine=False, patience=PATIENCE, **more):
        """What bash prints for a text, once all of it has ended well; it has nothing of this process but what it is given."""
        environment = self.environment(with_engine) | more
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=folder or self.checkout, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=patience)
        assert ran.returncode == 0, f"{text} ended with status {ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
        return ran.stdout

    def environment(self, with_engine=False):
        """What a shell is given. Docker is the real one only where that is asked for, and there."""
        stand_in = [] if with_engine and self.docker == "Docker" else [f"{HERE}/stand-ins"]
        path = ":".join([*stand_in, self.bin, os.environ["PATH"]])
        return {"PATH": path, "HOME": self.home, "STAND_IN_FOLDER": self.bin, "STAND_IN_PROGRAM": os.path.realpath(BINARY)}

    def terminal(self, text, question=None):
        """The same at a terminal in the support lead's folder, where the question is answered with yes."""
        mine, theirs = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.desk, env=self.environment(), stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True)
        os.close(theirs)
        said, end = b"", time.monotonic() + PATIENCE
        os.set_blocking(mine, False)
        while True:
            assert time.monotonic() < end, said
            try:
                read = os.read(mine, 65536)
                said += read
                if question and said.endswith(question.encode()):
                    os.write(mine, b"yes\n")
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:  # how Linux says that nobody holds the other side any more
                break
        os.close(mine)
        assert process.wait(PATIENCE) == 0, said.decode()
        return said.decode().replace("\r\n", "\n")

    def page(self, method, path, body, headers):
        """The shop: /in and /out sign the player in and out with the cookie of README.md, the service has its path, and others are pages."""
        if path.startswith(f"{PREFIX}/"):
            return self.ask_service(method, path.removeprefix(PREFIX), body, headers)
        out = self.cookie and re.sub(r"token=[^;]+", "token=", self.cookie) + "; Max-Age=0"
        cookie = {"/in": {"Set-Cookie": self.cookie}, "/out": {"Set-Cookie": out}}.get(path, {})
        html = f'<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">{self.pages.get(path, "")}'
        return 200, html.encode(), {"Content-Type": "text/html; charset=utf-8"} | cookie

    def ask_service(self, method, path, body, headers):
        """As a reverse proxy does; proxies.py tries the real ones."""
        connection = http.client.HTTPConnection(self.service.public, timeout=PATIENCE)
        connection.request(method, path, body or None, dict(headers))
        answer = connection.getresponse()
        text = answer.read()
        own = {"content-length", "date", "server"}
        return answer.status, text, {name: value for name, value in answer.getheaders() if name.lower() not in own}

    def desk_api(self, method, path, body, headers):
        """The support desk's APIs, as far as the commands of README.md ask them; and the Login API, which says the time."""
        says = lambda status, value: (status, json.dumps(value).encode())
        if path.startswith("/api/v2/chat/visitors/"):
            id, sub = re.search(r"visitor show (\S+) .*--expect (\S+)", self.visitor).groups()
            assert path.endswith(f"/{id.replace('.', '-')}"), path
            about = {"name": "Jane", "email": "", "phone": "", "created": 1_586_950_554, "banned": False, "notes": ""}
            return says(200, {"id": id, "external_id": sub, **about})
        if not path.startswith("/sc/v2/apps/"):
            return 404
        assert path.startswith(f"/sc/v2/apps/{API_KEY}/users"), path
        rest = path.partition("/users")[2].strip("/").split("/")
        if rest[0].startswith("?"):
            return says(200, {"users": [user for user in self.users if user["identities"]]})
        found = [user for user in self.users if user["id"] == rest[0]]
        if not found:
            return says(404, {"errors": [{"code": "user_not_found", "title": "User not found"}]})
        if method == "DELETE" and rest[1:] == ["personalinformation"]:
            found[0] |= {"identities": [], "profile": {}}
        elif method == "DELETE":
            self.users.remove(found[0])
        return says(200, {"user": found[0]})

    def open(self, block, setup="", cookie="/in"):
        """The page with the script's tag, what stands for the widget, and the block, in the real browser."""
        self.driver.get(f"https://{SITE}{cookie}")
        self.pages["/page"] = f"<script>window.seen = [];\n{setup}</script>\n{self.tag}\n<script>\n{block}</script>"
        self.driver.get_log("browser")
        self.driver.get(f"https://{SITE}/page")

    def token(self, expression):
        """What a function of the page calls back with; it has to be called once, with a token."""
        ask = f"({expression})((...called) => seen.push(called)).then(() => arguments[0](seen), (error) => arguments[0](String(error)))"
        seen = self.driver.execute_async_script(ask)
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
