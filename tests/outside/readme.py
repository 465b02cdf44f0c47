"""Runs everything in README.md and the book that a reader would copy or type.

readme.py CHROMIUM CHROMEDRIVER: runs each fenced block and each command in the text, once, against a service on loopback: in bash, in a real
browser, or as settings of the program. A block or command that is not listed here fails. What cannot run here is printed at the end, with
the reason.
"""

import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from urllib.parse import urlsplit

import jwt
import tree_sitter
import tree_sitter_html
import tree_sitter_kotlin
import tree_sitter_powershell
import tree_sitter_swift
import tree_sitter_typescript

import products
from demo import Demo
from jwt_fn import browser, verify
from proxy import PREFIX, SITE, free_port
from reader import API_SECRET, BUILD_PATIENCE, FENCE, OLD_USER, PROJECT, ROOT, Reader, blocks, filled, variables
from service import KEY_ID, PATIENCE, SECRETS, Service, ask, login_token, read, wait_until, write

# What no test can run, and why.
NOT_RUN = {
    "tests/all": "runs this script",
    "tests/soak": "takes ten minutes",
    "cargo audit bin": "asks for advisories outside; tests/release reads the list of parts in the binary",
    "cargo doc --document-private-items --open": "opens a browser; tests/all builds the documentation",
    "mdbook build docs": "tests/all builds the book",
    "cargo install --locked --profile dist --path .": "builds for minutes; tests/release builds the same",
    "cargo binstall": "there is no release here",
    "systemctl reload": "there is no systemd here",
    "docker restart": "the page says not to use it",
}


def first_commands(reader, text):
    """tests/newcomer runs both unchanged; the optimised build takes minutes."""
    command, tests = text.splitlines()
    assert command.startswith("cargo run --release -- ") and os.access(f"{ROOT}/{tests}", os.X_OK), text
    demo(reader, command.partition(" -- ")[2])


def cookie(reader, text):
    name, reader.cookie = filled(text).strip().split(": ", 1)
    assert name == "Set-Cookie"
    parts = reader.cookie.split("; ")
    assert parts[0].startswith("__Host-token=") and parts[1:] == ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"], parts


def environment_file(reader, text):
    write(f"{reader.checkout}/zendesk-token.env", filled(text))
    reader.settings = variables(filled(text))
    assert len(reader.settings) == 5, reader.settings


def deploy(reader, text):
    output = reader.run_container(text, patience=BUILD_PATIENCE)
    assert "No errors, 0 warning(s)." in output and "/generate/token" in output, output
    verify("chat", container_token(reader, xsolla_login_project_id=PROJECT))
    assert container_token(reader) == 401, "a token of another project"


def restart(reader, text):
    before = reader.container
    reader.run_container(text)
    assert reader.container != before
    verify("chat", container_token(reader, xsolla_login_project_id=PROJECT))


def without_a_token(reader, span):
    assert '"00-00"' in reader.shell(span.replace("127.0.0.1:8001", reader.published))


def keep_and_build(reader, text):
    """After the first one, so the image exists."""
    reader.shell(text, with_engine=True, patience=BUILD_PATIENCE)


def container_token(reader, **claims):
    """A token of the container, or the status of its refusal."""
    return products.ask(reader.published, "chat", login_token(**claims), "__Host-token")


def compose(reader, text):
    reader.shell(text)


def npm_pack(reader, span):
    """In an app's folder next to the checkout."""
    reader.app = f"{reader.checkout}/../app"
    os.makedirs(reader.app)
    write(f"{reader.app}/package.json", "{}")
    reader.shell(span, folder=reader.app)


def npm_install(reader, span):
    reader.shell(f"{span} --offline --no-audit --no-fund", folder=reader.app)
    assert os.path.exists(f"{reader.app}/node_modules/zendesk-token/index.js")


