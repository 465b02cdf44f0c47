"""Tests the page of `zendesk-token desk` in a real browser, with a stand-in for Zendesk's APIs.

desk.py CHROMIUM CHROMEDRIVER AXE [SCREENSHOTS]: checks accessibility with AXE (npm's axe-core), and saves screenshots in the folder
SCREENSHOTS, among them those of docs/pictures.
"""

import base64
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager

import jwt
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from demo import WATCH
from jwt_fn import browser
from service import BINARY, PATIENCE, read, wait_until, write
from zendesk_api import APP, CHAT_TOKEN, KEY_ID, KEY_SECRET, LOST, ZendeskApi, user

OLD, PRESENT = "67a11490f0305f4a391e9f8a", "71c0b3a0f0305f4a391e9f00"
OLD_ID, PRESENT_ID = "82cd5e0c-9d6e-4e7c-8d0b-7f6f6d5a1a11", "3fcd9b1e-0000-4d5c-8a3e-2f6d3d1c0a11"
EMAIL = "jane@example.com"
# A text of the API that would run a script if it were HTML.
HOSTILE = "<img src=x onerror=\"document.title='run'\"> <b>bold</b>"


def zendesk(has_present=True):
    """Zendesk with Jane's old user, and perhaps her present one."""
    api = ZendeskApi()
    api.users.append(user(OLD, OLD_ID, EMAIL, authenticated=True))
    api.converse(OLD, "Where is my order?", "It is on its way.", "Thank you!", at="2025-11-03T16:21:12.308Z")
    api.converse(OLD, "I can't find my sword.", "Look in the chest.", at="2025-12-24T09:05:00.000Z")
    if has_present:
        api.users.append(user(PRESENT, PRESENT_ID, signedUpAt="2026-11-20T10:00:00.000Z", authenticated=True))
        api.converse(PRESENT, "Hello?", at="2026-11-20T10:01:00.000Z")
    about = {"banned": False, "notes": "", "email": EMAIL, "phone": "", "created": 1_586_950_554, "name": "Jane Doe"}
    api.visitors["9855790-xjj3u5xPWhW1Fv"] = {"id": "9855790.xjj3ukxyIhn6j3", "external_id": OLD_ID, **about}
    return api


class Desk(AbstractContextManager):
    """The desk with a new folder, stopped at the end of its `with` block. Without an API it has no settings. `path` has a stand-in for
    the program that opens a browser."""

    def __init__(self, api=None, path=None):
        self.folder = tempfile.TemporaryDirectory()
        self.file = f"{self.folder.name}/desk.toml"
        if api:
            write(self.file, api.settings())
            os.chmod(self.file, 0o600)
        command = [os.path.realpath(BINARY), "desk", "--listen", "127.0.0.1:0", *([] if path else ["--no-browser"])]
        self.process = subprocess.Popen(command, env={"PATH": path} if path else {}, cwd=self.folder.name, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        printed = iter(self.process.stdout.readline, "")
        self.url = next(line.strip() for line in printed if line.startswith("http://"))

    def stop(self):
        self.process.terminate()
        _, errors = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, errors
        return errors

    def records(self):
        return [name for name in os.listdir(self.folder.name) if name.startswith("zendesk-user-")]

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
        self.folder.cleanup()


class Page:
    """The page in the browser."""

    def __init__(self, driver, desk):
        self.driver, self.desk = driver, desk

    def visit(self):
        self.driver.get(self.desk.url)
        WebDriverWait(self.driver, PATIENCE).until(lambda driver: driver.execute_script("return document.documentElement.dataset.ready"))
        return self

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, id):
        return self.driver.find_element(By.ID, id).text

    def is_shown(self, id):
        return self.driver.find_element(By.ID, id).is_displayed()

    def type(self, id, text):
        field = self.driver.find_element(By.ID, id)
        field.clear()
        field.send_keys(text)

    def idle(self):
        WebDriverWait(self.driver, PATIENCE).until(lambda driver: not driver.execute_script("return document.querySelector('[data-busy]') !== null"))
        return self

    def click(self, selector):
        self.find(selector).click()
        return self.idle()

    def focused(self):
        return self.driver.switch_to.active_element.get_attribute("id")

    def look(self, email=EMAIL, expect=PRESENT_ID):
        self.type("email", email)
        self.type("expect", expect)
        return self.click("#look")

    def choose(self, remedy):
        return self.click(f"#remedies [data-remedy={remedy}]")

    def confirm(self, word):
        self.type("confirmation", word)
        return self.click("#resolve")

    def outcome(self):
        wait_until(lambda: self.text("outcome"), "an outcome")
        return self.idle().text("outcome")

    def download(self, id):
        """The text of the file that a button saves."""
        self.driver.execute_script(
            "const make = URL.createObjectURL; URL.createObjectURL = (blob) => { window.saved = blob.text(); return make.call(URL, blob); }")
        self.click(f"#{id}")
        return self.driver.execute_async_script("window.saved.then(arguments[0])")

    def cards(self, id):
        return [card.text for card in self.driver.find_elements(By.CSS_SELECTOR, f"#{id} > article")]

    def is_clean(self):
        """No error and no violation of the policy; no secret in the page; nothing in the console but refused requests."""
        noted = self.driver.execute_script("return sessionStorage.getItem('noted')")
        assert noted is None, noted
        source = self.driver.page_source
        assert not any(secret in source for secret in [KEY_SECRET, CHAT_TOKEN]) and self.driver.title == "Support desk"
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        assert all("Failed to load resource" in message or "ERR_CONNECTION_REFUSED" in message for message in messages), messages


