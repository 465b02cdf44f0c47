"""Tests the demo's page: every step and problem, by mouse and keyboard, in every layout.

demo.py CHROMIUM CHROMEDRIVER AXE [SCREENSHOTS]: runs the demo in a real browser, and checks accessibility with AXE (npm's axe-core).
Saves screenshots in the folder SCREENSHOTS, among them demo-light.png and demo-dark.png, the pictures of the README.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
from contextlib import AbstractContextManager

import jwt
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from jwt_fn import browser
from service import BINARY, PATIENCE, read

# Records errors and policy violations of every page.
WATCH = """
const note = (text) => sessionStorage.setItem("noted", JSON.stringify([...JSON.parse(sessionStorage.getItem("noted") ?? "[]"), text]));
document.addEventListener("securitypolicyviolation", (event) => note(event.violatedDirective + " " + event.blockedURI));
addEventListener("error", (event) => note(event.message));
addEventListener("unhandledrejection", (event) => note(String(event.reason)));
"""

# Problems with Chat: the response, the failed step, the cause in the script's event, and a part of the explanation.
PROBLEMS = {
    "no-cookie": ("401 00-00", "cookie", "signed-out", "The player is signed out"),
    "expired": ("401 00-01", "verify", "login-invalid", "The login token expired an hour ago"),
    "another-secret": ("401 00-01", "verify", "login-invalid", "secret of another login project"),
    "no-email": ("422 00-03", "identity", "claim", "The social login has no email"),
    "two-cookies": ("401 00-01", "verify", "login-invalid", "A second cookie with the same name"),
    "foreign-origin": ("403 00-05", "page", "origin", "not in cors.origins"),
    "no-credentials": ("401 00-00", "cookie", None, "sends no cookie to another origin"),
    "too-many": ("429 00-06", "page", "service", "sent 40 requests at once"),
    "down": ("", "page", "origin", "there is no response"),
}
# For each product: the command of the script to the widget at a sign-in and at a sign-out, and what the agent sees first.
COMMANDS = {
    "chat": ('"webWidget", "chat:reauthenticate"', '"webWidget", "logout"', "✓ jane@example.com"),
    "help-center": ('"webWidget", "helpCenter:reauthenticate"', '"webWidget", "logout"', "✓ Jane Doe"),
    "messaging": ('"messenger", "loginUser", …', '"messenger", "logoutUser"', "✓ Jane Doe"),
}
# Problems that do not load the page again.
IN_PLACE = ["no-credentials", "too-many", "down"]


class Demo(AbstractContextManager):
    """The demo on free ports, stopped at the end of its `with` block."""

    def __init__(self, *arguments):
        command = [BINARY, "demo", "--listen", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, env={}, stdout=subprocess.PIPE, text=True)
        printed = ""
        for line in self.process.stdout:
            printed += line
            if "listening" in line:
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.shop = re.search(r"^  (http://\S+)/$", printed, re.MULTILINE)[1]

    def page(self, driver):
        return Page(driver, self.shop).visit()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


class Page:
    """The page in the browser."""

    def __init__(self, driver, shop):
        self.driver, self.shop = driver, shop

    def ready(self):
        WebDriverWait(self.driver, PATIENCE).until(lambda driver: driver.execute_script("return document.documentElement.dataset.ready"))
        return self

    def visit(self):
        self.driver.get(f"{self.shop}/")
        return self.ready()

    def text(self, name):
        return self.driver.find_element(By.ID, name).text

    def click(self, selector):
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def after(self, act):
        """Runs `act`, which loads a new page, and waits for that page."""
        self.driver.execute_script("delete document.documentElement.dataset.ready; window.isOld = true")
        act()
        WebDriverWait(self.driver, PATIENCE).until(lambda driver: not driver.execute_script("return window.isOld"))
        return self.ready()

    def sign_in(self, name="Jane Doe", email="jane@example.com", login="xsolla"):
        self.click(f"#sign-in input[value={login}]")
        for field, value in [("name", name), ("email", email)]:
            element = self.driver.find_element(By.ID, field)
            element.clear()
            element.send_keys(value)
        return self.after(lambda: self.click("#sign-in .main"))

    def requested(self, act):
        """Runs `act`, which makes the widget send requests, and waits for the result."""
        before = self.text("count")
        act()
        WebDriverWait(self.driver, PATIENCE).until(lambda _: self.text("count") != before and self.text("result"))
        return self

    def open(self, product="chat"):
        self.click(f"#products input[value={product}]")
        assert self.text("agent") == "No request yet" or self.text("result"), "the results of another product are cleared"
        return self.requested(lambda: self.click("#open"))

    def steps(self):
        """The outcome of each step: done, failed or empty."""
        return {step.find_element(By.TAG_NAME, "strong").text.split()[0]: step.get_attribute("class") for step in self.driver.find_elements(By.CSS_SELECTOR, "#steps li")}

    def failed(self):
        return [name for name, outcome in self.steps().items() if outcome == "failed"]

    def outcome(self):
        """The status and error code of the response."""
        answer = self.text("answer")
        if answer == "No response.":
            return ""
        code = re.search('"code":"([^"]+)"', answer)
        return " ".join([answer.split(" ")[1], *(code.groups() if code else [])])

    def answer_token(self):
        """The Zendesk token in the response."""
        return re.search('"token":"([^"]+)"', self.text("answer"))[1]

    def is_clean(self):
        noted = self.driver.execute_script("return sessionStorage.getItem('noted')")
        assert noted is None, noted

    def attempt(self, problem):
        """Presses the button of a problem, and waits for the result."""
        press = lambda: self.click(f"[data-problem={problem}]")
        for _ in range(3):
            self.requested(press) if problem in IN_PLACE else self.after(press)
            # On a busy machine the flood may take a second, so that one more request is allowed.
            if problem != "too-many" or self.outcome() != "200":
                break
        return self

    def console(self):
        """Console messages, except those about refused responses and visitors without a token."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        return [line for line in messages if not any(text in line for text in ["Failed to load resource", "CORS policy", "a visitor stays anonymous"])]


