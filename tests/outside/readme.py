"""Does everything in README.md that a reader would copy or type do what it says there?

readme.py CHROMIUM CHROMEDRIVER: takes each fenced block and each command in the text out of README.md and runs it against a running
service on loopback, in bash, in a real browser or as the settings of the program. What is not known here fails, so that nothing can be
added to README.md that nobody runs. What can't run here is named at the end, with the reason.
"""

import json
import os
import re
import shlex
import sys
import tempfile
import time
import tomllib
import urllib.request

import jwt
import tree_sitter
import tree_sitter_kotlin
import tree_sitter_powershell
import tree_sitter_swift

import products
from demo import Demo
from jwt_fn import browser, verify
from proxy import PREFIX, SITE, free_port
from reader import API_SECRET, BUILD_PATIENCE, OLD_USER, PROJECT, ROOT, Reader, filled
from service import PATIENCE, SECRETS, Service, login_token

# What no test can run, and why.
NOT_RUN = {
    "tests/all": "it is what runs this",
    "tests/soak": "takes ten minutes",
    "tests/newcomer": "takes the better part of an hour, and runs this",
    "tests/release": "takes minutes; the release runs it",
    "tests/fuzz/run": "takes long, and needs a nightly compiler",
    "cosign verify": "there is no release here; its names are compared with the workflow that makes one",
    "gh attestation verify": "there is no release here; its names are compared with the workflow that makes one",
    "cargo audit bin": "asks for advisories outside; tests/release reads the list of parts in the binary",
    "cargo bench": "takes minutes; the lints of tests/all build the benchmarks",
    "cargo doc --open": "opens a browser; tests/all makes the documents",
}


# The fenced blocks.


def drawing(reader, text):
    assert "zendesk-token" in text
    return "a drawing"


def first_commands(reader, text):
    """tests/newcomer runs both as they are, with the optimised build that takes minutes."""
    started, tests = text.splitlines()
    assert started.startswith("cargo run --release -- ") and os.access(f"{ROOT}/{tests}", os.X_OK), text
    return demo(reader, started.partition(" -- ")[2])


def cookie(reader, text):
    name, reader.cookie = filled(text).strip().split(": ", 1)
    assert name == "Set-Cookie"
    parts = reader.cookie.split("; ")
    assert parts[0].startswith("__Host-token=") and parts[1:] == ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"], parts
    return "what the shop sets in the browser"


def environment_file(reader, text):
    with open(f"{reader.checkout}/zendesk-token.env", "w") as file:
        file.write(filled(text))
    reader.settings = dict(line.split("=", 1) for line in filled(text).splitlines() if not line.startswith("#"))
    return "the file of the next block"


def deploy(reader, text):
    port = free_port()
    published = text.replace("--publish 127.0.0.1:8001:", f"--publish 127.0.0.1:{port}:")
    assert published != text, "where it is published"
    said = reader.shell(published, with_engine=True, patience=BUILD_PATIENCE)
    reader.container = said.splitlines()[-1]
    assert "No errors, 0 warning(s)." in said and "/generate/token" in said, said
    end = time.monotonic() + PATIENCE
    ask = lambda **claims: products.ask(f"127.0.0.1:{port}", "chat", login_token(**claims), "__Host-token")
    while True:
        try:
            token = ask(xsolla_login_project_id=PROJECT)
            break
        except OSError:
            assert time.monotonic() < end, reader.shell(f"docker logs {reader.container}", with_engine=True)
            time.sleep(0.05)
    verify("chat", token)
    assert ask() == 401, "of another project"
    return f"{reader.docker}: it is built, checked and serves"


def compose(reader, text):
    reader.shell(text)
    return "the real Compose reads its file; nothing is started"