def merge(driver):
    """From a login token to Done: the users side by side, their conversations, the plan, the record, and no conflict any more."""
    with zendesk() as api, Desk(api) as desk:
        page = Page(driver, desk).visit()
        page.find("#find summary").click()
        claims = {"sub": PRESENT_ID, "email": EMAIL}
        page.type("token", f"Bearer {jwt.encode(claims, 'x' * 32, 'HS256')}")
        page.click("#read-token")
        values = [page.find(f"#{id}").get_attribute("value") for id in ["email", "expect", "token"]]
        assert values == [EMAIL, PRESENT_ID, ""] and page.focused() == "look", values
        page.click("#look")
        assert page.text("sentence") == f"Conflict: the email belongs to {OLD_ID} (user {OLD}), so Messaging refuses {PRESENT_ID} with 409."
        assert page.focused() == "found-title"
        old, present = page.cards("users")
        assert old.startswith("The old user, who has the email") and all(part in old for part in [OLD, OLD_ID, EMAIL, "Conversations\n2"]), old
        assert present.startswith("The player's present user") and "Email\nnone" in present and "Conversations\n1" in present, present
        latest = page.find("#users .old dd:last-of-type time").get_attribute("datetime")
        assert latest == "2025-12-24T09:05:00.000Z", latest
        page.click("#users .old button")
        page.click("#users .old button")
        assert "Jane Doe" in page.cards("users")[0] and "Look in the chest." in page.cards("users")[0], "the latest conversation is first"
        remedies = page.cards("remedies")
        titles = [card.split("\n")[0] for card in remedies]
        expected = ["Merge into the player's present user", "Delete the email and the personal information", "Delete the user and its conversations"]
        assert titles == expected and all("Lost" in card for card in remedies), titles
        page.choose("merge-into")
        assert page.focused() == "plan-title" and f"move the conversations, email, name and other personal information of user {OLD} to user {PRESENT}" in page.text("will")
        assert len(page.cards("plan-users")) == 2 and "stand-in" in page.text("plan-warnings")
        assert page.text("confirmation-label") == "Type merge to confirm"
        fetched = page.download("plan-record")
        assert [user["id"] for user in json.loads(fetched)] == [OLD, PRESENT] and desk.records() == [], fetched
        page.confirm("yes")
        assert page.text("error") == "The confirmation differs; type merge." and desk.records() == [], page.text("error")
        page.confirm("merge")
        outcome = page.outcome()
        assert outcome.startswith(f"Done: user {OLD} is merged into user {PRESENT}") and page.is_shown("next"), outcome
        [record] = desk.records()
        assert f"Saved the record to {record}" in page.text("steps"), page.text("steps")
        page.visit()
        assert page.text("outcome") == outcome and page.is_shown("record"), "the result is still there after a reload"
        assert len(api.conversations[PRESENT]) == 3 and api.find(OLD) is None
        fetched = page.download("record")
        assert [user["id"] for user in json.loads(fetched)] == [OLD, PRESENT], fetched
        assert stat.S_IMODE(os.stat(f"{desk.folder.name}/{record}").st_mode) == 0o600
        page.click("#other").look()
        assert page.text("sentence").startswith("No conflict") and page.is_shown("sentence-help") and not page.is_shown("choice")
        page.is_clean()
        assert desk.stop() == "", "nothing on standard error"
    print("merge: from a login token to Done")


