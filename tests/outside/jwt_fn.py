"""Does jwt_fn.js do its work in a real browser, across two origins and under a strict policy?

jwt_fn.py CHROMIUM CHROMEDRIVER: a shop on one origin, the service on another of the same site, both on loopback.
"""

import http.server
import sys
import threading
import time

import jwt
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver

from service import KEY_ID, PATIENCE, SECRETS, SUB, Service, login_token

# The stand-in for the widgets: it calls as Zendesk describes, and keeps what it is called back with.
WIDGET = """
const seen = { calls: [], events: [], violations: [], failures: 0 };
const fetched = window.fetch;
window.fetch = (...args) => fetched(...args).catch((error) => { seen.failures++; throw error; });
window.addEventListener("zendesk-token-refused", (event) => seen.events.push(event.detail));
document.addEventListener("securitypolicyviolation", (event) => seen.violations.push(event.violatedDirective + " " + event.blockedURI));
const widget = {
  chat: (callback) => zendeskToken.jwtFn(callback),
  help_center: (callback) => zendeskToken.helpCenterJwtFn(callback),
  messaging: (callback) => zendeskToken.loginUser((target, command, jwtCallback) => jwtCallback(callback)),
};
const ask = (product) => widget[product]((...args) => {
  seen.calls.push(args);
  document.querySelector("output").textContent = product + ": " + args[0];
});
"""


class Shop(http.server.BaseHTTPRequestHandler):
    """The shop's pages. `/in` signs the player in, `/out` out; `service` is set once it is known."""

    service = ""

    def do_GET(self):
        if self.path == "/widget.js":
            return self.answer("text/javascript", WIDGET)
        if self.path == "/embeds":
            return self.answer("text/html", "<!doctype html><title>Not the shop</title>", policy="default-src * data:")
        cookies = {
            "/in": [f"token={login_token()}; Domain=example.test; Path=/; HttpOnly; SameSite=Lax"],
            "/no-email": [f"token={login_token(email=None)}; Domain=example.test; Path=/; HttpOnly; SameSite=Lax"],
            "/out": ["token=; Domain=example.test; Path=/; Max-Age=0"],
        }
        # What somebody may have put into a page who can't put a script there.
        injected = '<img name="currentScript" src="data:,">' if self.path == "/tampered" else ""
        page = f"""<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,"><h1>Shop</h1><output></output>{injected}
            <script src="{self.service}/jwt_fn.js"></script>
            <script src="/widget.js"></script></html>"""
        self.answer("text/html; charset=utf-8", page, cookies.get(self.path, []))

    def answer(self, content_type, text, cookies=(), policy=None):
        policy = policy or f"default-src 'none'; script-src 'self' {self.service}; connect-src {self.service}; img-src data:; require-trusted-types-for 'script'"
        self.send_response(200)
        for name, value in [("Content-Type", content_type), ("Content-Security-Policy", policy), *(("Set-Cookie", cookie) for cookie in cookies)]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def browser(chromium, chromedriver, *more, hosts="MAP *.test 127.0.0.1"):
    """A headless Chromium that finds these hosts on loopback, and nothing else anywhere."""
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=800,400",
        f"--host-resolver-rules={hosts}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", *more,
    ]:
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Driver(chromedriver))
    driver.set_script_timeout(PATIENCE)
    driver.set_page_load_timeout(PATIENCE)
    return driver


def ask(driver, product):
    """Has the widget ask, and gives what it was called back with since the page was opened, and what the page was told."""
    driver.execute_async_script("const done = arguments[1]; ask(arguments[0]).finally(done)", product)
    seen = driver.execute_script("return seen")
    assert seen["violations"] == [], seen["violations"]
    return seen["calls"], seen["events"]


# A page's fetch as error trackers and tracing change it: by headers of their own, which have the browser send a preflight.
TRACED = """
const [url, done] = arguments;
const ids = { traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01`, tracestate: "a=b", baggage: "sentry-environment=test" };
const headers = { ...ids, "sentry-trace": "1".repeat(32), "x-datadog-trace-id": "1", "x-datadog-sampling-priority": "1" };
fetch(url, { credentials: "include", headers }).then(async (answer) => done(await answer.json()), (error) => done(String(error)));
"""


def verify(product, token):
    """Opens a token by PyJWT, as Zendesk would."""
    options = {"require": ["iat", "jti"]} if product != "chat" else {"require": ["iat", "exp", "external_id"]}
    claims = jwt.decode(token, SECRETS[product], algorithms=["HS256"], options=options)
    header = jwt.get_unverified_header(token)
    assert header == {"typ": "JWT", "alg": "HS256", **({"kid": KEY_ID} if product == "messaging" else {})}, header
    expected = {
        "chat": {"name": "jane@example.com", "email": "jane@example.com", "external_id": SUB},
        "messaging": {"name": "Jane Doe", "email": "jane@example.com", "external_id": SUB, "scope": "user"},
        "help_center": {"name": "Jane Doe", "email": "jane@example.com"},
    }[product]
    assert {name: claims[name] for name in expected} == expected, claims
    assert abs(claims["iat"] - time.time()) < 60
    return claims