def script_tag(reader, text):
    """The first tag is the service's; the others are the shop's own and Zendesk's, which no test loads."""
    parsed(tree_sitter_html.language)(reader, text)
    reader.tag = text.splitlines()[0]
    reader.open("")
    functions = {"configure", "helpCenterJwtFn", "jwtFn", "loginUser", "signedIn", "signedOut"}
    assert set(reader.driver.execute_script("return Object.keys(zendeskToken)")) == functions


def module(reader, text):
    parsed(tree_sitter_html.language)(reader, text)
    reader.tag, tag = text, reader.tag
    reader.open("", RECORDER)
    verify("messaging", reader.token("calls[0][2]"))
    reader.tag = tag


def content_security_policy(reader, text):
    """Under the policy a page gets a token, and the browser has nothing to say about it."""
    name, reader.policy = text.strip().split(": ", 1)
    assert name == "Content-Security-Policy", name
    reader.open("")
    verify("chat", reader.token("zendeskToken.jwtFn"))
    messages = reader.driver.get_log("browser")
    assert messages == [], messages
    reader.policy = None


def classic(reader, text):
    reader.open(text)
    verify("chat", reader.token("zESettings.webWidget.authenticate.chat.jwtFn"))
    verify("help_center", reader.token("zESettings.webWidget.authenticate.jwtFn"))


# Instead of Zendesk's widgets: keeps the calls.
RECORDER = """
window.calls = [];
window.zE = (...call) => { calls.push(call); };
window.zChat = { init: (options) => { calls.push(["init", options]); }, logout: () => { calls.push(["logout"]); } };
"""


def commands(reader):
    """The calls of the widgets since the last time, without their functions."""
    return reader.driver.execute_script("return calls.splice(0).map((call) => call.filter((value) => typeof value === 'string').join(' '))")


def web_sdk(reader, text):
    reader.open(filled(text), RECORDER)
    verify("chat", reader.token("calls[0][1].authentication.jwt_fn"))
    reader.driver.execute_script("delete window.zE; zendeskToken.signedIn()")
    assert commands(reader) == ["init", "logout", "init"]


def messaging(reader, text):
    reader.open(text, RECORDER)
    verify("messaging", reader.token("calls[0][2]"))
    assert commands(reader) == ["messenger loginUser"]


def sign_in_and_out(reader, text):
    reader.open(text, f"{RECORDER} delete window.zChat;")
    reader.driver.execute_script("onSignIn()")
    verify("messaging", reader.token("calls[0][2]"))
    reader.driver.execute_script("onSignOut()")
    assert commands(reader) == ["messenger loginUser", "messenger logoutUser"]


def single_page_app(reader, text):
    """There is no cookie; each request has the token that the page has then."""
    reader.open(text, f"{RECORDER} delete window.zChat; addEventListener('zendesk-token-refused', ({{ detail }}) => seen.push(detail.cause));",
                cookie="/out")
    for change in ["onSignIn", "onRenewal"]:
        reader.driver.execute_script(f"{change}('{login_token()}')")
        verify("messaging", reader.token("calls[0][2]"))
    reader.driver.execute_script("onSignOut()")
    assert commands(reader) == ["messenger loginUser", "messenger logoutUser"]
    assert reader.driver.execute_async_script("zendeskToken.jwtFn(() => {}).then(() => arguments[0](seen))") == ["signed-out"]


def refused(reader, text):
    """The block listens on the page; what it writes to the console is compared."""
    reader.open(text, cookie="/out")
    for cookie, expected in [
        (None, '"chat" "signed-out" 401 "00-00" "Token not passed" 1'),
        ("rubbish", '"chat" "login-invalid" 401 "00-01" "Token is invalid" 1'),
    ]:
        if cookie:
            reader.driver.add_cookie({"name": "__Host-token", "value": cookie, "path": "/", "secure": True, "sameSite": "Lax"})
        reader.driver.execute_async_script("zendeskToken.jwtFn(() => {}).then(arguments[0])")
        messages = [entry["message"] for entry in reader.driver.get_log("browser")]
        assert any(expected in message for message in messages), messages