def other_remedies(driver):
    """Deletion of the email and of the user, of a player without a present user; a new user for the merge; cancel."""
    for remedy, word, done, left in [
        ("forget-email", "delete", "has no email any more, and keeps its conversations", [OLD_ID]),
        ("delete-user", "delete", "and its conversations are deleted", []),
        ("merge-into", "merge", "is merged into user", [PRESENT_ID]),
    ]:
        with zendesk(has_present=False) as api, Desk(api) as desk:
            page = Page(driver, desk).visit().look()
            assert len(page.cards("users")) == 2 and "None yet: nobody has signed in" in page.cards("users")[1]
            page.choose("delete-user").click("#cancel")
            assert not page.is_shown("plan") and page.is_shown("choice") and page.focused() == "choice-title"
            page.choose(remedy)
            if remedy == "merge-into":
                assert "None yet: nobody has signed in" in page.cards("plan-users")[1]
                assert f"No user has the login id {PRESENT_ID} yet. Compare it" in page.text("plan-warnings")
            page.confirm(f" {word} ")
            assert done in page.outcome(), page.text("outcome")
            assert [found["externalId"] for found in api.users] == left and len(desk.records()) == 1
            assert [request for request in api.requests if not request.startswith("GET")] != []
            page.click("#other")
            assert page.focused() == "email" and page.find("#email").get_attribute("value") == "" and not page.is_shown("work")
            page.is_clean()
    print("every remedy, with the player's present user and without")


def failures(driver):
    """Retries are shown; a failure half way says what was done; a user that changed is not touched; a reload finds the work again."""
    with zendesk() as api, Desk(api) as desk:
        page = Page(driver, desk).visit().look()
        api.fail("appusers/merge", 503, 3)
        page.choose("merge-into")
        page.type("confirmation", "merge")
        page.find("#resolve").click()
        wait_until(lambda: "Trying again in" in page.text("steps") or "trying again in" in page.text("steps"), "a retry")
        page.visit()
        assert page.outcome().startswith("Done: ") and "attempt 2 of 5" in page.text("steps"), page.text("steps")
    with zendesk() as api, Desk(api) as desk:
        page = Page(driver, desk).visit().look()
        api.fail("appusers/merge", 403)
        page.choose("merge-into").confirm("merge")
        assert "403" in page.outcome() and "the users were not merged" in page.text("outcome") and not page.is_shown("next")
        assert page.is_shown("record") and api.find(OLD), "the record stays"
        page.click("#again").choose("forget-email")
        api.users[0]["externalId"] = "moved"
        page.confirm("delete")
        assert "changed in the meantime" in page.outcome() and api.users[0]["identities"] != []
        api.fail("filter", 401)
        page.click("#again")
        assert "check the key's ID and secret" in page.text("error"), page.text("error")
        page.is_clean()
        api.fail("DELETE", 2)
        api.users[0]["externalId"] = OLD_ID
        page.visit().look().choose("delete-user")
        page.type("confirmation", "delete")
        page.find("#resolve").click()
        wait_until(lambda: any(request.startswith("DELETE") for request in api.requests), "a deletion")
        errors = desk.stop()
        assert "waiting for the work" in errors and "are deleted" in errors and not api.find(OLD), errors
        assert "are deleted" in page.outcome(), "the page shows the end"
        page.click("#other").look()
        assert page.text("error").startswith("The support desk does not answer"), page.text("error")
    print("failures, a reload, and a stop while something is being done")