def main(chromium, chromedriver):
    shop = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    origin = f"http://shop.example.test:{shop.server_port}"
    with Service(origins=origin) as service:
        port = service.public.rsplit(":", 1)[1]
        Shop.service = f"http://support-token.example.test:{port}"
        driver = browser(chromium, chromedriver)
        try:
            run(driver, service, origin, f"http://shop.evil.test:{shop.server_port}")
        finally:
            driver.quit()
    shop.shutdown()


def run(driver, service, origin, foreign):
    console = lambda: driver.get_log("browser")  # what came since it was last asked for
    driver.get(f"{origin}/in")
    for product in ["chat", "help_center", "messaging"]:
        for _ in range(2):
            calls, events = ask(driver, product)
            assert events == [], events
            verify(product, calls[-1][0])
    assert [len(call) for call in calls] == [1] * 6
    assert len({call[0] for call in calls[2:]}) == 4, "each time a fresh one"
    said = console()
    assert said == [], said
    print("signed in: three products, each token verified by PyJWT, nothing in the console, no policy violated")

    traced = driver.execute_async_script(TRACED, f"{Shop.service}/generate/token")
    verify("chat", traced["token"])
    assert (said := console()) == [], said
    print("signed in, with the headers of Sentry, Datadog and W3C tracing: the preflight allows them all")

    driver.get(f"{origin}/out")
    calls, events = ask(driver, "chat")
    assert calls == [] and [(event["status"], event["code"], event["tries"]) for event in events] == [(401, "00-00", 1)], events
    warned = [entry["message"] for entry in console() if entry["level"] == "WARNING"]
    assert len(warned) == 1 and "anonymous in chat: 401 00-00 Token not passed" in warned[0], warned
    driver.get(f"{origin}/no-email")
    calls, events = ask(driver, "help_center")
    assert calls == [] and events[0]["code"] == "00-03", events
    calls, events = ask(driver, "messaging")
    assert "email" not in jwt.decode(calls[0][0], SECRETS["messaging"], algorithms=["HS256"])
    print("signed out, and without an email: no callback, and the console says why")

    driver.get(f"{origin}/tampered")
    assert driver.execute_script("return typeof window.zendeskToken") == "undefined"
    assert any("load jwt_fn.js by" in entry["message"] for entry in console() if entry["level"] == "SEVERE")
    print("an image that takes the script's name: no token is asked for anywhere")

    driver.get(f"{foreign}/in")
    calls, events = ask(driver, "chat")
    assert calls == [] and [(event["status"], event["tries"]) for event in events] == [(0, 4)], events
    assert "cors.origins" in events[0]["description"], events
    print("a foreign origin: the script loads, no token does")

    # Only to an address that it can trust (HTTPS, or loopback) Chromium says what a request is for.
    address = f"http://{service.public}/generate/token"
    driver.get(f"{foreign}/embeds")
    embeds = {"img": "src", "script": "src", "video": "src", "iframe": "src", "object": "data", "embed": "src"}
    for tag, attribute in embeds.items():
        driver.execute_script(
            "const [tag, name, value] = arguments; document.body.append(Object.assign(document.createElement(tag), { [name]: value }))",
            tag, attribute, f"{address}?{tag}",
        )
    refused = lambda: [line for line in service.lines() if "requested for an image, a script or a frame" in line]
    end = time.monotonic() + PATIENCE
    while len(refused()) < len(embeds):
        assert time.monotonic() < end, (len(refused()), service.lines()[-10:])
        time.sleep(0.05)
    assert all('"refusal":"00-05"' in line for line in refused()), refused()
    driver.get(address)
    assert "00-00" in driver.page_source, driver.page_source
    console()
    print("what a foreign page embeds is refused; what a person opens is served")

    driver.get(f"{origin}/in")
    service.stop()
    driver.execute_script("window.answered = ask('chat')")
    end = time.monotonic() + PATIENCE
    while driver.execute_script("return seen.failures") == 0:
        assert time.monotonic() < end, "it asks, and nobody answers"
    with Service(origins=origin, listen=service.public):
        driver.execute_async_script("answered.finally(arguments[0])")
        seen = driver.execute_script("return seen")
    assert seen["events"] == [], seen["events"]
    verify("chat", seen["calls"][0][0])
    print("a service that restarts: the player never notices")


if __name__ == "__main__":
    main(*sys.argv[1:])