def without_the_script(reader, text):
    reader.function, tag, reader.tag = text, reader.tag, ""
    reader.open(text)
    verify("chat", reader.token("fetchZendeskToken"))
    reader.open(text, cookie="/out")
    failed = reader.driver.execute_async_script("fetchZendeskToken(arguments[0]).catch(({ message }) => arguments[0](message))")
    assert failed.startswith("401 ") and "00-00" in failed, failed
    reader.tag = tag


def with_the_header(reader, text):
    reader.tag, tag = "", reader.tag
    changed, count = re.subn(r"^  const response = await fetch\(.*\n", lambda _: text, reader.function, flags=re.MULTILINE)
    assert count == 1, "the line that it replaces"
    reader.open(changed, f"const loginToken = '{login_token()}';", cookie="/out")
    verify("chat", reader.token("fetchZendeskToken"))
    reader.tag = tag


def parsed(language):
    def run(reader, text):
        tree = tree_sitter.Parser(tree_sitter.Language(language())).parse(text.encode())
        assert not tree.root_node.has_error, tree.root_node
    return run


def example(name):
    """A file of client/examples, which another test runs."""
    def run(reader, text):
        assert text == read(f"{ROOT}/client/examples/{name}"), f"not client/examples/{name}"
        parsed(tree_sitter_typescript.language_tsx)(reader, text)
    return run


def curl(reader, text):
    output = reader.shell(filled(text))
    bodies = [json.loads(line) for line in re.findall(r"^\{.*?\}", output, re.MULTILINE)]
    assert len(re.findall(r"HTTP/\S+ 200", output)) == len(bodies) == len(text.splitlines()), output
    for line, body in zip(text.splitlines(), bodies):
        if "user-token" in line:
            body = json.loads(reader.shell(f"curl --data 'user_token={body['user_token']}' https://{SITE}{PREFIX}/support-sdk/token"))
        if "support-sdk" in line:
            jwt.decode(body["jwt"], SECRETS["support_sdk"], algorithms=["HS256"])
        else:
            verify("messaging" if "messaging" in line else "chat", body["token"])


def inspect(reader, text):
    token = login_token(xsolla_login_project_id=PROJECT)
    for name, content in [("login", token), ("issued", products_token(reader))]:
        write(f"{reader.checkout}/{name}-token.txt", content)
    output, _, json_output = reader.shell(text, with_engine=True).partition("\n{")
    assert "jane@example.com" in output and token.rsplit(".", 1)[1] not in output, output
    if json_output:
        members = json.loads("{" + json_output)
        assert members["verdict"] == "accepted", members
        table = reader.text.partition("| Member | Content |\n")[2].partition("\n\n")[0]
        documented = set(re.findall(r"`(\w+)`", table))
        assert set(members) <= documented, set(members) - documented


def products_token(reader):
    """An issued token, requested as a page does."""
    token = reader.shell(f"curl --cookie '__Host-token={login_token()}' --header 'Accept: text/plain' https://{SITE}{PREFIX}/generate/token")
    verify("chat", token)
    return token


def desk_settings(reader, text):
    """`check` accepts it unchanged; then the API on loopback replaces Zendesk's."""
    settings = filled(text)
    write(f"{reader.desk}/desk.toml", settings)
    reader.shell("zendesk-token check --config desk.toml", reader.desk, **reader.settings)
    local, count = re.subn(r'^subdomain = "acme"', f'base_url = "{reader.api.url}/sc"', settings, flags=re.MULTILINE)
    assert count == 1, settings
    write(f"{reader.desk}/desk.toml", f'{local}\n[chat_api]\nbase_url = "{reader.api.url}/api/v2/chat"\ntoken = "{API_SECRET}"\n')