def short_of_network(driver):
    """A page that does not reach the desk for a moment still shows the end; a desk that was killed leaves the end unknown."""
    offline = lambda is_offline: driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions", {"offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
    for is_killed in [False, True]:
        with zendesk() as api, Desk(api) as desk:
            page = Page(driver, desk).visit().look().choose("delete-user")
            api.fail("DELETE", (429, 3))
            page.type("confirmation", "Delete")
            page.find("#resolve").click()
            wait_until(lambda: page.is_shown("work") and "trying again in" in page.text("steps"), "a retry")
            if is_killed:
                desk.process.kill()
                desk.process.communicate(timeout=PATIENCE)
                assert "Whether it is done is not known" in page.outcome() and page.text("work-title") == "5. Result", page.text("outcome")
                continue
            offline(True)
            time.sleep(1)
            offline(False)
            assert page.outcome().startswith(f"Done: user {OLD}"), page.text("outcome")
            page.is_clean()
    print("a moment without network, and a desk that was killed")


def lost_responses(driver):
    """A response that is lost after the API did the work is found out; `Retry-After` is kept to."""
    with zendesk(has_present=False) as api, Desk(api) as desk:
        page = Page(driver, desk).visit()
        api.fail("filter", (429, 3))
        begun = time.monotonic()
        page.look()
        # Without the header the second attempt is made after a second at most.
        assert page.is_shown("choice") and time.monotonic() - begun >= 3, page.text("error")
        page.choose("merge-into")
        api.fail("POST", LOST)
        api.fail("appusers/merge", LOST)
        page.confirm("merge")
        assert page.outcome().startswith(f"Done: user {OLD} is merged into user "), page.text("outcome")
        [present] = api.users
        assert present["externalId"] == PRESENT_ID and present["identities"][0]["value"] == EMAIL, present
        assert len(api.conversations[present["id"]]) == 2 and page.text("steps").count("attempt 2 of 5") == 2, page.text("steps")
        page.is_clean()
    for remedy, left in [("forget-email", [OLD]), ("delete-user", [])]:
        with zendesk(has_present=False) as api, Desk(api) as desk:
            page = Page(driver, desk).visit().look().choose(remedy)
            api.fail("DELETE", LOST)
            page.confirm("delete")
            assert page.outcome().startswith("Done: ") and [found["id"] for found in api.users] == left, page.text("outcome")
            page.is_clean()
    print("responses lost after the work was done; Retry-After")


def one_at_a_time(driver):
    """While a plan is asked for, another player can't be looked up: the plan would appear below that player."""
    with zendesk() as api, Desk(api) as desk:
        api.users.append(user("888", "bob-old", "bob@example.com"))
        page = Page(driver, desk).visit().look()
        api.fail(f"GET /sc/v2/apps/{APP}/users/{OLD}", 2)
        page.find("#remedies [data-remedy=delete-user]").click()
        page.find("#email").send_keys("x")
        page.find("#look").click()
        page.idle()
        assert page.find("#email").get_attribute("value") == EMAIL, "the fields can't be changed while something is asked for"
        assert page.is_shown("plan") and OLD in page.text("sentence") and OLD in page.cards("plan-users")[0]
        page.type("expect", "bob-new")
        assert not page.is_shown("plan") and not page.is_shown("found"), "the plan of another player"
        page.type("email", "bob@example.com")
        assert not any("bob" in request for request in api.requests), api.requests
        page.click("#look")
        assert "888" in page.text("sentence") and not page.is_shown("plan"), page.text("sentence")
        page.is_clean()
    print("one thing at a time")