def release(reader, text):
    """The names are those that the workflow makes."""
    with open(f"{ROOT}/Cargo.toml", "rb") as file:
        version = tomllib.load(file)["package"]["version"]
    with open(f"{ROOT}/.github/workflows/release.yml") as file:
        workflow = file.read()
    verified, attested = [shlex.split(line) for line in text.replace("\\\n", "").splitlines()]
    assert verified[:3] == ["cosign", "verify", f"ghcr.io/OWNER/zendesk-token:{version}"], verified
    assert dict(zip(verified[3::2], verified[4::2])) == {
        "--certificate-oidc-issuer": "https://token.actions.githubusercontent.com",
        "--certificate-identity": f"https://github.com/OWNER/zendesk-token/.github/workflows/release.yml@refs/tags/v{version}",
    }, verified
    package = f"zendesk-token_{version}-1_amd64.deb"
    assert attested == ["gh", "attestation", "verify", package, "--repo", "OWNER/zendesk-token"], attested
    assert 'cosign" sign' in workflow and "actions/attest" in workflow
    return "not run; compared with the workflow"


def script_tag(reader, text):
    reader.tag = text
    reader.open("")
    assert reader.driver.execute_script("return Object.keys(zendeskToken).length") == 3
    return "loads in the browser"


def classic(reader, text):
    reader.open(text)
    verify("chat", reader.token("zESettings.webWidget.authenticate.chat.jwtFn"))
    verify("help_center", reader.token("zESettings.webWidget.authenticate.jwtFn"))
    return "Chat and the Help Center get their tokens in the browser"


def web_sdk(reader, text):
    reader.open(filled(text), "window.zChat = { init: (settings) => { window.settings = settings; } };")
    verify("chat", reader.token("settings.authentication.jwt_fn"))
    return "Chat gets its token in the browser"


def messaging(reader, text):
    reader.open(text, "window.zE = (...words) => { window.asked = words; };")
    assert reader.driver.execute_script("return asked.slice(0, 2)") == ["messenger", "loginUser"]
    verify("messaging", reader.token("asked[2]"))
    return "Messaging gets its token in the browser"


def refused(reader, text):
    said = lambda: [entry["message"] for entry in reader.driver.get_log("browser")]
    ask = lambda: reader.driver.execute_async_script("zendeskToken.jwtFn(() => {}).then(arguments[0])")
    reader.open(text, cookie="/out")
    ask()
    heard = said()
    assert any('"chat" 401 "00-00" "Token not passed" 1' in line for line in heard), heard
    reader.driver.add_cookie({"name": "__Host-token", "value": "rubbish", "path": "/", "secure": True, "sameSite": "Lax"})
    ask()
    heard = said()
    assert any('"chat" 401 "00-01" "Token is invalid" 1' in line for line in heard), heard
    return "hears in the browser why there is no token"


def without_the_script(reader, text):
    reader.function, tag, reader.tag = text, reader.tag, ""
    reader.open(text)
    verify("chat", reader.token("fetchZendeskToken"))
    reader.open(text, cookie="/out")
    failed = reader.driver.execute_async_script("fetchZendeskToken(arguments[0]).catch(({ message }) => arguments[0](message))")
    assert failed.startswith("401 ") and "00-00" in failed, failed
    reader.tag = tag
    return "fetches a token in the browser, and throws without the cookie"


def with_the_header(reader, text):
    reader.tag, tag = "", reader.tag
    changed, count = re.subn(r"^  const response = await fetch\(.*\n", lambda _: text, reader.function, flags=re.MULTILINE)
    assert count == 1, "the line that it stands for"
    reader.open(changed, f"const loginToken = '{login_token()}';", cookie="/out")
    verify("chat", reader.token("fetchZendeskToken"))
    reader.tag = tag
    return "fetches a token in the browser without the cookie"


def parsed(grammar):
    def how(reader, text):
        tree = tree_sitter.Parser(tree_sitter.Language(grammar.language())).parse(text.encode())
        assert not tree.root_node.has_error, tree.root_node
        return "parsed; it needs a phone's SDK to run"
    return how