def signed_in(page):
    assert page.text("who") == "Nobody is signed in."
    page.sign_in()
    assert page.text("who") == "Jane Doe is signed in as jane@example.com."
    assert page.text("cookie").startswith("Set-Cookie: token=eyJ") and page.text("cookie").count("token=eyJ") == 1
    for product, method, path, snippet, agent in [
        ("chat", "GET", "/generate/token", "zendeskToken.jwtFn", ["✓ jane@example.com", "jane@example.com", "external id 82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11"]),
        ("help-center", "GET", "/help-center/token", "zendeskToken.helpCenterJwtFn", ["✓ Jane Doe", "jane@example.com"]),
        ("messaging", "GET", "/messaging/token", "zendeskToken.loginUser(zE)", ["✓ Jane Doe", "jane@example.com", "external id 82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11"]),
        ("support-sdk", "POST", "/support-sdk/token", "setIdentity", ["✓ Jane Doe", "jane@example.com", "external id 82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11"]),
    ]:
        page.open(product)
        assert page.text("agent").split("\n") == agent, (product, page.text("agent"))
        assert set(page.steps().values()) == {"done"}, page.steps()
        assert page.text("signature").startswith("✓ The signature is valid") and '"alg": "HS256"' in page.text("token")
        assert page.text("request").startswith(f"{method} {path}") and "token=eyJ" in page.text("request")
        assert page.shop.rpartition("/")[2] not in page.text("request"), "no Referer contains the page's path"
        assert page.text("answer").startswith("HTTP/1.1 200 OK") and snippet in page.text("snippet")
    page.click("#products input[value=chat]")
    tokens = set()
    for _ in range(3):
        page.requested(lambda: page.click("#again"))
        tokens.add(page.text("answer"))
    assert len(tokens) == 3 and page.text("count").startswith("11 requests"), "each token is new"
    times = [float(time.text.split()[0]) for time in page.driver.find_elements(By.CSS_SELECTOR, "#steps .time") if time.text]
    assert len(times) == 6 and all(time >= 0 for time in times), times
    assert page.console() == []
    page.is_clean()
    print("signed in: four products, every step with its time, signatures checked in the browser")