def login_settings(reader, text):
    """`check` accepts a login's settings: as the only ones, and a login other than Xsolla's also next to one of Xsolla."""
    write(f"{reader.home}/logins.toml", filled(text))
    run = lambda **more: reader.shell(f"zendesk-token check --config {reader.home}/logins.toml", **more)
    chat = {"ZENDESK_TOKEN_CHAT__SECRET": reader.settings["ZENDESK_TOKEN_CHAT__SECRET"]}
    outputs = [run(**chat)]
    if "issuer" not in tomllib.loads(filled(text)).get("login", {}):
        outputs.append(run(**reader.settings, ZENDESK_TOKEN_LOGIN__ISSUER="https://login.xsolla.com"))
    for output in outputs:
        assert "No errors" in output and "external_id_prefix" not in "".join(re.findall("^Warning.*", output, re.MULTILINE)), output
        for name in tomllib.loads(filled(text)).get("logins", {}):
            assert f"logins.{name}.issuer" in output, output


def login_variables(reader, text):
    """The lines mean the same as the settings file before them."""
    lines = variables(text)
    output = reader.shell("zendesk-token check", **reader.settings, **lines)
    assert "No errors" in output and "logins.auth0.issuer" in output, output
    written = next(tomllib.loads(block) for language, block in blocks(reader.text) if language == "toml" and "[logins.auth0]" in block)
    expected = {"ZENDESK_TOKEN_LOGIN__ISSUER": written["login"]["issuer"]}
    for key, value in written["logins"]["auth0"].items():
        for name, value in value.items() if isinstance(value, dict) else [(None, value)]:
            variable = "__".join(filter(None, ["ZENDESK_TOKEN_LOGINS__AUTH0", key, name])).upper()
            expected[variable] = ",".join(value) if isinstance(value, list) else value
    assert lines == expected, lines


def function_for_docker(reader, text):
    """Uses the stand-in for Docker: a real container would not reach the API on loopback."""
    reader.function_text = text


def function_in_powershell(reader, text):
    arguments = lambda text: re.search(r"\{ (.*?);? \}", text)[1].replace("${PWD}", "$PWD").replace("@args", '"$@"').split()
    # On Windows and on a Mac a container's files are the caller's in any case.
    assert arguments(text) == arguments(reader.function_text.replace('--user "$(id -u):$(id -g)" ', "")), text
    parsed(tree_sitter_powershell.language)(reader, text)


def start_file(reader, text):
    """A double-click starts the desk, and opens the page that it prints; closing the window ends both. It is not executable yet."""
    reader.shell(re.search(r"`(docker build --target [^`]+)`", reader.text)[1].replace("\n", " "))
    port = free_port()
    published = text.replace("--publish 127.0.0.1:8002:", f"--publish 127.0.0.1:{port}:")
    assert published != text, "the published port is replaced by a free one"
    reader.start_text = text
    write(f"{reader.desk}/Support desk.command", published)
    # Instead of the Mac's own command.
    write(f"{reader.bin}/osascript", f'#!/bin/sh\ncat >{reader.home}/opened.new && mv {reader.home}/opened.new {reader.home}/opened\n')
    os.chmod(f"{reader.bin}/osascript", 0o755)


def start_file_is_executable(reader, text):
    """With these rights, a double-click starts the desk."""
    reader.shell(text, reader.desk)
    assert stat.S_IMODE(os.stat(f"{reader.desk}/desk.toml").st_mode) == 0o600
    port = int(re.search(r"127\.0\.0\.1:(\d+):", read(f"{reader.desk}/Support desk.command"))[1])
    started = subprocess.Popen([f"{reader.desk}/Support desk.command"], cwd="/", env=reader.environment(), start_new_session=True)
    try:
        wait_until(lambda: os.path.exists(f"{reader.home}/opened"), "an opened page")
        url = urlsplit(re.fullmatch(r'open location "(.+)"\n', read(f"{reader.home}/opened"))[1])
        status, _, page = ask(f"127.0.0.1:{port}", url.path, Host=url.netloc)
        assert status == 200 and "Support desk" in page, page
        os.killpg(started.pid, signal.SIGHUP)
        started.wait(PATIENCE)
        wait_until(lambda: not is_listening(port), "the end of the desk")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_file_on_windows(reader, text):
    """The same container as on a Mac; the command is PowerShell."""
    command = re.search(r'-Command "(.*)"$', text, re.MULTILINE)[1]
    arguments = lambda text: re.search(r"docker run .* zendesk-token-desk", text)[0].replace("'%cd%:/desk'", '"$PWD:/desk"')
    assert arguments(command) == arguments(reader.start_text.replace('--user "$(id -u):$(id -g)" ', "")), command
    parsed(tree_sitter_powershell.language)(reader, command)


