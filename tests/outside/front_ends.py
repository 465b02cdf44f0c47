"""front_ends.py CHROMIUM CHROMEDRIVER FRONT_ENDS: sign-in and sign-out without a reload, with the login token in memory, in Chromium.

Runs the examples of the folder client, and pages with every widget and every form of the script, against the service. FRONT_ENDS is a
folder in which npm has installed esbuild, React and Vue. Scripts replace Zendesk's widgets, and no other host is asked.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import uuid

import jwt

import npm_package
from jwt_fn import browser
from server import Server
from service import KEY_ID, SECRETS, Service, login_token, read, wait_until

FIXTURES, EXAMPLES = npm_package.FIXTURES, f"{npm_package.ROOT}/client/examples"
SNIPPET = "https://static.zdassets.com/ekr/snippet.js?key=KEY"
# Where the examples have the service, which is on another origin here.
PLACE = re.compile(r'(https://shop\.example\.com)?/support-token(?=[/"])')
BUNDLES = {"react": "react.jsx", "vue": "vue.js", "npm": "npm.js"}
EXAMPLE_PAGES = ["page", "module", "react", "vue"]
# How a page loads each form of the script.
FORMS = {
    "script": '<script src="/support-token/jwt_fn.js"></script>',
    "served module": '<script type="module">import * as all from "/support-token/jwt_fn.mjs"; window.zendeskToken = all;</script>',
    "npm package": '<script type="module" src="/npm.js"></script>',
}
# By an attacker who can add elements to a page, but not scripts: `window.zChat` is a window of another origin, and reading it throws.
INJECTED = "".join(f'<iframe name="{name}" src="data:,"></iframe>' for name in ["zE", "zChat", "zESettings", "zendeskToken"])
# The commands at sign-in and at sign-out, and the products of which the widget then asks a token.
MESSAGING = (["messenger loginUser"], ["messenger logoutUser"], ["messaging"])
WIDGETS = {
    "classic": (["webWidget chat:reauthenticate", "webWidget helpCenter:reauthenticate"], ["webWidget logout"], ["chat", "help_center"]),
    "chat": (["logout", "init key"], ["logout"], ["chat"]),
}


class Player:
    def __init__(self, name):
        self.name, self.id = name, str(uuid.uuid4())
        self.email = f"{name.lower()}@example.com"

    def login(self, name=None):
        return {"id": self.id, "loginToken": login_token(sub=self.id, email=self.email, username=name or self.name)}


def bundle(folder, front_ends):
    """Bundles the fixtures with the examples and the package as npm installs it. Returns the text of each bundle."""
    npm_package.install(folder)
    shutil.copytree(EXAMPLES, f"{folder}/examples")
    for fixture in BUNDLES.values():
        shutil.copy(f"{FIXTURES}/{fixture}", folder)
    modules = f"{os.path.realpath(front_ends)}/node_modules"
    npm_package.run(
        f"{modules}/.bin/esbuild", "--bundle", "--format=esm", "--jsx=automatic", '--define:process.env.NODE_ENV="production"',
        "--define:__VUE_OPTIONS_API__=true", "--define:__VUE_PROD_DEVTOOLS__=false", "--define:__VUE_PROD_HYDRATION_MISMATCH_DETAILS__=false",
        "--outdir=built", "--log-level=warning", *BUNDLES.values(), folder=folder, NODE_PATH=modules)
    return {name: read(f"{folder}/built/{name}.js") for name in BUNDLES}


class Shop:
    """The pages, and the shop's own login: each sign-in is the next of `logins`."""

    def __init__(self, bundles):
        self.bundles, self.service, self.logins = bundles, None, []

    def placed(self, text):
        return PLACE.sub(self.service, text)

    def answer(self, method, path, body, headers):
        path = path.partition("?")[0].strip("/")
        if path in ["login", "renew"]:
            return 200, json.dumps(self.logins.pop(0)).encode(), {"Content-Type": "application/json"}
        if path.endswith(".js"):
            text = read(f"{FIXTURES}/widgets.js") if path == "widgets.js" else self.bundles[path.removesuffix(".js")]
            return 200, self.placed(text).encode(), {"Content-Type": "text/javascript; charset=utf-8"}
        if path in ["page", "module"]:
            html = read(f"{EXAMPLES}/{path}.html")
        elif path in self.bundles:
            html = f'<script src="{SNIPPET}"></script><main></main><script type="module" src="/{path}.js"></script>'
        else:
            html = f'{INJECTED}<script src="{SNIPPET}"></script>{FORMS[path.replace("-", " ")]}'
        html = self.placed(html).replace(SNIPPET, "/widgets.js")
        inline = [
            f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
            for script in re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", html, re.DOTALL)
        ]
        policy = (
            f"default-src 'none'; script-src 'self' {self.service} {' '.join(inline)}; connect-src 'self' {self.service}; img-src data:; frame-src data:; "
            "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'")
        html = f'<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">{html}'
        return 200, html.encode(), {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}


