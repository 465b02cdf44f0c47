"""oidc.py PACKAGES: tests logins of OpenID providers, with the npm packages oidc-provider and jose in the folder PACKAGES, and PyJWT.

oidc-provider signs users in on loopback; PyJWT and jose sign tokens, valid and forged ones, for keys that a stub publishes.
"""

import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import jwt

from provider import Provider
from proxy import certificate
from server import Server
from service import BINARY, FORM, PATHS, PATIENCE, SECRETS, SUB, Service, ask, login_token, wait_until
from signing import Key, forged, hmac_by, signed_by_jose

PROJECT = "d1e2f3a4-0b1c-4d2e-8f3a-9b8c7d6e5f40"
XSOLLA = {"login__issuer": "https://login.xsolla.com", "login__project_id": PROJECT}
# A claim that a provider's customer adds: a name with :// in it, not a path.
OWN_CLAIM = "https://shop.example.com/id"
USERS = {
    "u|jane": {"email": "jane@example.com", "email_verified": True, "name": "Jane Doe", "app": {"player_id": "p-1001"}},
    "u|joe": {"email": "joe@example.com", "email_verified": False, "name": "Joe Bloggs"},
}
INVALID = (401, {"code": "00-01", "description": "Token is invalid"})
UNAVAILABLE = (503, {"code": "00-07", "description": "Login service is unavailable"})


def oidc(name, issuer, audience, **more):
    """The settings of a login of an OpenID provider."""
    settings = {"provider": "oidc", "issuer": issuer, "audience": audience, "keys_cooldown": "100ms", **more}
    return {f"logins__{name}__{key}": value for key, value in settings.items()}


def exchange(running, token, product="messaging"):
    """Status, claims of the product's token or body of the refusal, and the login in the log."""
    if product == "support_sdk":
        status, headers, text = ask(running.public, PATHS[product], "POST", f"user_token={token}", **FORM)
    else:
        status, headers, text = ask(running.public, PATHS[product], Cookie=f"token={token}")
    answer = json.loads(text)
    if status == 200:
        answer = jwt.decode(answer["jwt" if product == "support_sdk" else "token"], SECRETS[product], algorithms=["HS256"])

    def logged():
        entries = (json.loads(line) for line in running.lines() if headers["X-Request-Id"] in line)
        return next((entry for entry in entries if entry["message"] == "request"), None)

    return status, answer, wait_until(logged, "a line in the log").get("login")


def issued(running, token, login, product="messaging", **expected):
    """The token must be exchanged as one of this login, for a token with these claims."""
    status, claims, logged = exchange(running, token, product)
    assert (status, logged) == (200, login), (status, claims, logged)
    assert {name: claims.get(name) for name in expected} == expected, claims


def refused(running, token, expected, login=None, product="messaging"):
    """The token must be refused like this, and the log must have this login, if one is given."""
    status, body, logged = exchange(running, token, product)
    assert (status, body) == expected and login in (None, logged), (status, body, logged)


def metric(running, name, **labels):
    """The sums of the samples with these labels, by login."""
    sums = collections.Counter()
    for found, value in re.findall(rf"^zendesk_token_{name}\{{(.*)\}} (\S+)$", ask(running.admin, "/metrics")[2], re.MULTILINE):
        found = dict(re.findall(r'(\w+)="([^"]*)"', found))
        if labels.items() <= found.items():
            sums[found["login"]] += float(value)
    return sums


def is_ready(running):
    return ask(running.admin, "/ready")[0] == 200


def xsolla_token(**changes):
    return login_token(xsolla_login_project_id=PROJECT, **changes)


def generation(number):
    """One key of each kind that oidc-provider signs with."""
    return [Key(kind, f"{kind}-{number}", use="sig") for kind in ["RSA", "P-256", "Ed25519"]]


def logins_of(provider):
    """Three logins of one issuer. Each of their audiences is a client's id, and that of a resource server's access tokens."""
    web = {"claims__external_id": "app.player_id", "claims__name": "name", "external_id_prefix": "web-"}
    api = {"claims__external_id": OWN_CLAIM, "token_type": "access_token"}
    return (
        oidc("web", provider.issuer, "web", **web) | oidc("app", provider.issuer, "app", token_type="any", external_id_prefix="app:")
        | oidc("api", provider.issuer, "api", **api)
    )