def find(reader, text):
    reader.find = text
    email = re.search(r"--email (\S+)", text)[1]
    reader.api.users[0]["identities"] = [{"type": "email", "value": email, "verification": "sso"}]
    reader.api.converse(OLD_USER, "Where is my order?")
    output = reader.terminal(reader.function_text + text)
    for remedy in ["--merge-into LOGIN-ID-NOW", "--forget-email", "--delete-user"]:
        assert re.search(rf"conflict resolve {OLD_USER} .*{remedy}", output), output


def resolve(reader, text):
    rehearsed, real = filled(text).splitlines()
    before = json.dumps([reader.api.users, reader.api.conversations])
    output = reader.terminal(reader.function_text + rehearsed)
    assert json.dumps([reader.api.users, reader.api.conversations]) == before and "/appusers/merge" in output, output
    output = reader.terminal(reader.function_text + real, "Type yes to continue: ")
    [record] = [name for name in os.listdir(reader.desk) if re.fullmatch(r"zendesk-user-.+\.json", name)]
    assert json.loads(read(f"{reader.desk}/{record}")) == json.loads(before)[0][0]
    [left] = reader.api.users
    assert "Done: " in output and left["externalId"] == "LOGIN-ID-NOW" and len(reader.api.conversations[left["id"]]) == 1, output
    reader.api.users[:], conversations = json.loads(before)
    reader.api.conversations = conversations


def visitor(reader, text):
    reader.visitor = text
    id, sub = re.search(r"visitor show (\S+) .*--expect (\S+)", text).groups()
    reader.api.visitors[id.replace(".", "-")] = {"id": id, "external_id": sub, "name": "Jane", "created": 1_586_950_554, "banned": False}
    output = reader.terminal(reader.function_text + text)
    assert "Linked: " in output, output


def layout(reader, text):
    for line in text.splitlines():
        assert os.path.exists(f"{ROOT}/{line.split()[0]}"), line


# Language, beginning, and the function that runs it.
BLOCKS = [
    ("", "page ── login cookie", lambda *_: None),
    ("", " browser ", lambda *_: None),
    ("", "src/", layout),
    ("sh", "cargo run", first_commands),
    ("http", "Set-Cookie: ", cookie),
    ("http", "Content-Security-Policy: ", content_security_policy),
    ("sh", "# Publisher Account", environment_file),
    ("sh", "docker build", deploy),
    ("sh", "ZENDESK_TOKEN_SITE=", compose),
    ("html", "<script src=", script_tag),
    ("html", "<script type=\"module\">", module),
    ("js", "// Web Widget (Classic)", classic),
    ("js", "// Zendesk Chat (Web SDK)", web_sdk),
    ("js", "// Messaging", messaging),
    ("js", "// Sign-in and sign-out", sign_in_and_out),
    ("js", "// A single-page app", single_page_app),
    ("js", "// Vue", example("useSupport.js")),
    ("jsx", "// React", example("Support.jsx")),
    ("ts", "import {", parsed(tree_sitter_typescript.language_typescript)),
    ("js", "// Why a visitor stays anonymous", refused),
    ("js", "async function fetchZendeskToken", without_the_script),
    ("js", "  const response = await fetch", with_the_header),
    ("kotlin", "// Android", parsed(tree_sitter_kotlin.language)),
    ("swift", "// iOS", parsed(tree_sitter_swift.language)),
    ("sh", "curl ", curl),
    ("sh", "docker tag", keep_and_build),
    ("sh", "docker run --rm --env-file", restart),
    ("sh", "docker run", inspect),
    ("sh", "ZENDESK_TOKEN_LOGIN__ISSUER=", login_variables),
    ("toml", "[login]", login_settings),
    ("toml", "[conversations]", desk_settings),
    ("sh", "zendesk-token() {", function_for_docker),
    ("powershell", "function zendesk-token {", function_in_powershell),
    ("sh", "#!/bin/sh", start_file),
    ("sh", 'chmod +x "Support desk.command"', start_file_is_executable),
    ("bat", "@rem Starts the support desk", start_file_on_windows),
    ("sh", "zendesk-token conflict find", find),
    ("sh", "zendesk-token conflict resolve", resolve),
    ("sh", "zendesk-token visitor show", visitor),
]


