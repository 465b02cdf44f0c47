"""Does each product's token keep that product's rules, as they are written down by Zendesk and not as our code has them?

Verified by PyJWT. The rules: support.zendesk.com, articles 4408838925082 (Chat), 4408843923610 (Help Center), 4411666638746
(Messaging); developer.zendesk.com, building-a-dedicated-jwt-endpoint-for-the-support-sdk.
"""

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request

import jwt

from service import KEY_ID, PATIENCE, SECRETS, SUB, Service, login_token

# Path, claims that have to be there, claims that may, and by how many seconds `iat` may be off.
RULES = {
    "chat": ("/generate/token", {"name", "email", "external_id", "iat"}, {"exp"}, 120),
    "help_center": ("/help-center/token", {"name", "email", "iat", "jti"}, set(), 120),
    "messaging": ("/messaging/token", {"scope", "external_id"}, {"name", "email", "email_verified", "exp", "iat", "jti"}, 120),
    "support_sdk": ("/support-sdk/token", {"name", "email", "iat", "jti"}, {"external_id"}, 180),
}

PLAYERS = [
    {},
    {"email": None},
    {"email": "žofie@example.com"},
    {"username": None},
    {"name": "Jane D.", "email_verified": True},
    {"sub": "8" * 255, "username": "n" * 255},
    {"sub": "jane@example.com"},
    {"sub": "+4930123456"},
    {"exp": int(time.time()) + 30},
    {"type": "social", "id": "1234567890", "picture": "https://example.com/p.png"},
]


def ask(address, product, token, cookie="token"):
    """The token for a login, or the status of the refusal."""
    path = RULES[product][0]
    request = urllib.request.Request(f"http://{address}{path}", headers={"Cookie": f"{cookie}={token}"})
    if product == "support_sdk":
        request = urllib.request.Request(f"http://{address}{path}", urllib.parse.urlencode({"user_token": token}).encode())
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    assert list(body) == ["jwt" if product == "support_sdk" else "token"], body
    return next(iter(body.values()))


def check(product, token, player, email_rule):
    """Fails where a token breaks a rule of its product."""
    _, required, optional, clock = RULES[product]
    claims = jwt.decode(token, SECRETS[product], algorithms=["HS256"], options={"verify_iat": False})
    header = jwt.get_unverified_header(token)
    assert header == {"typ": "JWT", "alg": "HS256"} | ({"kid": KEY_ID} if product == "messaging" else {}), header
    assert required <= set(claims) <= required | optional, claims
    for name in {"name", "email", "external_id", "jti", "scope"} & set(claims):
        assert isinstance(claims[name], str) and 0 < len(claims[name]) <= 255, claims
    now = time.time()
    assert type(claims["iat"]) is int and abs(now - claims["iat"]) < clock, claims
    if "exp" in claims:
        assert type(claims["exp"]) is int and now < claims["exp"] <= player.get("exp", now + 86_400), claims
    if product == "chat":
        assert claims["exp"] - claims["iat"] <= 420 and claims["email"].isascii(), claims
    if product == "messaging":
        assert claims["scope"] == "user" and not re.fullmatch(r".*@.*|\+[0-9]+", claims["external_id"]), claims
        assert claims.get("email_verified") == (True if email_rule == "verified" and "email" in claims else None), claims
        assert email_rule != "omit" or "@" not in json.dumps(claims), claims
    if "external_id" in claims:
        assert claims["external_id"] == player.get("sub", SUB), claims
    return claims.get("jti")


def main():
    ids = []
    for email_rule in ["unverified", "verified", "omit"]:
        with Service(messaging__email=email_rule) as service:
            for product in RULES:
                answers = [ask(service.public, product, login_token(**player)) for player in PLAYERS]
                issued = [(token, player) for token, player in zip(answers, PLAYERS) if isinstance(token, str)]
                assert set(answers) - {token for token, _ in issued} <= {422}, answers
                ids += [check(product, token, player, email_rule) for token, player in issued if product != "chat"]
                [check(product, token, player, email_rule) for token, player in issued if product == "chat"]
                # Chat: not without an email, nor with one that is not ASCII. Messaging: not with an email or phone number as an id.
                expected = {"chat": 8, "messaging": 8, "help_center": 9, "support_sdk": 9}[product]
                assert len(issued) == expected, (product, answers)
            service.stop()
    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids) and len(set(ids)) == len(ids), "128 bits, never twice"
    print(f"{len(ids)} tokens with an id of their own, and Chat's, keep their products' rules")


if __name__ == "__main__":
    main()