def hostile(driver):
    """Texts of the API are texts; odd input gets a sentence."""
    with zendesk() as api, Desk(api) as desk:
        api.users[0] |= {"externalId": HOSTILE, "signedUpAt": HOSTILE}
        # The old user has no brand: with one, the API would look for the present user only there.
        api.users[1]["brandId"] = HOSTILE
        id = api.converse(OLD, *[HOSTILE] * 101, at=HOSTILE)
        api.messages[id][100]["author"]["displayName"] = HOSTILE
        api.messages[id][99]["content"] = {"type": HOSTILE}
        api.messages[id][98]["content"] = {}
        page = Page(driver, desk).visit().look()
        assert f"Login id\n{HOSTILE}" in page.cards("users")[0] and HOSTILE in page.text("sentence"), page.cards("users")
        assert f"Brand\n{HOSTILE}" in page.cards("users")[1], page.cards("users")
        page.click("#users .old button")
        for button in page.driver.find_elements(By.CSS_SELECTOR, "#users .old button"):
            if button.is_displayed():
                button.click()
                page.idle()
        assert page.cards("users")[0].count(HOSTILE) > 100 and "Older messages are not shown." in page.cards("users")[0]
        assert "(no text)" in page.cards("users")[0], page.cards("users")[0]
        assert page.driver.find_elements(By.CSS_SELECTOR, "main img, main b") == []
        merge = page.find("#remedies [data-remedy=merge-into]")
        assert not merge.is_enabled() and "is of a user of another brand" in page.cards("remedies")[0]
        for email, expect, message in [("jane", "x", "has no @"), (EMAIL, " ", "The login id is empty"), (f"a{EMAIL}", "x", None)]:
            page.driver.execute_script("document.getElementById('find').noValidate = true")
            page.look(email, expect)
            assert (message in page.text("error")) if message else page.text("sentence").startswith("No user of Messaging has the email"), message
        page.find("#find summary").click()
        page.type("token", "not a token")
        page.click("#read-token")
        assert "has no token" in page.text("error"), page.text("error")
        # Half a player: the email of the previous one must not stay.
        page.type("email", EMAIL)
        page.type("token", jwt.encode({"sub": "someone-else"}, "x" * 32, "HS256"))
        page.click("#read-token")
        assert page.find("#email").get_attribute("value") == "" and page.text("token-result") == "The token has no email: fill it in."
        assert page.focused() == "email"
        page.is_clean()
    print("texts of the API stay texts, and odd input gets a sentence")


def chat(driver):
    with zendesk() as api, Desk(api) as desk:
        page = Page(driver, desk).visit()
        page.find("#tab-messaging").send_keys(Keys.ARROW_RIGHT)
        assert page.focused() == "tab-chat" and page.is_shown("chat") and not page.is_shown("messaging")
        for expect, sentence in [(OLD_ID, f"Linked: the visitor is the player {OLD_ID}."), ("x", f"Not linked: the visitor is {OLD_ID}, not x."), ("", "")]:
            page.type("visitor-id", "9855790-xjj3u5xPWhW1Fv")
            page.type("visitor-expect", expect)
            page.click("#show")
            assert "Chat answered with another id than 9855790-xjj3u5xPWhW1Fv" in page.text("visitor-sentences")
            assert page.text("visitor-sentences").endswith(sentence or "share an external id.") and "Jane Doe" in page.text("visitor-fields")
        page.type("visitor-id", "1.a")
        assert not page.is_shown("visitor"), "the previous visitor"
        page.click("#show")
        assert page.text("error") == "No visitor of Chat has the id 1.a." and not page.is_shown("visitor")
        page.is_clean()
    print("a visitor of Chat")


def first_start(driver):
    """The form shows what is wrong where it is wrong, tries the keys, and writes a private file."""
    with zendesk() as api, Desk() as desk:
        page = Page(driver, desk).visit()
        assert page.is_shown("setup") and not page.is_shown("desk") and page.text("settings-file") == "desk.toml"
        page.click("#save")
        assert page.text("error").startswith("The form is empty"), page.text("error")
        values = {"zendesk": f"{api.url}/sc", "app_id": "a b", "key_id": KEY_ID, "key_secret": KEY_SECRET}
        for name, value in values.items():
            page.type(f"conversations.{name}", value)
        page.click("#save")
        assert page.text("conversations.app_id-problem") == "Needs an id; copy it again.", page.text("conversations.app_id-problem")
        problem = page.driver.find_element(By.ID, "conversations.app_id-problem")
        field = page.driver.find_element(By.ID, "conversations.app_id")
        assert problem.text and field.get_attribute("aria-invalid") == "true" and page.focused() == "conversations.app_id", problem.text
        page.type("conversations.app_id", APP)
        page.type("conversations.key_secret", "wrong-but-long-enough")
        page.click("#save")
        assert "401" in page.text("error") and not os.path.exists(desk.file), page.text("error")
        page.type("conversations.key_secret", f" {KEY_SECRET} ")
        page.type("chat_api.zendesk", f"{api.url}/api/v2/chat")
        page.type("chat_api.token", CHAT_TOKEN)
        page.click("#save")
        assert page.is_shown("desk") and not page.is_shown("setup") and api.url.split("/")[2] in page.text("account"), page.text("error")
        assert page.focused() == "tab-messaging"
        assert stat.S_IMODE(os.stat(desk.file).st_mode) == 0o600 and read(desk.file).startswith("# Settings of zendesk-token desk")
        checked = subprocess.run([BINARY, "check", "--online", "--config", desk.file], env={}, capture_output=True, text=True)
        assert checked.returncode == 0 and checked.stdout.count("accepts the key") == 2, checked
        page.look()
        assert page.text("sentence").startswith("Conflict")
        page.is_clean()
    print("the first start: problems at their fields, keys tried, a private file")