def main(chromium, chromedriver, front_ends):
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(bundle(folder, front_ends))
    with Server(shop.answer) as server:
        origin = f"http://shop.example.test:{server.port}"
        with Service(origins=origin, login__bearer="true") as service, browser(chromium, chromedriver) as driver:
            shop.service = f"http://support-token.example.test:{service.public.rsplit(':', 1)[1]}"
            page = Page(driver, shop, origin)
            for example in EXAMPLE_PAGES:
                page.run(f"/{example}?widget=messaging", *MESSAGING, by_click=True)
                print(f"{example}: sign-in, sign-out and another player's sign-in, in Messaging")
            for example in ["react", "vue"]:
                page.renew(f"/{example}?widget=messaging")
                print(f"{example}: a renewed login token needs no second sign-in")
            for form in FORMS:
                for widget, expected in WIDGETS.items():
                    page.run(f"/{form.replace(' ', '-')}?widget={widget}", *expected)
                print(f"{form}: the same with the Web Widget (Classic) and the Chat Web SDK")
            page.run("/script?widget=none", [], [], [])
            print("no widget: nothing is called and nothing fails")


class Page:
    def __init__(self, driver, shop, origin):
        self.driver, self.shop, self.origin, self.by_click = driver, shop, origin, True

    def open(self, path):
        self.driver.get_log("browser")
        self.driver.get(f"{self.origin}{path}")

    def read(self, name):
        return self.driver.execute_script(f"return {name}")

    def sign_in(self, login):
        if self.by_click:
            self.shop.logins.append(login)
            self.driver.execute_script("click('sign-in')")
        else:
            self.driver.execute_script("inMemory = arguments[0]; zendeskToken.signedIn()", login["loginToken"])

    def sign_out(self):
        self.driver.execute_script("click('sign-out')" if self.by_click else "inMemory = null; zendeskToken.signedOut()")

    def calls(self, number):
        """Takes the commands and tokens that came since the last time, as soon as there are so many."""
        wait_until(lambda: len(self.read("seen.calls")) >= number, lambda: f"{number} calls: {self.driver.get_log('browser')}")
        calls = self.read("seen.calls.splice(0)")
        return [call for call in calls if isinstance(call, str)], [call["token"] for call in calls if not isinstance(call, str)]

    def expect(self, commands, tokens=(), player=None):
        """These commands came, and tokens of these products, all of them the player's."""
        called, came = self.calls(len(commands) + len(tokens))
        assert called == commands, called
        assert len(came) == len(tokens), f"{len(came)} tokens"
        for product in tokens:
            claims = [claims for token in came if (claims := self.claims(product, token))]
            assert len(claims) == 1, f"{len(claims)} tokens of {product}"
            # The Help Center's has no id.
            assert claims[0].get("external_id", player.id) == player.id, "another player's id"
            assert claims[0]["email"] == player.email, "another player's email"
            assert "external_id" in claims[0] or product == "help_center"

    def claims(self, product, token):
        """Claims of a token that Zendesk would take for this product, or None."""
        try:
            claims = jwt.decode(token, SECRETS[product], algorithms=["HS256"])
        except jwt.InvalidSignatureError:
            return None
        assert jwt.get_unverified_header(token).get("kid") == (KEY_ID if product == "messaging" else None)
        return claims

    def asks_again(self):
        """The widget asks for a token, as it does when its last one ends. Returns when it has been answered or refused."""
        self.driver.execute_async_script("const done = arguments[0]; Promise.resolve(seen.stored && ask(seen.stored)).then(() => done())")

    def is_clean(self, events):
        assert (came := self.read("seen.events.splice(0)")) == events, came
        assert (violations := self.read("seen.violations")) == [], violations
        severe = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert severe == [], severe

    def run(self, path, sign_in, sign_out, products, by_click=False):
        """Two players sign in and out in one page, the second while tokens for the first are on their way."""
        self.by_click = by_click
        first, second = Player("Jane"), Player("Joe")
        self.open(path)
        self.expect([])

        self.sign_in(first.login())
        self.expect(sign_in, products, first)
        self.is_clean([])
        self.sign_out()
        self.expect(sign_out)
        self.asks_again()
        self.expect([])
        self.is_clean(["signed-out"] if products else [])

        self.driver.execute_script("hold()")
        self.sign_in(first.login())
        wait_until(lambda: self.read("seen.requests") == len(products), "held responses")
        self.expect(sign_in)
        self.sign_out()
        self.expect(sign_out)
        self.driver.execute_script("held = null")
        self.sign_in(second.login())
        self.expect(sign_in, products, second)
        self.driver.execute_async_script("release(); setTimeout(arguments[0], 50)")
        self.expect([])
        if products:
            self.asks_again()
            self.expect([], products[-1:], second)
        self.sign_out()
        self.expect(sign_out)
        self.is_clean([])

    def renew(self, path):
        """A new login token of the same player is used for the next token, without a sign-in."""
        self.by_click, player = True, Player("Jane")
        self.open(path)
        self.sign_in(player.login())
        self.expect(["messenger loginUser"], ["messaging"], player)
        self.shop.logins.append(player.login("Jane Renewed"))
        self.driver.execute_script("click('renew')")

        def renewed():
            self.asks_again()
            commands, [token] = self.calls(1)
            assert commands == [], commands
            return self.claims("messaging", token)["name"] == "Jane Renewed"

        wait_until(renewed, "a token of the new login token")
        self.is_clean([])


if __name__ == "__main__":
    main(*sys.argv[1:])