def curl(reader, text):
    said = reader.shell(filled(text))
    bodies = [json.loads(line) for line in re.findall(r"^\{.*?\}", said, re.MULTILINE)]
    assert len(re.findall(r"HTTP/\S+ 200", said)) == len(bodies) == 3, said
    verify("chat", bodies[0]["token"])
    verify("messaging", bodies[1]["token"])
    jwt.decode(bodies[2]["jwt"], SECRETS["support_sdk"], algorithms=["HS256"])
    return "each gets its token"


def inspect(reader, text):
    token = login_token(xsolla_login_project_id=PROJECT)
    for name, content in [("login", token), ("issued", products_token(reader))]:
        with open(f"{reader.checkout}/{name}-token.txt", "w") as file:
            file.write(content)
    said, _, object = reader.shell(text, with_engine=True).partition("\n{")
    assert "jane@example.com" in said and token.rsplit(".", 1)[1] not in said, said
    object = json.loads("{" + object)
    assert object["verdict"] == "accepted", object
    told = set(re.findall(r"`([\w-]+)`", reader.readme.partition("`--json` prints one object:")[2].partition("\n\n")[0]))
    assert set(object) <= told, set(object) - told
    return f"{reader.docker}: both tokens are good, and the object has the members that are told"


def products_token(reader):
    """A token that was issued, as the page asks for it."""
    said = reader.shell(f"curl --cookie '__Host-token={login_token()}' --header 'Accept: text/plain' https://{SITE}{PREFIX}/generate/token")
    verify("chat", said)
    return said


def desk_settings(reader, text):
    """As it stands it is what `check` takes; then with the API on loopback in place of Zendesk's."""
    settings = filled(text)
    with open(f"{reader.desk}/desk.toml", "w") as file:
        file.write(settings)
    reader.shell("zendesk-token check --config desk.toml", reader.desk, **reader.settings)
    local, count = re.subn(r'^subdomain = "acme"', f'base_url = "{reader.api.url}/sc"', settings, flags=re.MULTILINE)
    assert count == 1, settings
    with open(f"{reader.desk}/desk.toml", "w") as file:
        file.write(f'{local}\n[chat_api]\nbase_url = "{reader.api.url}/api/v2/chat"\ntoken = "{API_SECRET}"\n')
    return "the program takes it"


def word_for_docker(reader, text):
    """For the image that the text before it names. These containers are all stand-ins: a real one would not reach the API on loopback."""
    reader.shell(re.search(r"`(docker build [^`]+)`", reader.readme)[1].replace("\n", " "))
    reader.word = text
    return "the word that the desk's commands begin with"


def word_in_powershell(reader, text):
    words = lambda text: re.search(r"\{ (.*?);? \}", text)[1].replace("${PWD}", "$PWD").replace("@args", '"$@"').split()
    # On Windows and on a Mac a container's files are the caller's in any case.
    assert words(text) == words(reader.word.replace('--user "$(id -u):$(id -g)" ', "")), text
    parsed(tree_sitter_powershell)(reader, text)
    return "parsed, and the same words as in bash but --user"


def find(reader, text):
    reader.find = text
    reader.users[0]["identities"][0]["value"] = re.search(r"--email (\S+)", text)[1]
    said = reader.terminal(reader.word + text)
    assert re.search(rf"conflict resolve {OLD_USER} .*--forget-email", said) and "--delete-user" in said, said
    return "at a terminal: names the user, and the commands that end the conflict"


def resolve(reader, text):
    rehearsed, real = filled(text).splitlines()
    before = json.dumps(reader.users)
    said = reader.terminal(reader.word + rehearsed)
    assert json.dumps(reader.users) == before and f"{OLD_USER}/personalinformation" in said, said
    said = reader.terminal(reader.word + real, "Type yes to continue: ")
    [record] = [name for name in os.listdir(reader.desk) if re.fullmatch(r"zendesk-user-.+\.json", name)]
    with open(f"{reader.desk}/{record}") as file:
        assert json.load(file) == json.loads(before)[0]
    assert "Done: " in said and reader.users[0]["identities"] == [], said
    reader.users[:] = json.loads(before)
    return "at a terminal: the rehearsal deletes nothing; with yes the record is kept and the email is free"