def redirect_file(driver):
    """The browser gets a private file that leads to the page: other users of this machine can read arguments, but not the file."""
    with tempfile.TemporaryDirectory() as programs:
        write(f"{programs}/xdg-open", '#!/bin/sh\nprintf %s "$*" >"$0.arguments.new"\nmv "$0.arguments.new" "$0.arguments"\n')
        os.chmod(f"{programs}/xdg-open", 0o700)
        with zendesk() as api, Desk(api, path=f"{programs}:/usr/bin:/bin") as desk:
            wait_until(lambda: os.path.exists(f"{programs}/xdg-open.arguments"), "an opened browser")
            file = read(f"{programs}/xdg-open.arguments")
            assert os.path.dirname(file) == desk.folder.name and stat.S_IMODE(os.stat(file).st_mode) == 0o600, file
            driver.get(f"file://{file}")
            wait_until(lambda: driver.current_url == desk.url, "the page")
            page = Page(driver, desk)
            assert not os.path.exists(file), "the file is gone"
            page.visit()
            driver.refresh()
            page.look()
            assert page.text("sentence").startswith("Conflict"), "the cookie came with the first visit"
            page.is_clean()
    print("the browser is sent by a private file")


def two_tabs(driver):
    """Each tab shows its own result, and a plan that another tab replaced is not carried out."""
    with zendesk() as api, Desk(api) as desk:
        api.users.append(user("888", "bob-old", "bob@example.com"))
        page = Page(driver, desk).visit().look().choose("forget-email")
        first = driver.current_window_handle
        driver.switch_to.new_window("tab")
        page.visit().look("bob@example.com", "bob-new").choose("delete-user").confirm("delete")
        assert page.outcome().startswith("Done: user 888"), page.text("outcome")
        driver.switch_to.window(first)
        page.confirm("delete")
        assert page.text("error") == "This plan is not the newest one; look again." and api.find(OLD), page.text("error")
        page.click("#cancel").choose("forget-email").confirm("delete")
        assert OLD in page.outcome() and "888" not in page.text("steps"), page.text("steps")
        driver.switch_to.window(driver.window_handles[-1])
        driver.refresh()
        assert page.outcome().startswith("Done: user 888"), page.text("outcome")
        driver.close()
        driver.switch_to.window(first)
    print("two tabs")


def by_keyboard(driver):
    with zendesk() as api, Desk(api) as desk:
        page = Page(driver, desk).visit()
        active = lambda: page.driver.switch_to.active_element
        def tab_to(is_wanted):
            for _ in range(60):
                active().send_keys(Keys.TAB)
                assert active().value_of_css_property("outline-style") != "none", active().get_attribute("outerHTML")
                if is_wanted(active()):
                    return active()
            raise AssertionError("not reached by keyboard")
        tab_to(lambda element: element.get_attribute("id") == "email").send_keys(EMAIL)
        tab_to(lambda element: element.get_attribute("id") == "expect").send_keys(PRESENT_ID, Keys.ENTER)
        wait_until(lambda: page.is_shown("choice"), "remedies")
        tab_to(lambda element: element.get_attribute("data-remedy") == "merge-into").send_keys(Keys.ENTER)
        wait_until(lambda: page.is_shown("plan"), "a plan")
        tab_to(lambda element: element.get_attribute("id") == "confirmation").send_keys("merge", Keys.ENTER)
        assert page.outcome().startswith("Done: ")
        assert page.focused() == "work-title"
        page.is_clean()
    print("by keyboard, with visible focus")