def problems(page):
    for problem, (outcome, step, event, cause) in PROBLEMS.items():
        page.visit().sign_in().attempt(problem)
        assert (page.outcome(), page.failed()) == (outcome, [step]), (problem, page.outcome(), page.steps())
        assert page.text("agent") == "Anonymous visitor" and page.text("signature") == "No token was issued."
        result = page.text("result")
        assert all(name in result for name in ["Result", "Cause", "Fix", cause, outcome]), result
        assert (f"zendesk-token-refused, with the cause {event}\n" in f"{result}\n") == bool(event), result
        if problem not in IN_PLACE:
            assert page.driver.switch_to.active_element.get_attribute("id") == "result", "the result has the focus"
        page.is_clean()
        if problem == "foreign-origin":
            assert "the page sees a network error" in result and "not in cors.origins" in page.driver.find_element(By.TAG_NAME, "header").text
            page.requested(lambda: page.click("[data-problem=foreign-origin]"))
            assert page.outcome() == "403 00-05", "again, from the foreign origin"
            page.attempt("expired")
            assert page.outcome() == "401 00-01" and page.driver.current_url.startswith(page.shop), "back in the shop"
        if problem == "down":
            page.requested(lambda: page.click("#again"))
            assert page.outcome() == "200", "available again"
    page.visit().sign_in("Ann", "ann@example.com").attempt("previous-secret")
    assert page.outcome() == "200" and "previous secret" in page.text("steps") and "a reset does not sign players out" in page.text("result")
    assert page.text("who") == "Ann is signed in as ann@example.com.", "the same player"
    assert page.console() == []
    print(f"{len(PROBLEMS) + 1} problems, each with result, cause and fix")


def second_login(page):
    """A player of the OpenID Connect provider gets tokens of every product, with an external id that has the login's prefix."""
    page.visit().sign_in(login="studio")
    assert page.text("who") == "Jane Doe is signed in with a studio account as jane@example.com."
    assert "a number, which another login may use too" in page.text("numbered")
    token = re.search(r"token=(\S+?);", page.text("cookie"))[1]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert jwt.get_unverified_header(token)["alg"] == "ES256" and claims["email_verified"] is True and claims["sub"].isdigit(), claims
    external_id = f"external id studio-{claims['sub']}"
    for product, agent in [
        ("chat", ["✓ jane@example.com", "jane@example.com", external_id]),
        ("help-center", ["✓ Jane Doe", "jane@example.com"]),
        ("messaging", ["✓ Jane Doe", "jane@example.com", external_id]),
        ("support-sdk", ["✓ Jane Doe", "jane@example.com", external_id]),
    ]:
        page.open(product)
        assert page.text("agent").split("\n") == agent, (product, page.text("agent"))
        assert set(page.steps().values()) == {"done"}, page.steps()
        assert "for the login studio: verified with its published key" in page.text("steps") and external_id in page.text("steps")
    for problem, product, outcome, failed in [
        ("expired", "chat", "401 00-01", ["verify"]),
        ("two-cookies", "chat", "401 00-01", ["verify"]),
        ("unconfirmed-email", "help-center", "422 00-04", ["sign"]),
        ("unconfirmed-email", "messaging", "200", []),
    ]:
        page.click(f"#products input[value={product}]")
        page.attempt(problem)
        assert (page.outcome(), page.failed()) == (outcome, failed), (problem, page.outcome(), page.steps())
    assert "email_verified is false" in page.text("result") and "with a studio account" in page.text("who")
    shown = lambda: {button.get_attribute("data-problem") for button in page.driver.find_elements(By.CSS_SELECTOR, "[data-problem]:not([hidden])")}
    assert "unconfirmed-email" in shown() and not {"another-secret", "previous-secret"} & shown(), shown()
    page.sign_in()
    assert "unconfirmed-email" not in shown() and {"another-secret", "previous-secret"} <= shown(), shown()
    page.open()
    assert "for the login default: verified with its current secret" in page.text("steps") and "studio-" not in page.text("agent")
    assert page.console() == []
    page.is_clean()
    print("a player of the second login: every product, the prefix, and problems of its own")


