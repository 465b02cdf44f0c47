"""cookie_tossing.py CHROMIUM CHROMEDRIVER PROXY…: tests in a real browser that subdomains cannot set or read the cookie `__Host-token`.

Behind each proxy, the shop with the service under its path. The attacker has two subdomains next to it, one of them without TLS.
"""

import os
import sys
import tempfile
from contextlib import AbstractContextManager

from jwt_fn import browser, verify
from proxy import PREFIX, SITE, Proxy, Upstreams, certificate
from server import Server
from service import login_token

COOKIE = "__Host-token"
EVIL, EVIL_PLAIN = "evil.example.com", "plain.example.com"
SHOP_PAGE = f"""<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">
<script src="{PREFIX}/jwt_fn.js"></script></html>"""
EVIL_PAGE = f"""<!doctype html><html lang="en"><title>Evil</title><link rel="icon" href="data:,">
<script src="https://{SITE}{PREFIX}/jwt_fn.js"></script></html>"""
# Ways in which a foreign page can try to read a token; each returns what it could read.
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
    """Cookies that a subdomain sets to replace the player's: with the same name, or with one that some parsers take for it."""
    names = [
        COOKIE, COOKIE.lower(), COOKIE.upper(), f" {COOKIE}", f"\t{COOKIE}", f"\u00a0{COOKIE}", f"\u2000{COOKIE}", f"\u3000{COOKIE}",
        f"={COOKIE}", f"=={COOKIE}", f"x,{COOKIE}", "%5f_Host-token", "token", "__Secure-token",
    ]
    named = [f"{name}={token}" for name in names]
    # Old quoting of cookies: a parser could read everything between the two quotes as one value.
    return [*named, f"$Version=1,{COOKIE}={token}", '$Version=1', 'a="b', f'z=";{COOKIE}={token}']


class Sites(AbstractContextManager):
    """The shop and the attacker's pages, which record the cookies that they get."""

    def __init__(self, folder):
        certificate(folder)
        self.player, self.attacker = login_token(), login_token(sub="attacker", email="evil@example.com", username="Evil")
        self.seen = {"shop": [], "evil": []}
        self.shop = Server(self.answer_shop)
        self.evil = Server(self.answer_evil, f"{folder}/cert.pem", f"{folder}/cert.pem.key")
        self.plain = Server(self.answer_evil)

    def answer_shop(self, method, path, body, headers):
        self.seen["shop"].append(headers["Cookie"] or "")
        # /domain sets a cookie that the subdomains do get.
        cookie = {
            "/in": f"{COOKIE}={self.player}; Path=/; Secure; HttpOnly; SameSite=Lax",
            "/out": f"{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0",
            "/domain": "player=here; Domain=example.com; Path=/; Secure; HttpOnly; SameSite=Lax",
        }.get(path)
        policy = {"Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:"}
        return 200, SHOP_PAGE.encode(), {"Content-Type": "text/html; charset=utf-8", **policy, **({"Set-Cookie": cookie} if cookie else {})}

    def answer_evil(self, method, path, body, headers):
        self.seen["evil"].append(headers["Cookie"] or "")
        # Each page sets one cookie.
        kind, _, number = path.strip("/").partition("-")
        cookie = {"Set-Cookie": as_header(attributes(tossed(self.attacker)[int(number)])[kind])} if number else {}
        return 200, EVIL_PAGE.encode(), {"Content-Type": "text/html; charset=utf-8", **cookie}

    def __exit__(self, *_):
        for server in [self.shop, self.evil, self.plain]:
            server.__exit__()


def attributes(cookie):
    """A cookie for every subdomain: for all paths, for a longer path (sent first), and only with TLS."""
    return {
        "all": f"{cookie}; Domain=example.com; Path=/", "first": f"{cookie}; Domain=example.com; Path={PREFIX}/generate",
        "secure": f"{cookie}; Domain=example.com; Path=/; Secure",
    }


def as_header(text):
    """Python encodes a header as Latin-1; this makes it UTF-8."""
    return text.encode().decode("latin-1")


def toss(driver, sites):
    """Sets all these cookies, by script and by header, from both subdomains."""
    for site in [f"https://{EVIL}", f"http://{EVIL_PLAIN}"]:
        for number, cookie in enumerate(tossed(sites.attacker)):
            for kind, text in attributes(cookie).items():
                driver.get(f"{site}/{kind}-{number}")
                driver.execute_script("document.cookie = arguments[0]", text)


def ask(driver):
    """The token that the script on the shop's page gets, or the error code."""
    driver.get(f"https://{SITE}/page")
    return driver.execute_async_script("""
        addEventListener("zendesk-token-refused", ({ detail }) => arguments[0](detail.code));
        zendeskToken.jwtFn(arguments[0]);""")


def run(driver, sites):
    driver.get(f"https://{SITE}/in")
    verify("chat", ask(driver))
    toss(driver, sites)
    verify("chat", ask(driver))
    sent = sites.seen["shop"][-1]
    assert sent.count(f"{COOKIE}={sites.player}") == 1 and sites.attacker in sent, sent
    print(f"{len(tossed('')) * 12} cookies of subdomains, {sent.count(sites.attacker)} of them sent to the shop: the token is the player's")

    driver.get(f"https://{SITE}/domain")
    sites.seen["evil"].clear()
    for site in [f"https://{EVIL}/", f"http://{EVIL_PLAIN}/"]:
        driver.get(site)
        assert sites.player.rpartition(".")[2] not in driver.execute_script("return document.cookie")
    assert "player=here" in sites.seen["evil"][0], "a cookie with a Domain gets there"
    assert not any(sites.player in cookie for cookie in sites.seen["evil"])
    print("no subdomain gets the cookie, neither by script nor by header")

    driver.get(f"https://{EVIL}/")
    for name, theft in THEFTS.items():
        stolen = driver.execute_async_script(f"""
            const url = "https://{SITE}{PREFIX}/generate/token";
            const attempt = () => {{ {theft} }};
            attempt().then(arguments[0], () => arguments[0](""));""")
        assert stolen == "", (name, stolen)
    print(f"a subdomain's page tries to read the token ({', '.join(THEFTS)}): it reads nothing")

    driver.get(f"https://{SITE}/out")
    assert ask(driver) == "00-00"
    print("signed out, with only the attacker's cookies: no token")


def main(chromium, chromedriver, *programs):
    for program in programs:
        with tempfile.TemporaryDirectory() as folder, Sites(folder) as sites:
            os.chmod(folder, 0o755)
            settings = {"origins": None, "login__cookie": COOKIE, "proxy__trusted": "127.0.0.1"}
            with Upstreams(**settings) as upstreams, Proxy(program, folder, upstreams, f"127.0.0.1:{sites.shop.port}") as proxy:
                ports = {SITE: proxy.port, EVIL: sites.evil.port, EVIL_PLAIN: sites.plain.port}
                hosts = ", ".join(f"MAP {host} 127.0.0.1:{port}" for host, port in ports.items())
                with browser(chromium, chromedriver, "--ignore-certificate-errors", hosts=hosts) as driver:
                    print(f"behind {proxy.name}:")
                    run(driver, sites)


if __name__ == "__main__":
    main(*sys.argv[1:])
