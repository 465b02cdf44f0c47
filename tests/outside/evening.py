"""evening.py PACKAGES CHROMIUM CHROMEDRIVER: a newcomer's first evening, with only what README and docs say; prints the time of each step.

The demo, `docker run` with five settings, the script on a page, a wrong secret that `inspect` finds, a second login, a change of the login
secret, an upgrade. The second login is npm's oidc-provider in the folder PACKAGES. Each command is taken from a page, which must still say it.
"""

import contextlib
import functools
import os
import re
import sys
import tempfile
import time

import jwt

import readme
from jwt_fn import browser
from provider import Provider
from proxy import SITE
from reader import PROJECT, ROOT, Reader, blocks, filled, variables
from service import SECRETS, SUB, ask, login_token, read, wait_until, write
from signing import Key

# The newcomer's application at the second login.
CLIENT = "Xq4mT7wZ1bK9sLc3vN6pR8yD2fH5jG0a"


def block(page, beginning):
    """The first code block of a page that begins with this text."""
    return next(text for _, text in blocks(read(f"{ROOT}/{page}")) if text.startswith(beginning))


class Evening:
    def __init__(self, reader):
        self.reader = reader
        self.file = f"{reader.checkout}/zendesk-token.env"
        self.start = time.monotonic()

    def done(self, step):
        seconds = time.monotonic() - self.start
        print(f"{seconds:6.1f} s  {step}", flush=True)
        self.start = time.monotonic()

    def set(self, **lines):
        """Replaces or adds lines of zendesk-token.env."""
        settings = variables(read(self.file)) | {f"ZENDESK_TOKEN_{name}": value for name, value in lines.items()}
        write(self.file, "".join(f"{name}={value}\n" for name, value in settings.items() if value is not None))

    def restart(self):
        return self.reader.run_container(block("docs/operations.md", "docker run --rm --env-file"))

    def sign_in(self, token):
        """The shop sets the documented cookie; then the page opens and its widget asks for a token."""
        self.reader.upstream = self.reader.published
        cookie = block("README.md", "Set-Cookie: ").strip().partition(": ")[2]
        self.reader.cookie = re.sub(r"<the login token>", lambda _: token, cookie)
        self.reader.open(block("README.md", "// Web Widget (Classic)"))

    def claims(self):
        """The claims of the token that the page's widget gets."""
        token = self.reader.token("zESettings.webWidget.authenticate.chat.jwtFn")
        return jwt.decode(token, SECRETS["chat"], algorithms=["HS256"])

    def console(self):
        """What the script writes to the browser's console if there is no token."""
        self.reader.driver.execute_async_script("zendeskToken.jwtFn(() => {}).then(arguments[0])")
        return " ".join(entry["message"] for entry in self.reader.driver.get_log("browser"))


# A login token of the newcomer's project; signed with another secret, if one is given.
player = functools.partial(login_token, xsolla_login_project_id=PROJECT)


def install(evening, reader):
    """The README's quick start, with a mistake: the secret of another login project."""
    readme.demo(reader, "demo")
    evening.done("the demo runs")

    write(evening.file, filled(block("README.md", "# Publisher Account")))
    right = SECRETS["login"]
    evening.set(LOGIN__SECRET=os.urandom(32).hex())
    output = reader.run_container(block("README.md", "docker build"))
    assert "No errors, 0 warning(s)." in output, output
    evening.done("docker run with five settings")

    reader.tag = block("README.md", "<script src=").splitlines()[0]
    evening.sign_in(player())
    console = evening.console()
    assert "zendesk-token: a visitor stays anonymous in chat: 401 00-01" in console and "zendesk-token inspect" in console, console
    evening.done("the script on a page; the console says why the visitor is anonymous")

    write(f"{reader.checkout}/login-token.txt", player())
    inspect = block("README.md", "docker run --rm --interactive").strip()
    found = reader.shell(f"{inspect} || echo status $?")
    assert "not signed with login.secret" in found and "Publisher Account" in found and found.endswith("status 1\n"), found
    evening.set(LOGIN__SECRET=right)
    assert "Accepted as a login token" in reader.shell(inspect)
    evening.restart()
    evening.sign_in(player())
    assert evening.claims()["external_id"] == SUB
    evening.done("inspect finds the wrong secret; with the right one the page gets a token")


def second_login(evening, reader, packages):
    users = {"u|jane": {"email": "jane@example.com", "email_verified": True, "name": "Jane"}}
    with Provider(packages, users, [CLIENT]) as provider:
        provider.start([Key("RSA", "first", use="sig")])
        lines = variables(block("docs/logins.md", "ZENDESK_TOKEN_LOGIN__ISSUER="))
        lines = {name.removeprefix("ZENDESK_TOKEN_"): value for name, value in lines.items()}
        evening.set(**lines | {"LOGINS__AUTH0__ISSUER": provider.issuer})
        evening.restart()
        evening.sign_in(provider.sign_in("u|jane", CLIENT)[0])
        claims = evening.claims()
        assert claims["external_id"] == "auth0-u|jane" and claims["name"] == "Jane", claims
        evening.sign_in(player())
        evening.claims()
        evening.done("a second login next to the first")
        # The provider ends here, so its login goes too.
        evening.set(**dict.fromkeys(lines))


def change_of_secret(evening):
    old, new = SECRETS["login"], os.urandom(32).hex()
    evening.set(LOGIN__SECRET=new, LOGIN__PREVIOUS_SECRET=old)
    evening.restart()
    for secret in [old, new]:
        evening.sign_in(player(secret))
        evening.claims()
    evening.set(LOGIN__PREVIOUS_SECRET=None)
    evening.restart()
    evening.sign_in(player(old))
    assert "401 00-01" in evening.console()
    evening.sign_in(player(new))
    evening.claims()
    evening.done("a new login secret, without signing anyone out")


def upgrade(evening, reader):
    """The page is open meanwhile: its script tries again until the new container listens."""
    reader.shell(block("docs/operations.md", "docker tag"))
    restart = block("docs/operations.md", "docker run --rm --env-file")
    check, stop, *rest = restart.splitlines()
    assert "stop" in stop, restart
    reader.shell(f"{check}\n{stop}")
    with contextlib.suppress(ConnectionRefusedError):
        ask(reader.published, "/health")
        raise AssertionError("the old container still responds")
    script = "window.tokens = []; zESettings.webWidget.authenticate.chat.jwtFn((token) => tokens.push(token))"
    reader.driver.execute_script(script)
    reader.run_container("\n".join(rest))
    wait_until(lambda: reader.driver.execute_script("return tokens.length") == 1, "a token for the page that was open")
    evening.done("an upgrade, with a page open")


def main(packages, chromium, chromedriver):
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(folder)
        # A container would not reach the provider on loopback.
        reader.docker = "a stand-in for Docker"
        try:
            reader.driver = browser(chromium, chromedriver, "--ignore-certificate-errors", hosts=f"MAP {SITE} {reader.site}")
            evening = Evening(reader)
            began = evening.start
            install(evening, reader)
            second_login(evening, reader, os.path.realpath(packages))
            change_of_secret(evening)
            upgrade(evening, reader)
            print(f"{time.monotonic() - began:6.1f} s  the whole evening, without the builds")
        finally:
            reader.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