def without_reload(page):
    """The widget changes with the player, on one page, with the login token in a cookie and in memory."""
    for in_memory in ["false", "true"]:
        page.visit().after(lambda: page.click("#sign-out"))
        page.click(f"#way input[value={in_memory}]")
        page.driver.execute_script("window.isSame = true")
        for product, (sign_in, sign_out, agent) in COMMANDS.items():
            page.click(f"#products input[value={product}]")
            page.requested(lambda: page.click("#sign-in-here"))
            assert page.text("who") == "Jane Doe is signed in as jane@example.com." and page.text("agent").startswith(agent), page.text("agent")
            assert page.text("calls").split("\n")[-2:] == ["zendeskToken.signedIn()", f"→ zE({sign_in})"], page.text("calls")
            assert ("Authorization: Bearer eyJ" in page.text("request"), "Cookie:" in page.text("request")) == (in_memory == "true", in_memory == "false")
            assert page.text("cookie").startswith("eyJ" if in_memory == "true" else "Set-Cookie: token=eyJ"), page.text("cookie")
            assert page.steps().keys() == {"page", "bearer" if in_memory == "true" else "cookie", "verify", "identity", "sign", "widget"}
            assert ("configure({ loginToken" in page.text("snippet")) == (in_memory == "true") and "zendeskToken.signedOut()" in page.text("snippet")
            page.requested(lambda: page.click("#again"))
            assert page.text("agent").startswith(agent), "the widget asks again by itself"
            page.click("#sign-out-here")
            WebDriverWait(page.driver, PATIENCE).until(lambda _: page.text("result").startswith("Result\nSigned out"))
            assert (page.text("who"), page.text("agent"), page.text("request")) == ("Nobody is signed in.", "Anonymous visitor", "none yet")
            assert page.text("calls").split("\n")[-2:] == ["zendeskToken.signedOut()", f"→ zE({sign_out})"], page.text("calls")
            page.requested(lambda: page.click("#again"))
            # After a sign-out the script sends no request, unless the page calls loginUser again.
            is_asked = product == "messaging" and in_memory == "false"
            expected = ("GET /", "401 00-00: the visitor") if is_asked else ("No request reached the service.", "No request: the visitor")
            assert page.text("request").startswith(expected[0]) and expected[1] in page.text("result"), page.text("result")
            assert "the cause signed-out" in page.text("result") and page.text("agent") == "Anonymous visitor"
        assert page.driver.execute_script("return window.isSame"), "the page did not load again"
        disabled = {button.get_attribute("data-problem") for button in page.driver.find_elements(By.CSS_SELECTOR, "[data-problem]:disabled")}
        assert disabled == ({"two-cookies", "no-credentials"} if in_memory == "true" else set()), disabled
        page.click("#products input[value=support-sdk]")
        assert not page.driver.find_element(By.ID, "sign-in-here").is_enabled(), "apps have no page"
    page.visit().sign_in().attempt("foreign-origin")
    assert page.text("request").startswith("OPTIONS /") and page.failed() == ["page"]
    assert all(text in page.text("result") for text in ["preflight 200", "the cause origin", "stops after the preflight"]), page.text("result")
    assert page.console() == []
    page.is_clean()
    print("sign-in and sign-out without a reload, with the cookie and in memory")


def login_ends(page):
    """A login of a minute ends: the visitor turns anonymous, and is known again after a sign-in without a reload."""
    page.visit()
    page.click("#way input[value=true]")
    page.sign_in().attempt("ends")
    assert page.outcome() == "200" and "ends a minute after the sign-in" in page.text("result")
    assert re.fullmatch(r"The login ends in [1-5]?\d seconds?\.|The login ends in 60 seconds\.", page.text("ends")), page.text("ends")
    token = page.text("request").partition("Bearer ")[2].split()[0]
    login, issued = [jwt.decode(text, options={"verify_signature": False}) for text in (token, page.answer_token())]
    assert login["exp"] == login["iat"] + 60 == issued["exp"], (login, issued)
    WebDriverWait(page.driver, 60 + PATIENCE).until(lambda _: page.text("result").startswith("The login has ended"))
    assert (page.outcome(), page.failed(), page.text("agent")) == ("401 00-01", ["verify"], "Anonymous visitor"), page.text("result")
    assert page.text("ends") == "The login has ended." and "with the cause login-expired" in page.text("result"), page.text("result")
    page.requested(lambda: page.click("#sign-in-here"))
    assert page.text("agent").startswith("✓ jane@example.com") and page.text("ends") == ""
    assert page.console() == []
    page.is_clean()
    print("a login that ends after a minute")


