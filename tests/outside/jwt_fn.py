"""jwt_fn.py CHROMIUM CHROMEDRIVER: tests jwt_fn.js in a real browser, with two origins and a strict Content-Security-Policy.

The shop and the service have different origins of the same site, both on loopback.
"""

import sys
import time

import jwt
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver

from server import Server
from service import KEY_ID, PATIENCE, SECRETS, SUB, Service, login_token, wait_until

# Instead of Zendesk's widgets: calls the script as Zendesk describes, and keeps the arguments of each callback.
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


def shop_page(path, service):
    """The shop's response: `/in` signs the player in, `/out` out."""
    headers = {"Content-Type": "text/html; charset=utf-8"}
    if path == "/widget.js":
        return 200, WIDGET.encode(), {"Content-Type": "text/javascript"}
    if path == "/embeds":
        return 200, b"<!doctype html><title>Not the shop</title>", headers
    domain = "Domain=example.test; Path=/"
    cookies = {
        "/in": f"token={login_token()}; {domain}; HttpOnly; SameSite=Lax",
        "/no-email": f"token={login_token(email=None)}; {domain}; HttpOnly; SameSite=Lax",
        "/out": f"token=; {domain}; Max-Age=0",
    }
    headers |= {"Set-Cookie": cookies[path]} if path in cookies else {}
    policy = f"default-src 'none'; script-src 'self' {service}; connect-src {service}; img-src data:; require-trusted-types-for 'script'"
    # An attacker who can add elements to a page, but not scripts.
    injected = '<img name="currentScript" src="data:,">' if path == "/tampered" else ""
    page = f"""<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,"><h1>Shop</h1><output></output>{injected}
        <script src="{service}/jwt_fn.js"></script>
        <script src="/widget.js"></script></html>"""
    return 200, page.encode(), headers | {"Content-Security-Policy": policy}


def browser(chromium, chromedriver, *more, hosts="MAP *.test 127.0.0.1"):
    """A headless Chromium that finds only these hosts, on loopback; quits at the end of a `with` block."""
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
    """Lets the widget ask for a token; returns all callbacks' arguments and all events since the page was opened."""
    driver.execute_async_script("const done = arguments[1]; ask(arguments[0]).finally(done)", product)
    seen = driver.execute_script("return seen")
    assert seen["violations"] == [], seen["violations"]
    return seen["calls"], seen["events"]


# A request with the headers that error trackers and tracing libraries add. Because of them, the browser sends a preflight request.
TRACED = """
const [url, done] = arguments;
const ids = { traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01`, tracestate: "a=b", baggage: "sentry-environment=test" };
const headers = { ...ids, "sentry-trace": "1".repeat(32), "x-datadog-trace-id": "1", "x-datadog-sampling-priority": "1" };
fetch(url, { credentials: "include", headers }).then(async (answer) => done(await answer.json()), (error) => done(String(error)));
"""


def verify(product, token):
    """Verifies a token with PyJWT, as Zendesk would, and returns its claims."""
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
    with Server(lambda method, path, body, headers: shop_page(path, base_url)) as shop:
        origin = f"http://shop.example.test:{shop.port}"
        with Service(origins=origin) as service, browser(chromium, chromedriver) as driver:
            base_url = f"http://support-token.example.test:{service.public.rsplit(':', 1)[1]}"
            run(driver, service, base_url, origin, f"http://shop.evil.test:{shop.port}")


def run(driver, service, base_url, origin, foreign):
    console = lambda: driver.get_log("browser")  # only the messages since the last call
    driver.get(f"{origin}/in")
    for product in ["chat", "help_center", "messaging"]:
        for _ in range(2):
            calls, events = ask(driver, product)
            assert events == [], events
            verify(product, calls[-1][0])
    assert [len(call) for call in calls] == [1] * 6
    assert len({call[0] for call in calls[2:]}) == 4, "a new token each time"
    assert (messages := console()) == [], messages
    print("signed in: three products, each token verified by PyJWT, nothing in the console, no policy violated")

    traced = driver.execute_async_script(TRACED, f"{base_url}/generate/token")
    verify("chat", traced["token"])
    assert (messages := console()) == [], messages
    print("signed in, with the headers of Sentry, Datadog and W3C tracing: the preflight response allows all of them")

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
    print("signed out, or without an email: no callback, and the console says why")

    driver.get(f"{origin}/tampered")
    assert driver.execute_script("return typeof window.zendeskToken") == "undefined"
    assert any("load jwt_fn.js by" in entry["message"] for entry in console() if entry["level"] == "SEVERE")
    print("an image with the script's name: no token is requested")

    driver.get(f"{foreign}/in")
    calls, events = ask(driver, "chat")
    assert calls == [] and [(event["status"], event["tries"]) for event in events] == [(0, 4)], events
    assert events[0]["cause"] == "origin", events
    print("a foreign origin: the script loads, but gets no token")

    # Chromium sends Sec-Fetch-Dest only to trustworthy addresses: HTTPS or loopback.
    address = f"http://{service.public}/generate/token"
    driver.get(f"{foreign}/embeds")
    embeds = {"img": "src", "script": "src", "video": "src", "iframe": "src", "object": "data", "embed": "src"}
    for tag, attribute in embeds.items():
        driver.execute_script(
            "const [tag, name, value] = arguments; document.body.append(Object.assign(document.createElement(tag), { [name]: value }))",
            tag, attribute, f"{address}?{tag}",
        )
    refused = lambda: [line for line in service.lines() if "requested for an image, a script or a frame" in line]
    wait_until(lambda: len(refused()) == len(embeds), lambda: f"{len(embeds)} refusals: {service.lines()[-10:]}")
    assert all('"refusal":"00-05"' in line for line in refused()), refused()
    driver.get(address)
    assert "00-00" in driver.page_source, driver.page_source
    console()
    print("the address embedded in a foreign page is refused; opened by a person it is served")

    driver.get(f"{origin}/in")
    service.stop()
    driver.execute_script("window.answered = ask('chat')")
    wait_until(lambda: driver.execute_script("return seen.failures"), "a failed request")
    with Service(origins=origin, listen=service.public):
        driver.execute_async_script("answered.finally(arguments[0])")
        seen = driver.execute_script("return seen")
    assert seen["events"] == [], seen["events"]
    verify("chat", seen["calls"][0][0])
    print("the service restarts: the script gets its token")


if __name__ == "__main__":
    main(*sys.argv[1:])