def check_sign_in(running, provider, keys):
    """Each login gives its own external id, for each algorithm, and takes only its kinds of tokens."""
    jane = {"name": "Jane Doe", "email": "jane@example.com"}
    for alg in ["RS256", "PS256", "ES256", "EdDSA"]:
        provider.publish(keys, alg)
        token, _ = provider.sign_in("u|jane", "web")
        assert jwt.get_unverified_header(token)["alg"] == alg
        issued(running, token, "web", external_id="web-p-1001", email_verified=True, **jane)
        issued(running, token, "web", "chat", external_id="web-p-1001", **jane)
        issued(running, token, "web", "help_center", **jane)
        issued(running, token, "web", "support_sdk", external_id="web-p-1001", **jane)
        # A resource server's token at the client of another: the audience alone decides.
        _, access = provider.sign_in("u|jane", "web", "https://api")
        assert jwt.get_unverified_header(access) == {"alg": alg, "typ": "at+jwt", "kid": jwt.get_unverified_header(token)["kid"]}
        issued(running, access, "api", external_id="p-1001", email=None)
        refused(running, access, (422, {"code": "00-03", "description": '"email" claim is missed'}), "api", "chat")
    id_token, access = provider.sign_in("u|jane", "app", "https://app")
    for token in [id_token, access]:
        issued(running, token, "app", external_id="app:u|jane")
    refused(running, provider.sign_in("u|jane", "web", "https://web")[1], INVALID, "web")
    refused(running, provider.sign_in("u|jane", "api")[0], INVALID, "api")
    refused(running, provider.sign_in("u|jane", "elsewhere")[0], INVALID)

    joe, _ = provider.sign_in("u|joe", "app")
    issued(running, joe, "app", external_id="app:u|joe", name="Joe Bloggs", email="joe@example.com", email_verified=None)
    for product in ["help_center", "support_sdk"]:
        refused(running, joe, (422, {"code": "00-04", "description": "A claim is not usable in Zendesk"}), "app", product)
    without_id = (422, {"code": "00-02", "description": '"sub" claim is missed'})
    refused(running, provider.sign_in("u|joe", "web")[0], without_id, "web")
    issued(running, xsolla_token(), "default", external_id=SUB)
    print("oidc-provider: RS256, PS256, ES256 and EdDSA; ID tokens and access tokens of three logins, each with its own external id")


def check_rotation(running, provider, old):
    """A new key works at once, and after one fetch; a withdrawn key does not work."""
    fetches = lambda: metric(running, "key_fetches_total", outcome="done")["web"]
    new, newer = generation(2), generation(3)
    before, _ = provider.sign_in("u|jane", "web")
    requests, counted = provider.publish(new + old), fetches()
    after, _ = provider.sign_in("u|jane", "web")
    assert jwt.get_unverified_header(after)["kid"] == "RSA-2"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(issued, running, after, "web", external_id="web-p-1001") for _ in range(8)]:
            done.result()
    assert (provider.publish(new + old) - requests, fetches() - counted) == (1, 1), "one fetch for all requests"
    issued(running, before, "web")
    provider.publish(newer)
    time.sleep(0.2)  # the cooldown
    issued(running, provider.sign_in("u|jane", "web")[0], "web")
    for withdrawn in [before, after]:
        refused(running, withdrawn, INVALID, "web")
    print("oidc-provider rotates its keys: a new key works at once and costs one fetch, a withdrawn one is refused")
    return newer


def check_outage(running, provider, keys):
    """While the provider is down, its keys still verify, and no key can be added."""
    token, _ = provider.sign_in("u|jane", "web")
    claims = jwt.decode(token, options={"verify_signature": False})
    provider.stop()
    issued(running, token, "web")
    time.sleep(0.2)
    refused(running, Key("RSA", "RSA-4").sign("RS256", claims), UNAVAILABLE, "web")
    assert is_ready(running)
    provider.start(keys)
    time.sleep(0.2)
    for token in [token, provider.sign_in("u|jane", "web")[0]]:
        issued(running, token, "web")
    print("oidc-provider stops: the cached keys still verify")