def demo(reader, span):
    secret = f"{reader.home}/login-secret.txt"
    write(secret, SECRETS["login"])
    arguments = span.replace("FILE", secret).split()
    # Only with a given secret does it accept a given page.
    arguments += ["--origin", f"https://{SITE}"] if secret in arguments else []
    with Demo(*arguments[1:]) as running:
        with urllib.request.urlopen(f"{running.shop}/", timeout=PATIENCE) as page:
            assert page.status == 200 and b"</html>" in page.read()


def check_online(reader, span):
    output = reader.shell(f"zendesk-token {span}", ZENDESK_TOKEN_LOGIN__API_URL=reader.api.url, **reader.settings)
    assert "this machine's clock agrees with it" in output, output


def check_desk(reader, span):
    output = reader.shell(span, reader.desk)
    assert output.count("accepts the key") == 2, output


def desk(reader, span):
    """Opens the printed page in the desktop's browser."""
    write(f"{reader.bin}/xdg-open", f'#!/bin/sh\necho "$1" >{reader.home}/browsed.new && mv {reader.home}/browsed.new {reader.home}/browsed\n')
    os.chmod(f"{reader.bin}/xdg-open", 0o755)
    running = subprocess.Popen(shlex.split(span), cwd=reader.desk, env=reader.environment(), stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: os.path.exists(f"{reader.home}/browsed"), "an opened page")
        url = re.search(r'href="(.+?)"', read(read(f"{reader.home}/browsed").strip()))[1]
        with urllib.request.urlopen(url, timeout=PATIENCE) as page:
            assert b"Support desk" in page.read()
    finally:
        running.terminate()
        output, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0 and url in output.splitlines(), output


def schema(reader, span):
    assert reader.shell(span) == read(f"{ROOT}/config/schema.json")


def openapi(reader, span):
    assert json.loads(reader.shell(span)) == json.loads(reader.shell(f"curl https://{SITE}{PREFIX}/openapi.json"))


def inspect_issued(reader, span):
    """`inspect` accepts what the service issues."""
    product = span.split()[-1].replace("-", "_")
    token = products.ask(reader.service.public, product, login_token(), "__Host-token")
    write(f"{reader.home}/issued-token.txt", token)
    secrets = {f"ZENDESK_TOKEN_{product.upper()}__SECRET": SECRETS[product], "ZENDESK_TOKEN_MESSAGING__KEY_ID": KEY_ID}
    reader.shell(f"zendesk-token {span.removeprefix('zendesk-token ')} <{reader.home}/issued-token.txt", **(reader.settings | secrets))


def secret(reader, span):
    assert re.fullmatch("[0-9a-f]{64}\n", reader.shell(span))


def hang_up(reader, span):
    reader.shell(f"{span} {reader.container}", with_engine=True)
    logs = lambda: reader.shell(f"docker logs {reader.container}", with_engine=True)
    wait_until(lambda: "settings reloaded" in logs(), "a reload")