def visitor(reader, text):
    reader.visitor = text
    said = reader.terminal(reader.word + text)
    assert "Linked: " in said, said
    return "at a terminal: says whose visitor it is"


def layout(reader, text):
    for line in text.splitlines():
        assert os.path.exists(f"{ROOT}/{line.split()[0]}"), line
    return "each is there"


# Language, first words, and what runs it, in the order of README.md.
BLOCKS = [
    ("", "page ── login cookie", drawing),
    ("sh", "cargo run", first_commands),
    ("http", "Set-Cookie: ", cookie),
    ("sh", "# Publisher Account", environment_file),
    ("sh", "docker build", deploy),
    ("sh", "ZENDESK_TOKEN_SITE=", compose),
    ("sh", "cosign verify", release),
    ("html", "<script src=", script_tag),
    ("js", "// Web Widget (Classic)", classic),
    ("js", "// Zendesk Chat (Web SDK)", web_sdk),
    ("js", "// Messaging", messaging),
    ("js", "// Why a visitor stays anonymous", refused),
    ("js", "async function fetchZendeskToken", without_the_script),
    ("js", "  const response = await fetch", with_the_header),
    ("kotlin", "// Android: zendesk.android", parsed(tree_sitter_kotlin)),
    ("swift", "// iOS: import ZendeskSDK", parsed(tree_sitter_swift)),
    ("kotlin", "// Android: zendesk.core", parsed(tree_sitter_kotlin)),
    ("swift", "// iOS: import ZendeskCoreSDK", parsed(tree_sitter_swift)),
    ("sh", "curl ", curl),
    ("sh", "docker run", inspect),
    ("toml", "[conversations]", desk_settings),
    ("sh", "zendesk-token() {", word_for_docker),
    ("powershell", "function zendesk-token {", word_in_powershell),
    ("sh", "zendesk-token conflict find", find),
    ("sh", "zendesk-token conflict resolve", resolve),
    ("sh", "zendesk-token visitor show", visitor),
    ("", "src/", layout),
]


# The commands in the text.


def demo(reader, span):
    secret = f"{reader.home}/login-secret.txt"
    with open(secret, "w") as file:
        file.write(SECRETS["login"])
    words = span.replace("FILE", secret).split()
    # With a secret of one's own it takes one's own page too.
    words += ["--origin", f"https://{SITE}"] if secret in words else []
    with Demo(*words[1:]) as running:
        with urllib.request.urlopen(f"{running.shop}/", timeout=PATIENCE) as page:
            assert page.status == 200 and b"</html>" in page.read()
    return "its page is there"


def check_online(reader, span):
    said = reader.shell(f"zendesk-token {span}", ZENDESK_TOKEN_LOGIN__API_URL=reader.api.url, **reader.settings)
    assert "this machine's clock agrees with it" in said, said
    return "compares the clocks with a Login API on loopback"


def openapi(reader, span):
    assert json.loads(reader.shell(span)) == json.loads(reader.shell(f"curl https://{SITE}{PREFIX}/openapi.json"))
    return "the document that the service answers with"


def secret(reader, span):
    assert re.fullmatch("[0-9a-f]{64}\n", reader.shell(span))
    return "64 digits"


def hang_up(reader, span):
    reader.shell(f"{span} {reader.container}", with_engine=True)
    end = time.monotonic() + PATIENCE
    while "settings reloaded" not in reader.shell(f"docker logs {reader.container}", with_engine=True):
        assert time.monotonic() < end, "no reload"
        time.sleep(0.1)
    return "the container reloads its settings"


