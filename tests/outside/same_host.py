"""Does a cookie `__Host-token` keep the pages of a subdomain from setting and reading the player's login, in a real browser?

same_host.py CHROMIUM CHROMEDRIVER PROXY…: for each proxy the shop with the service under its path, as README.md deploys it, and an
attacker at two subdomains next to it, of which one has no TLS.
"""

import os
import sys
import tempfile

from jwt_fn import browser, verify
from proxy import PREFIX, SITE, Proxy, Upstreams, certificate
from server import Server
from service import PATIENCE, login_token

COOKIE = "__Host-token"
EVIL, EVIL_PLAIN = "evil.example.com", "plain.example.com"
SHOP_PAGE = f"""<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">
<script src="{PREFIX}/jwt_fn.js"></script></html>"""
EVIL_PAGE = f"""<!doctype html><html lang="en"><title>Evil</title><link rel="icon" href="data:,">
<script src="https://{SITE}{PREFIX}/jwt_fn.js"></script></html>"""
# What a foreign page may try, and gets if it works: each ends with what could be read.
THEFTS = {
    "fetch": "return fetch(url, { credentials: 'include' }).then((answer) => answer.text())",
    "fetch without CORS": "return fetch(url, { credentials: 'include', mode: 'no-cors' }).then((answer) => answer.text())",
    "the script": "return new Promise((done) => { addEventListener('zendesk-token-refused', () => done('')); zendeskToken.jwtFn(done); })",
    "an image": """return new Promise((done) => {
        const image = new Image(); image.onload = () => done('seen'); image.onerror = () => done(''); image.src = url; })""",
    "a script": """return new Promise((done) => {
        const script = document.createElement('script'); script.src = url;
        script.onload = script.onerror = () => done(window.token || ''); document.head.append(script); })""",
    "a frame": """return new Promise((done) => {
        const frame = document.createElement('iframe'); frame.src = url;
        frame.onload = () => done(frame.contentDocument?.body.textContent || ''); document.body.append(frame); })""",
}


def tossed(token):
    """The cookies by which a subdomain has passed off its own login for the player's: by the name, or by what some parser takes for it."""
    names = [
        COOKIE, COOKIE.lower(), COOKIE.upper(), f" {COOKIE}", f"\t{COOKIE}", f"\u00a0{COOKIE}", f"\u2000{COOKIE}", f"\u3000{COOKIE}",
        f"={COOKIE}", f"=={COOKIE}", f"x,{COOKIE}", "%5f_Host-token", "token", "__Secure-token",
    ]
    named = [f"{name}={token}" for name in names]
    # How cookies were quoted once: all that stands between the two quotes would be one value.
    return [*named, f"$Version=1,{COOKIE}={token}", '$Version=1', 'a="b', f'z=";{COOKIE}={token}']


class Sites:
    """The shop and the attacker's pages; each remembers the cookies that it got."""

    def __init__(self, folder):
        certificate(folder)
        self.player, self.attacker = login_token(), login_token(sub="attacker", email="evil@example.com", username="Evil")
        self.seen = {"shop": [], "evil": []}
        self.shop = Server(self.answer_shop)
        self.evil = Server(self.answer_evil, f"{folder}/cert.pem", f"{folder}/cert.pem.key")
        self.plain = Server(self.answer_evil)

    def answer_shop(self, method, path, body, headers):
        self.seen["shop"].append(headers["Cookie"] or "")
        # The last shows that a cookie with a Domain does get to the subdomains.
        cookie = {
            "/in": f"{COOKIE}={self.player}; Path=/; Secure; HttpOnly; SameSite=Lax",
            "/out": f"{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
            "/domain": "player=here; Domain=example.com; Path=/; Secure; HttpOnly; SameSite=Lax",
        }.get(path)
        policy = {"Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:"}
        return 200, SHOP_PAGE.encode(), {"Content-Type": "text/html; charset=utf-8", **policy, **({"Set-Cookie": cookie} if cookie else {})}

    def answer_evil(self, method, path, body, headers):
        self.seen["evil"].append(headers["Cookie"] or "")
        # One cookie a page.
        kind, _, number = path.strip("/").partition("-")
        cookie = {"Set-Cookie": as_header(attributes(tossed(self.attacker)[int(number)])[kind])} if number else {}
        return 200, EVIL_PAGE.encode(), {"Content-Type": "text/html; charset=utf-8", **cookie}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in [self.shop, self.evil, self.plain]:
            server.__exit__()