def check_commands(provider, keys):
    """`check --online` fetches the keys of each login, and `inspect` says which login a token is for."""
    logins = {f"ZENDESK_TOKEN_{name.upper()}": value for name, value in logins_of(provider).items()}
    environment = logins | {"ZENDESK_TOKEN_CHAT__SECRET": SECRETS["chat"]}
    token, _ = provider.sign_in("u|jane", "web")

    def output(*command):
        done = subprocess.run([BINARY, *command], env=environment, input=token, capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stdout + done.stderr

    status, text = output("check", "--online")
    assert status == 0 and text.count("3 usable key(s)") == 3, text
    status, text = output("inspect")
    assert status == 0 and "for the login web" in text and "web-p-1001" in text, text
    provider.stop()
    status, text = output("check", "--online")
    assert status == 1 and all(f"logins.{name}.issuer: " in text for name in ["web", "app", "api"]), text
    status, text = output("inspect")
    assert status == 1 and "for the login web" in text and "00-07" in text, text
    provider.start(keys)
    print("check --online fetches the keys of each login, and inspect says which login a token is for")


def check_late_start(provider, keys):
    """The service starts before the provider."""
    token, _ = provider.sign_in("u|jane", "web")
    provider.stop()
    logins = logins_of(provider)
    with Service(**XSOLLA, **logins) as running, Service(login__secret=None, **logins) as alone:
        for service in [running, alone]:
            refused(service, token, UNAVAILABLE, "web")
        issued(running, xsolla_token(), "default")
        assert (is_ready(running), is_ready(alone)) == (True, False)
        provider.start(keys)
        for service in [running, alone]:
            wait_until(lambda: exchange(service, token)[0] == 200, "the login has its keys")
            issued(service, token, "web")
            wait_until(lambda: is_ready(service), "ready")
            service.stop()
    print("oidc-provider starts after the service: 503 for its logins alone, until it is there")


def check_provider(packages):
    keys = generation(1)
    with Provider(packages, USERS, ["web", "app", "api", "elsewhere"]) as provider:
        provider.start(keys)
        settings = XSOLLA | logins_of(provider) | {"messaging__email": "verified"}
        check_commands(provider, keys)
        with Service(**settings) as running:
            check_sign_in(running, provider, keys)
            keys = check_rotation(running, provider, keys)
            check_outage(running, provider, keys)
            verified = metric(running, "verifications_total")
            logged = collections.Counter(entry["login"] for entry in map(json.loads, running.lines()) if "key" in entry)
            assert verified == logged and set(verified) == {"default", "web", "app", "api"}, (verified, logged)
            assert set(metric(running, "key_age_seconds")) == {"web", "app", "api"}
            assert not any(text in line for line in running.lines() for text in ["jane@", "joe@", "u|j", "p-1001"]), "a user in the log"
            running.stop()
        check_late_start(provider, keys)


class Stub(Server):
    """Issuers that only publish keys, by HTTPS: the one called NAME is URL/NAME."""

    def __init__(self, issuers, *certificate):
        super().__init__(lambda method, path, *_: self.answer(path), *certificate)
        self.issuers = issuers

    def issuer(self, name):
        """One has a slash at its end, as Auth0's have."""
        return f"{self.url}/{name}" + ("/" if name == "other" else "")

    def answer(self, path):
        _, name, rest = path.split("/", 2)
        algorithms = {"id_token_signing_alg_values_supported": ["RS256", "HS256", "none"]}
        # The keys of one issuer are behind plain HTTP.
        url = self.url.replace("https:", "http:") if name == "clear" else self.url
        document = {"issuer": self.issuer(name), "jwks_uri": f"{url}/{name}/keys", **algorithms}
        body = {".well-known/openid-configuration": document, "keys": {"keys": self.issuers[name]}}[rest]
        return 200, json.dumps(body).encode(), {"Content-Type": "application/json"}

    def claims(self, issuer, audience, **changes):
        now = int(time.time())
        claims = {"iss": self.issuer(issuer), "aud": audience, "sub": "u-1", "iat": now - 60, "exp": now + 3600, **changes}
        return {name: value for name, value in claims.items() if value is not None}


# Kinds of tokens: what they are called, whether they are access tokens, header and claims.
TOKEN_KINDS = [
    ("an ID token", False, {}, {}),
    ("an ID token of Keycloak", False, {}, {"typ": "ID"}),
    ("an ID token of Cognito", False, {}, {"token_use": "id"}),
    ("an access token by RFC 9068", True, {"typ": "at+jwt"}, {}),
    ("the same, with the whole media type", True, {"typ": "application/at+jwt"}, {}),
    ("an access token with scopes", True, {}, {"scope": "openid support"}),
    ("an access token of Entra", True, {}, {"scp": "support"}),
    ("an access token with a list of scopes", True, {}, {"scp": ["support"]}),
    ("an access token of Cognito", True, {}, {"token_use": "access"}),
    ("an access token of Keycloak", True, {}, {"typ": "Bearer"}),
    ("a refresh token of Keycloak", None, {}, {"typ": "Refresh"}),
    ("a logout token", None, {"typ": "logout+jwt"}, {}),
]


def stub_logins(stub, ca_file):
    """Three logins of one issuer, which take different kinds of tokens, and three of other issuers."""
    logins = [
        ("many", "many", "shop", "id_token"), ("api", "many", "api", "access_token"), ("both", "many", "both", "any"),
        ("single", "single", "shop", None), ("other", "other", "elsewhere", None), ("clear", "clear", "shop", None),
    ]
    settings = {}
    for name, issuer, audience, token_type in logins:
        settings |= oidc(name, stub.issuer(issuer), audience, token_type=token_type, ca_file=ca_file)
    return settings


def check_signatures(packages, stub, running, keys):
    """Tokens by PyJWT and jose, with each kind of key, are accepted."""
    pairs = [
        ("rsa", "RS256"), ("rsa-any", "RS256"), ("rsa-any", "PS256"), ("p-256", "ES256"), ("p-384", "ES384"), ("ed25519", "EdDSA"),
        ("single", "RS256"),
    ]
    tokens = [(keys[kid], alg, stub.claims("single" if kid == "single" else "many", "shop", sub=f"{kid}-{alg}")) for kid, alg in pairs]
    for (key, alg, claims), by_jose in zip(tokens, signed_by_jose(packages, tokens), strict=True):
        for token in [key.sign(alg, claims), by_jose]:
            issued(running, token, "single" if key.kid is None else "many", external_id=claims["sub"])
    print(f"PyJWT and jose: {len(pairs)} kinds of keys and algorithms, one of them a single key without an id")


def check_kinds(stub, running, key):
    """Each login takes only its kinds of tokens, and only those that were issued for its audience."""
    for name, is_access, header, claims in TOKEN_KINDS:
        takes = {"shop": is_access is False, "api": is_access is True, "both": is_access is not None}
        for login, audience in [("many", "shop"), ("api", "api"), ("both", "both")]:
            token = key.sign("RS256", stub.claims("many", audience, **claims), **header)
            status, body, logged = exchange(running, token)
            is_right = (status, logged) == (200, login) if takes[audience] else (status, body) == INVALID
            assert is_right, (name, login, status, body, logged)
    for audience, azp, is_right in [
        (["shop"], None, True), (["shop", "x"], "shop", True), (["x", "shop"], "shop", True), (["shop", "x"], "x", False),
        (["shop", "x"], None, False), (["x", "y"], "shop", False), ([], "shop", False), (None, "shop", False), ("x shop", "shop", False),
    ]:
        token = key.sign("RS256", stub.claims("many", audience, azp=azp))
        assert (exchange(running, token)[0] == 200) == is_right, (audience, azp)
    print(f"{len(TOKEN_KINDS)} kinds of tokens at three logins, and audiences in lists")


def check_plain_http(stub, running, key):
    """Keys that an https issuer has behind plain HTTP are not fetched."""
    refused(running, key.sign("RS256", stub.claims("clear", "shop")), UNAVAILABLE, "clear")
    assert any("jwks_uri in the discovery document is not https" in line and '"login":"clear"' in line for line in running.lines())
    print("keys behind plain HTTP are not fetched")


def attacks(stub, keys, shared):
    """Forged tokens and misused keys, each with what it is."""
    rsa, p256, p384, ed25519, single, other = (keys[name] for name in ["rsa", "p-256", "p-384", "ed25519", "single", "other"])
    shop = stub.claims("many", "shop")
    now = {name: shop[name] for name in ["iat", "exp"]}
    xsolla = {"iss": "https://login.xsolla.com", "xsolla_login_project_id": PROJECT, "sub": SUB, "email": "jane@example.com", **now}
    for key in [rsa, p256, ed25519, single]:
        for text in key.forms():
            claims = stub.claims("single", "shop") if key is single else shop
            yield "a published key as the secret of HS256", forged(key.header("HS256"), claims, hmac_by(text))
            yield "a published key as Xsolla's secret", forged(key.header("HS256"), xsolla, hmac_by(text))
    yield "a symmetric key of the key set", forged({"typ": "JWT", "alg": "HS256", "kid": "oct"}, shop, hmac_by(shared))
    yield "Xsolla's secret for another issuer", forged({"typ": "JWT", "alg": "HS256"}, shop, hmac_by(SECRETS["login"].encode()))
    both = shop | {"xsolla_login_project_id": PROJECT}
    yield "the same, with Xsolla's project", forged({"typ": "JWT", "alg": "HS256"}, both, hmac_by(SECRETS["login"].encode()))
    yield "another issuer's key for Xsolla", rsa.sign("RS256", xsolla)
    yield "the same, with that issuer's audience", rsa.sign("RS256", xsolla | {"aud": "shop"})
    yield "another issuer's key", other.sign("RS256", shop)
    yield "another issuer's key, with the kid of the right one", forged(rsa.header("RS256"), shop, other.signer("RS256"))
    without_kid = forged(single.header("RS256"), stub.claims("single", "shop"), other.signer("RS256"))
    yield "another issuer's key, without a kid", without_kid
    yield "the key of one issuer, issuer and audience of another", rsa.sign("RS256", stub.claims("other", "elsewhere"))
    for key in [rsa, other]:
        yield "the issuer of one, the audience of another", key.sign("RS256", stub.claims("many", "elsewhere"))
        yield "the other way round", key.sign("RS256", stub.claims("other", "shop"))
    for alg in ["none", "None", "NONE", "nOnE", ""]:
        for header in [{}, {"kid": "rsa"}]:
            yield f"no signature, by the algorithm {alg}", forged({"typ": "JWT", "alg": alg, **header}, shop, lambda _: b"")
    yield "no signature", rsa.sign("RS256", shop).rsplit(".", 1)[0] + "."
    for key, says, signs in [
        (p256, "RS256", "ES256"), (p256, "EdDSA", "ES256"), (p256, "ES384", "ES384"), (p384, "ES256", "ES256"), (rsa, "ES256", "RS256"),
        (ed25519, "ES256", "EdDSA"), (rsa, "PS256", "PS256"), (rsa, "RS512", "RS512"), (rsa, "RS384", "RS384"),
    ]:
        yield f"{says} with a key that is not for it", forged(key.header(says), shop, key.signer(signs))
    yield "a key for encryption", keys["enc"].sign("RS256", shop)
    for key, alg in [(rsa, "RS256"), (p256, "ES256"), (ed25519, "EdDSA")]:
        yield "no kid, where there are several keys", forged({"typ": "JWT", "alg": alg}, shop, key.signer(alg))
    mine = Key("RSA", "rsa")
    for header in [{"jwk": mine.public}, {"jku": f"{stub.url}/mine/keys"}, {"x5u": f"{stub.url}/mine/keys"}]:
        yield f"the attacker's key, in the header's {next(iter(header))}", mine.sign("RS256", shop, **header)


def check_attacks(stub, running, keys, shared):
    count = 0
    for name, token in attacks(stub, keys, shared):
        status, body, login = exchange(running, token)
        assert (status, body) == INVALID, (name, status, body, login)
        count += 1
        assert not any(token.rsplit(".", 1)[1] in line for line in running.lines() if not token.endswith(".")), name
    # The valid tokens that the attacks are made from.
    issued(running, keys["rsa"].sign("RS256", stub.claims("many", "shop")), "many", external_id="u-1")
    issued(running, keys["other"].sign("RS256", stub.claims("other", "elsewhere")), "other", external_id="u-1")
    issued(running, xsolla_token(), "default", external_id=SUB)
    print(f"{count} tokens that confuse keys, algorithms or logins are refused")


def check_stub(packages):
    shared = os.urandom(32)
    kinds = {"rsa": "RSA", "rsa-any": "RSA", "p-256": "P-256", "p-384": "P-384", "ed25519": "Ed25519", "enc": "RSA"}
    members = {"rsa": {"alg": "RS256", "use": "sig"}, "enc": {"use": "enc"}}
    keys = {kid: Key(kind, kid, **members.get(kid, {})) for kid, kind in kinds.items()}
    symmetric = {"kty": "oct", "kid": "oct", "alg": "HS256", "use": "sig", "k": jwt.utils.base64url_encode(shared).decode()}
    many = [symmetric, *(key.public for key in keys.values())]
    keys |= {"single": Key("RSA"), "other": Key("RSA", "other")}
    issuers = {"many": many, "single": [keys["single"].public, Key("RSA", use="enc").public], "other": [keys["other"].public], "clear": many}
    with tempfile.TemporaryDirectory() as folder:
        certificate(folder)
        ca = f"{folder}/cert.pem"
        with Stub(issuers, ca, f"{ca}.key") as stub, Service(**XSOLLA, **stub_logins(stub, ca)) as running:
            check_signatures(packages, stub, running, keys)
            check_kinds(stub, running, keys["rsa"])
            check_plain_http(stub, running, keys["rsa"])
            check_attacks(stub, running, keys, shared)
            running.stop()


if __name__ == "__main__":
    folder = os.path.abspath(sys.argv[1])
    check_provider(folder)
    check_stub(folder)