def rotate(reader, span):
    """The old secret becomes the previous one while the service runs; tokens of both verify."""
    folder = f"{reader.home}/secrets"
    os.mkdir(folder)
    new = os.urandom(32).hex()
    values = {"secret": SECRETS["login"], "previous": os.urandom(32).hex(), "secret.new": new, "previous.new": SECRETS["login"]}
    for name, value in values.items():
        write(f"{folder}/{name}", value)
    files = {"login__secret_file": f"{folder}/secret", "login__previous_secret_file": f"{folder}/previous"}
    with Service(login__secret=None, **files) as service:
        old, fresh = login_token(), login_token(new)
        assert products.ask(service.public, "chat", fresh) == 401
        reader.shell(span, folder)
        wait_until(lambda: products.ask(service.public, "chat", fresh) != 401, "a reload")
        verify("chat", products.ask(service.public, "chat", old))
        service.stop()


def fingerprint(reader, span):
    token = products_token(reader)
    hash = reader.shell(span, TOKEN=token).split()[0]
    wait_until(lambda: any(f'"token_sha256":"{hash}"' in line for line in reader.service.log), f"a log line with {hash}")


def show(reader, span):
    command = filled(span).replace("ID", reader.visitor.split()[3])
    assert reader.terminal(reader.function_text + command)


def members(reader, span):
    """The command's JSON has the members in the table and no others."""
    user = f"{OLD_USER} --config desk.toml"
    commands = {
        "conflict find": reader.find, "conflict show": f"zendesk-token conflict show {user}", "visitor show": reader.visitor,
        "conflict resolve": f"zendesk-token conflict resolve {user} --delete-user --yes --backup kept.json",
        "conflict resolve --merge-into": f"zendesk-token conflict resolve {user} --merge-into LOGIN-ID-NOW --dry-run"}
    cells = re.findall(r"^\| `((?:conflict|visitor) [\w -]+)`.*? \| (.*) \|$", reader.text, re.MULTILINE)
    rows = {name: set(re.findall(r"`([\w-]+)`", cell)) for name, cell in cells}
    assert set(rows) == set(commands), rows
    rows["conflict resolve --merge-into"] |= rows["conflict resolve"]
    users = json.dumps(reader.api.users)
    output = json.loads(reader.shell(f"{commands[span].strip()} --json 2>/dev/null", reader.desk))
    if span == "conflict resolve":
        assert json.loads(read(f"{reader.desk}/kept.json")) == json.loads(users)[0] and reader.api.users == []
        reader.api.users[:] = json.loads(users)
    documented = rows[span] | rows["conflict show"]
    assert keys(output) <= documented, keys(output) - documented
    assert set(output) <= rows[span] or span == "conflict show", output