def attributes(cookie):
    """A cookie for every subdomain: for all paths, for one that is sent first, and with TLS alone."""
    return {
        "all": f"{cookie}; Domain=example.com; Path=/", "first": f"{cookie}; Domain=example.com; Path={PREFIX}/generate",
        "secure": f"{cookie}; Domain=example.com; Path=/; Secure",
    }


def as_header(text):
    """Python sends a header as Latin-1; this sends it as UTF-8."""
    return text.encode().decode("latin-1")


def toss(driver, sites):
    """Sets all of them, by script and by header, from both subdomains."""
    for site in [f"https://{EVIL}", f"http://{EVIL_PLAIN}"]:
        for number, cookie in enumerate(tossed(sites.attacker)):
            for kind, text in attributes(cookie).items():
                driver.get(f"{site}/{kind}-{number}")
                driver.execute_script("document.cookie = arguments[0]", text)


def ask(driver):
    """What the script of the shop's page calls back with, or the refusal that it reports."""
    driver.get(f"https://{SITE}/page")
    return driver.execute_async_script("""
        addEventListener("zendesk-token-refused", ({ detail }) => arguments[0](detail.code));
        zendeskToken.jwtFn(arguments[0]);""")


def run(driver, sites):
    driver.get(f"https://{SITE}/in")
    verify("chat", ask(driver))
    toss(driver, sites)
    verify("chat", ask(driver))
    got = sites.seen["shop"][-1]
    assert got.count(f"{COOKIE}={sites.player}") == 1 and sites.attacker in got, got
    print(f"{len(tossed('')) * 12} cookies of subdomains, {got.count(sites.attacker)} of them sent to the shop: the token is the player's")

    driver.get(f"https://{SITE}/domain")
    sites.seen["evil"].clear()
    for site in [f"https://{EVIL}/", f"http://{EVIL_PLAIN}/"]:
        driver.get(site)
        assert sites.player.rpartition(".")[2] not in driver.execute_script("return document.cookie")
    assert "player=here" in sites.seen["evil"][0], "a cookie with a Domain does get there"
    assert not any(sites.player in cookie for cookie in sites.seen["evil"])
    print("no subdomain gets the cookie, by script or by header")

    driver.get(f"https://{EVIL}/")
    for name, theft in THEFTS.items():
        stolen = driver.execute_async_script(f"""
            const url = "https://{SITE}{PREFIX}/generate/token";
            const attempt = () => {{ {theft} }};
            attempt().then(arguments[0], () => arguments[0](""));""")
        assert stolen == "", (name, stolen)
    print(f"a subdomain's page asks for the token by {', '.join(THEFTS)}: it reads nothing")

    driver.get(f"https://{SITE}/out")
    assert ask(driver) == "00-00"
    print("signed out among the attacker's cookies: nobody")


def main(chromium, chromedriver, *programs):
    for program in programs:
        with tempfile.TemporaryDirectory() as folder, Sites(folder) as sites:
            os.chmod(folder, 0o755)
            shop = sites.shop.url.removeprefix("http://")
            with Upstreams(origins=None, login__cookie=COOKIE, proxy__trusted="127.0.0.1") as upstreams, Proxy(program, folder, upstreams, shop) as proxy:
                places = {SITE: f"127.0.0.1:{proxy.port}", EVIL: sites.evil.url, EVIL_PLAIN: sites.plain.url}
                hosts = ", ".join(f"MAP {host} {place.rpartition('/')[2]}" for host, place in places.items())
                driver = browser(chromium, chromedriver, "--ignore-certificate-errors", hosts=hosts)
                try:
                    print(f"behind {proxy.name}:")
                    run(driver, sites)
                finally:
                    driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