def rotate(reader, span):
    """The old secret becomes the previous one while the service runs, and tokens of both verify."""
    folder = f"{reader.home}/secrets"
    os.mkdir(folder)
    new = os.urandom(32).hex()
    values = {"secret": SECRETS["login"], "previous": os.urandom(32).hex(), "secret.new": new, "previous.new": SECRETS["login"]}
    for name, value in values.items():
        with open(f"{folder}/{name}", "w") as file:
            file.write(value)
    files = {"login__secret_file": f"{folder}/secret", "login__previous_secret_file": f"{folder}/previous"}
    with Service(login__secret=None, **files) as service:
        claims = jwt.decode(login_token(), options={"verify_signature": False})
        old, fresh = login_token(), jwt.encode(claims, new, "HS256")
        assert products.ask(service.public, "chat", fresh) == 401
        reader.shell(span, folder)
        end = time.monotonic() + PATIENCE
        while products.ask(service.public, "chat", fresh) == 401:
            assert time.monotonic() < end, "no reload"
            time.sleep(0.05)
        verify("chat", products.ask(service.public, "chat", old))
        service.stop()
    return "takes up the new secret, and tokens of the old one still verify"


def fingerprint(reader, span):
    token = products_token(reader)
    hash = reader.shell(span, TOKEN=token).split()[0]
    end = time.monotonic() + PATIENCE
    while not any(f'"token_sha256":"{hash}"' in line for line in reader.service.log):
        assert time.monotonic() < end, f"the log does not have {hash}"
        time.sleep(0.05)
    return "the hash that the log has"


def show(reader, span):
    word = filled(span).replace("ID", reader.visitor.split()[3])
    assert reader.terminal(f"{reader.word}zendesk-token {word} --config desk.toml")
    return "at a terminal: shows it"


def members(reader, span):
    """What the command prints with --json has the members that the table tells, and no other."""
    user = f"{OLD_USER} --config desk.toml"
    commands = {
        "conflict find": reader.find, "conflict show": f"zendesk-token conflict show {user}", "visitor show": reader.visitor,
        "conflict resolve": f"zendesk-token conflict resolve {user} --delete-user --yes --backup kept.json"}
    cells = re.findall(r"^\| `((?:conflict|visitor) \w+)`.*? \| (.*) \|$", reader.readme, re.MULTILINE)
    rows = {name: set(re.findall(r"`([\w-]+)`", cell)) for name, cell in cells}
    assert set(rows) == set(commands), rows
    users = json.dumps(reader.users)
    object = json.loads(reader.shell(f"{commands[span].strip()} --json 2>/dev/null", reader.desk))
    if span == "conflict resolve":
        with open(f"{reader.desk}/kept.json") as file:
            assert json.load(file) == json.loads(users)[0] and reader.users == []
        reader.users[:] = json.loads(users)
    told = rows[span] | rows["conflict show"]
    assert keys(object) <= told, keys(object) - told
    assert set(object) <= rows[span] or span == "conflict show", object
    return "its JSON has the members that the table tells"


def keys(value):
    """The names of all members, at any depth."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()


def settings(reader, span):
    key, value = span.split(" = ")
    limited = 'messaging.email = "verified"\n' if key == "messaging.verified_types" else ""
    with open(f"{reader.home}/settings.toml", "w") as file:
        file.write(f'messaging.secret = "{SECRETS["messaging"]}"\nmessaging.key_id = "k"\n{limited}{span}\n')
    said = reader.shell(f"zendesk-token check --config {reader.home}/settings.toml", **reader.settings)
    shown = ",".join(re.findall(r'"([^"]*)"', value)) or value
    assert re.search(rf"{re.escape(key)}\s+{re.escape(shown)} ", said), said
    return "the program takes it from a file"


def variable(reader, span):
    name, value = span.split("=", 1)
    settings = reader.settings | {name: value}
    if value == "RS256":
        settings = {name: value for name, value in settings.items() if not name.endswith("LOGIN__SECRET")}
    reader.shell("zendesk-token check", **settings)
    return "the program takes it from the environment"


def option(reader, span):
    """A word that some command's help has; the blocks have tried most of them."""
    commands = ["demo", "check", "inspect", "conflict find", "conflict resolve"]
    helps = [reader.shell(f"zendesk-token {command} --help") for command in commands]
    assert any(span.split()[0] in text for text in helps), f"no command has the option {span}"