def other_products(page):
    """The explanation fits the product and the actual response."""
    page.visit().sign_in()
    page.click("#products input[value=messaging]")
    page.attempt("no-email")
    assert page.outcome() == "200" and "collect emails" not in page.text("result") and "no email" in page.text("agent"), page.text("result")
    page.visit().sign_in().open("support-sdk")
    assert page.outcome() == "200"
    page.click("#products input[value=chat]")
    assert (page.text("agent"), page.text("answer"), page.text("result")) == ("No request yet", "none yet", "")
    page.click("#products input[value=support-sdk]")
    disabled = {button.get_attribute("data-problem") for button in page.driver.find_elements(By.CSS_SELECTOR, "[data-problem]:disabled")}
    assert disabled == {"two-cookies", "foreign-origin", "no-credentials", "too-many"}, disabled
    page.attempt("no-cookie")
    assert (page.outcome(), page.failed()) == ("401 00-00", ["cookie"]) and "an app has no login token" in page.text("result")
    page.click("#products input[value=help-center]")
    page.attempt("expired")
    assert (page.outcome(), page.failed()) == ("401 00-01", ["verify"])
    page.is_clean()
    page.visit().sign_in().sign_in("N" * 5000)
    assert page.text("who").startswith("Sign-in failed: the token is too long for a cookie") and "Jane Doe is signed in" in page.text("who")
    page.visit()
    page.driver.execute_script("const open = document.getElementById('open'); open.click(); open.click(); open.click()")
    WebDriverWait(page.driver, PATIENCE).until(lambda _: page.text("agent").startswith("✓"))
    for odd in ["run/constructor/chat", "run/expired/constructor", "run/%00/chat"]:
        page.driver.get("about:blank")
        page.driver.get(f"{page.shop}/#{odd}")
        page.ready()
    page.is_clean()
    print("explanations fit the product, and invalid input changes nothing")


def stopped(driver):
    """The page of a stopped demo says so, and the next demo ignores its state."""
    with Demo() as demo:
        page = demo.page(driver).sign_in().open()
        demo.stop()
        page.click("#again")
        WebDriverWait(driver, PATIENCE).until(lambda _: "The demo has stopped" in page.text("who"))
        assert page.text("agent") == "The demo has stopped" and page.text("answer") == "none yet"
    with Demo() as demo:
        page = demo.page(driver).open()
        assert (page.text("who"), page.outcome()) == ("Nobody is signed in.", "401 00-00")
    print("a stopped demo says so, and the next one starts fresh")


def by_keyboard(page):
    page.visit().sign_in("Kay Board", "kay@example.com")
    active = lambda: page.driver.switch_to.active_element
    press = lambda key: active().send_keys(key)
    seen = []
    for _ in range(40):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        element = active()
        seen.append(element.get_attribute("id") or element.get_attribute("data-problem") or element.get_attribute("value") or element.text)
        outline = element.value_of_css_property("outline-style")
        assert outline != "none", f"{seen[-1]} has no visible focus"
        if element.get_attribute("id") == "open":
            break
    assert seen[-1] == "open" and {"name", "email", "no-email", "Sign in", "sign-out", "cookie", "chat"} <= set(seen), seen
    page.requested(lambda: press(Keys.ENTER))
    assert "kay@example.com" in page.text("agent")
    for _ in range(20):
        press(Keys.TAB)
        if active().get_attribute("data-problem") == "expired":
            break
    page.after(lambda: press(Keys.ENTER))
    assert page.failed() == ["verify"]
    print("by keyboard, with visible focus")


def layouts(page, axe, screenshots):
    """In light and dark, wide and narrow layouts nothing overflows, and axe-core finds nothing serious."""
    grounds = set()
    script = read(axe)
    for scheme in ["light", "dark"]:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        grounds.add(page.driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
        for width, height in [(1280, 1500), (360, 800)]:
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == 360}
            page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            for problem in [None, "no-credentials", "in-memory"]:
                page.visit()
                page.click(f"#way input[value={'true' if problem == 'in-memory' else 'false'}]")
                if problem == "in-memory":
                    page.requested(lambda: page.click("#sign-in-here"))
                    page.attempt("expired")
                elif problem:
                    page.sign_in().requested(lambda: page.click(f"[data-problem={problem}]"))
                else:
                    page.sign_in(login="studio").open()
                wide = page.driver.execute_script("return document.documentElement.scrollWidth")
                assert wide <= width, f"{wide} px at {width}"
                page.driver.execute_script(script)
                found = page.driver.execute_async_script("axe.run().then(arguments[0])")
                unsure = [issue["id"] for issue in found["incomplete"]]
                assert set(unsure) <= {"color-contrast"}, unsure
                serious = [(issue["id"], [node["html"] for node in issue["nodes"]]) for issue in found["violations"] if issue["impact"] in ("serious", "critical")]
                assert serious == [], (scheme, width, serious)
                if screenshots:
                    page.driver.execute_script("scrollTo(0, 0)")
                    page.driver.save_screenshot(f"{screenshots}/{scheme}-{width}{'-' + problem if problem else ''}.png")
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(grounds) == 2, grounds
    assert page.console() == []
    page.is_clean()
    print("light and dark, 1280 and 360 px wide, and axe-core finds nothing serious")