def keys(value):
    """The names of all members, at any depth."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()


def settings(reader, span):
    key, value = span.split(" = ")
    limited = 'messaging.email = "verified"\n' if key == "messaging.verified_types" else ""
    write(f"{reader.home}/settings.toml", f'messaging.secret = "{SECRETS["messaging"]}"\nmessaging.key_id = "k"\n{limited}{span}\n')
    output = reader.shell(f"zendesk-token check --config {reader.home}/settings.toml", **reader.settings)
    shown = ",".join(re.findall(r'"([^"]*)"', value)) or value
    assert re.search(rf"{re.escape(key)}\s+{re.escape(shown)} ", output), output


def variable(reader, span):
    name, value = span.split("=", 1)
    settings = reader.settings | {name: value}
    if value == "RS256":
        settings = {name: value for name, value in settings.items() if not name.endswith("LOGIN__SECRET")}
    reader.shell("zendesk-token check", **settings)


def option(reader, span):
    """An option in the help of a command; the blocks have tried most of them."""
    commands = ["demo", "check", "inspect", "desk", "conflict find", "conflict resolve"]
    helps = [reader.shell(f"zendesk-token {command} --help") for command in commands]
    assert any(span.split()[0] in text for text in helps), f"no command has the option {span}"


def feature(reader, span):
    assert f"cargo build --locked --quiet {span}\n" in read(f"{ROOT}/tests/all"), span


def command_name(reader, span):
    assert f"\n  {span} " in reader.shell("zendesk-token --help"), span


def not_run(_, span):
    assert not span.startswith("tests/") or os.access(f"{ROOT}/{span}", os.X_OK), span


# What is between backticks and can be typed, and the function that runs it. The first match counts.
COMMANDS = [
    (r"demo( --.*)?", demo),
    (r"check --online", check_online),
    (r"zendesk-token check --online --config desk\.toml", check_desk),
    (r"zendesk-token desk --config desk\.toml", desk),
    (r"zendesk-token openapi", openapi),
    (r"zendesk-token secret", secret),
    (r"zendesk-token schema", schema),
    (r"(zendesk-token )?inspect --zendesk [a-z-]+", inspect_issued),
    (r"zendesk-token --version", lambda reader, span: reader.shell(span)),
    (r"check|inspect", command_name),
    (r"docker build --(tag|target desk --tag) [a-z-]+ \.", lambda reader, span: reader.shell(span)),
    (r"docker kill --signal HUP", hang_up),
    (r"mv .*", rotate),
    (r"docker logs zendesk-token", lambda reader, span: reader.shell(span, with_engine=True)),
    (r"curl http://127\.0\.0\.1:8001/generate/token", without_a_token),
    (r"npm pack .*", npm_pack),
    (r"npm install .*", npm_install),
    (r'printf %s "\$TOKEN" \| sha256sum', fingerprint),
    (r"zendesk-token (conflict show USER|visitor show ID) --config desk\.toml", show),
    (r"conflict (find|show|resolve( --merge-into)?)|visitor show", members),
    (r"[a-z_]+\.[a-z_]+ = .+", settings),
    (r"ZENDESK_TOKEN_\w+=.+", variable),
    (r"--features .*", feature),
    (r"--[a-z].*", option),
    ("|".join(NOT_RUN), not_run),
]
# What has spaces and is not a command: routes, headers and the like. tests/in_process/readme.rs compares the descriptions of refusals.
NOT_TYPED = r"Support desk\.(command|cmd)|(GET|POST) \S+|[A-Za-z_-]+: .+|SameSite=None; Secure|\w+\(.+\)"


def main(chromium, chromedriver):
    read = lambda path: pathlib.Path(ROOT, path).read_text()
    pages = [f"docs/{name}" for name in re.findall(r"\(([^()]+\.md)\)", read("docs/SUMMARY.md"))]
    text = "\n\n".join(map(read, ["README.md", *pages]))
    prose = FENCE.sub("", text)
    refusals = set(re.findall(r"^\| `\d\d-\d\d` \| \d+ \| `(.+?)` \|", prose, re.MULTILINE))
    spans = dict.fromkeys(re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", prose))
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(folder)
        try:
            reader.text = text
            print(f"docker: {reader.docker}")
            reader.driver = browser(chromium, chromedriver, "--ignore-certificate-errors", hosts=f"MAP {SITE} {reader.site}")
            used = {run_block(reader, *block) for block in dict.fromkeys(blocks(text))}
            assert used == set(range(len(BLOCKS))), f"no page has {[BLOCKS[unused][1] for unused in set(range(len(BLOCKS))) - used]}"
            for span in spans:
                if span not in refusals:
                    run_span(reader, span)
        finally:
            reader.close()
    for what, why in NOT_RUN.items():
        assert what in text, f"no page has {what}"
        print(f"not run, {what}: {why}")


def run_block(reader, language, text):
    """Runs a block and returns its row in BLOCKS."""
    for row, (known, beginning, run) in enumerate(BLOCKS):
        if language == known and text.startswith(beginning):
            print(f"{language or 'text'}, {text.splitlines()[0].strip()[:60]}", flush=True)
            run(reader, text)
            return row
    raise AssertionError(f"a block that nothing here runs:\n{text}")


def run_span(reader, span):
    run = next((run for form, run in COMMANDS if re.fullmatch(form, span)), None)
    if run:
        print(f"`{span}`", flush=True)
        run(reader, span)
    else:
        assert " " not in span or re.fullmatch(NOT_TYPED, span), f"a command that nothing here runs: `{span}`"


if __name__ == "__main__":
    main(*sys.argv[1:])