def feature(reader, span):
    with open(f"{ROOT}/tests/all") as file:
        assert f"cargo build --locked --quiet {span}\n" in file.read(), span
    return "built by tests/all"


def command_name(reader, span):
    assert f"\n  {span} " in reader.shell("zendesk-token --help"), span


def not_run(_, span):
    assert not span.startswith("tests/") or os.access(f"{ROOT}/{span}", os.X_OK), span


# What stands between backticks and may be typed, and what runs it. The first that fits.
COMMANDS = [
    (r"demo( --.*)?", demo),
    (r"check --online", check_online),
    (r"zendesk-token openapi", openapi),
    (r"zendesk-token secret", secret),
    (r"check|inspect", command_name),
    (r"docker build (--target desk )?--tag zendesk-token(-desk)? \.", lambda reader, span: reader.shell(span) or "as in the block"),
    (r"docker kill --signal HUP", hang_up),
    (r"mv .*", rotate),
    (r'printf %s "\$TOKEN" \| sha256sum', fingerprint),
    (r"conflict show USER|visitor show ID", show),
    (r"conflict (find|show|resolve)|visitor show", members),
    (r"[a-z_]+\.[a-z_]+ = .+", settings),
    (r"ZENDESK_TOKEN_\w+=.+", variable),
    (r"--features .*", feature),
    (r"--[a-z].*", option),
    ("|".join(NOT_RUN), not_run),
]
# What has blanks and is no command: routes, headers and the like, and the words of refusals, which tests/readme.rs compares.
NOT_TYPED = r"(GET|POST) \S+|[A-Za-z_-]+: .+|SameSite=None; Secure"


def main(chromium, chromedriver):
    with open(f"{ROOT}/README.md") as file:
        readme = file.read()
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    blocks, prose = fence.findall(readme), fence.sub("", readme)
    refusals = set(re.findall(r"^\| `\d\d-\d\d` \| \d+ \| `(.+?)` \|", prose, re.MULTILINE))
    spans = [re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", prose)]
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(folder)
        try:
            reader.readme = readme
            reader.driver = browser(chromium, chromedriver, "--ignore-certificate-errors", hosts=f"MAP {SITE} {reader.site}")
            for index, (language, text) in enumerate(blocks):
                known, words, how = BLOCKS[index] if index < len(BLOCKS) else ("", "", None)
                assert how and language == known and text.startswith(words), f"README.md has a block that nothing here runs:\n{text}"
                print(f"{language or 'text'}, {text.splitlines()[0].strip()[:60]}: {how(reader, text)}", flush=True)
            assert len(blocks) == len(BLOCKS), "README.md lacks a block"
            tried(reader, [span for span in dict.fromkeys(spans) if span not in refusals])
        finally:
            reader.close()
    for what, why in NOT_RUN.items():
        assert what in readme, f"README.md has no {what}"
        print(f"not run, {what}: {why}")


def tried(reader, spans):
    for span in spans:
        how = next((how for form, how in COMMANDS if re.fullmatch(form, span)), None)
        if how:
            said = how(reader, span)
            if said:
                print(f"`{span}`: {said}", flush=True)
        else:
            assert " " not in span or re.fullmatch(NOT_TYPED, span), f"README.md has a command that nothing here runs: `{span}`"


if __name__ == "__main__":
    main(*sys.argv[1:])