def pictures(page, folder):
    """The page's top, to the end of the request's steps, 1120 px wide."""
    page.driver.execute_script("sessionStorage.clear()")
    page.visit().sign_in().open("messaging")
    page.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 1120, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    page.driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    height = page.driver.execute_script("return Math.ceil(document.querySelector('.wide').getBoundingClientRect().bottom) + 12")
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 1120, "height": height, "deviceScaleFactor": 1, "mobile": False})
    for scheme in ["light", "dark"]:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        page.driver.save_screenshot(f"{folder}/demo-{scheme}.png")
    for reset in ["Emulation.clearDeviceMetricsOverride", "Emulation.setEmulatedMedia", "Emulation.setScrollbarsHidden"]:
        page.driver.execute_cdp_cmd(reset, {"hidden": False} if "Scrollbars" in reset else {})


def cross_site(driver):
    with Demo("--cross-site") as demo:
        page = demo.page(driver).open()
        assert "//localhost:" in demo.shop
        assert page.outcome() == "401 00-00" and "SameSite" not in page.text("result"), "there is no cookie"
        page.sign_in().open()
        assert (page.outcome(), page.failed()) == ("401 00-00", ["cookie"]), page.steps()
        assert "SameSite=Lax" in page.text("result")
        for problem in ["expired", "previous-secret", "no-email", "two-cookies"]:
            page.attempt(problem)
            assert page.outcome() == "401 00-00" and "SameSite=Lax" in page.text("result"), page.text("result")
        page.open("support-sdk")
        assert page.outcome() == "200", "no browser is involved"
        page.visit()
        page.click("#way input[value=true]")
        page.requested(lambda: page.click("#sign-in-here"))
        assert page.outcome() == "200" and page.text("agent").startswith("✓"), "a login token in memory needs no cookie"
        page.is_clean()
    print("across sites SameSite blocks the cookie, and the page says so")


def pasted(driver):
    with Demo() as demo:
        page = demo.page(driver).sign_in()
        token = re.search(r"token=(\S+?);", page.text("cookie"))[1]
    secret = os.urandom(32).hex()
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(secret)
        file.flush()
        with Demo("--login-secret-file", file.name, "--origin", "https://shop.example.com") as demo:
            page = demo.page(driver)
            shown = {name: page.driver.find_element(By.ID, name).is_displayed() for name in ["name", "login-token"]}
            assert shown == {"name": False, "login-token": True}
            own = jwt.encode(jwt.decode(token, options={"verify_signature": False}), secret, "HS256")
            for text, outcome in [(token, "401 00-01"), (f"  Bearer {own[:40]}\n{own[40:]}\n", "200"), ("x" * 5000, "200")]:
                page.driver.find_element(By.ID, "login-token").send_keys(text)
                page.after(lambda: page.click("#sign-in .main"))
                page.open()
                assert page.outcome() == outcome, page.text("steps")
            assert "too long for a cookie" in page.text("who"), "a token that is too long changes nothing"
            page.click("#way input[value=true]")
            page.driver.find_element(By.ID, "login-token").send_keys(own)
            page.requested(lambda: page.click("#sign-in-here"))
            assert page.outcome() == "200" and page.text("who") == "The pasted login token is in memory.", page.text("who")
            page.is_clean()
    print("a pasted login token is verified with its project's secret")


def main(chromium, chromedriver, axe, screenshots=None):
    driver = browser(chromium, chromedriver)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    try:
        with Demo() as demo:
            page = demo.page(driver)
            for test in [signed_in, second_login, problems, other_products, by_keyboard]:
                test(page)
        with Demo() as demo:
            page = demo.page(driver)
            for test in [without_reload, login_ends]:
                test(page)
        with Demo() as demo:
            page = demo.page(driver)
            layouts(page, axe, screenshots)
            if screenshots:
                pictures(page, screenshots)
        cross_site(driver)
        stopped(driver)
        pasted(driver)
    finally:
        driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