def layouts(driver, axe, screenshots):
    """In light and dark, wide and narrow layouts nothing overflows, and axe-core finds nothing serious."""
    script, grounds = read(axe), set()
    def check(page, name, width):
        wide = page.driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, f"{name}: {wide} px at {width}"
        page.driver.execute_script(script)
        found = page.driver.execute_async_script("axe.run().then(arguments[0])")
        assert {issue["id"] for issue in found["incomplete"]} <= {"color-contrast"}, (name, found["incomplete"])
        serious = [(issue["id"], [node["html"] for node in issue["nodes"]]) for issue in found["violations"]]
        assert serious == [], (name, width, serious)
        if screenshots:
            page.driver.execute_script("scrollTo(0, 0)")
            height = page.driver.execute_script("return document.documentElement.scrollHeight")
            page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == 360})
            page.driver.save_screenshot(f"{screenshots}/{name}.png")
            page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == 360})
    for scheme in ["light", "dark"]:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        for width in [1000, 360]:
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == 360})
            with zendesk() as api, Desk() as empty, Desk(api) as desk:
                page = Page(driver, empty).visit()
                page.type("conversations.app_id", "a b")
                page.click("#save")
                check(page, f"desk-{scheme}-{width}-setup", width)
                page = Page(driver, desk).visit()
                grounds.add(driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
                check(page, f"desk-{scheme}-{width}-start", width)
                page.look().click("#users .old button").click("#users .old button")
                check(page, f"desk-{scheme}-{width}-found", width)
                page.choose("merge-into")
                check(page, f"desk-{scheme}-{width}-plan", width)
                page.confirm("merge").outcome()
                check(page, f"desk-{scheme}-{width}-done", width)
                page.click("#tab-chat")
                page.type("visitor-id", "9855790-xjj3u5xPWhW1Fv")
                page.type("visitor-expect", OLD_ID)
                page.click("#show")
                check(page, f"desk-{scheme}-{width}-chat", width)
                page.is_clean()
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(grounds) == 2, grounds
    print("light and dark, 1000 and 360 px wide, and axe-core finds nothing")


def pictures(driver, folder):
    """The parts of the page that docs/support-lead.md shows, 1000 px wide."""
    width = {"width": 1000, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]})
    driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})

    def save(name, first, last):
        """From the top of one element to the bottom of another."""
        driver.execute_script("document.activeElement.blur()")
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", width | {"height": 4000})
        top, bottom = driver.execute_script(
            "return [...arguments].map((id) => document.getElementById(id).getBoundingClientRect())", first, last)
        clip = {"x": 0, "y": top["top"] - 12, "width": 1000, "height": bottom["bottom"] - top["top"] + 24, "scale": 1}
        image = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})
        with open(f"{folder}/{name}.png", "wb") as file:
            file.write(base64.b64decode(image["data"]))
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", width)

    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", width)
    with zendesk() as api, Desk() as empty, Desk(api) as desk:
        page = Page(driver, empty).visit()
        save("desk-first-start", "setup", "setup")
        page = Page(driver, desk).visit().look()
        save("desk-found", "found", "choice")
        page.choose("merge-into")
        page.type("confirmation", "merge")
        save("desk-confirm", "plan", "plan")
        page.click("#resolve").outcome()
        save("desk-done", "work", "work")
        page.click("#tab-chat")
        page.type("visitor-id", "9855790-xjj3u5xPWhW1Fv")
        page.type("visitor-expect", OLD_ID)
        page.click("#show")
        save("desk-chat", "visitor-title", "visitor")
    for reset in ["Emulation.clearDeviceMetricsOverride", "Emulation.setEmulatedMedia", "Emulation.setScrollbarsHidden"]:
        driver.execute_cdp_cmd(reset, {"hidden": False} if "Scrollbars" in reset else {})


def main(chromium, chromedriver, axe, screenshots=None):
    driver = browser(chromium, chromedriver)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    try:
        for test in [merge, other_remedies, failures, short_of_network, lost_responses, one_at_a_time, hostile, chat, first_start, redirect_file, two_tabs, by_keyboard]:
            test(driver)
        layouts(driver, axe, screenshots)
        if screenshots:
            pictures(driver, screenshots)
    finally:
        driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
