"""Tests the tokens of each product with PyJWT against the rules in Zendesk's documentation.

The rules: support.zendesk.com, articles 4408838925082 (Chat), 4408843923610 (Help Center), 4411666638746 (Messaging);
developer.zendesk.com, building-a-dedicated-jwt-endpoint-for-the-support-sdk.
"""

import json
import re
import time

import jwt

from service import KEY_ID, SECRETS, SUB, Service, exchange, login_token

# Required claims, optional claims, and the largest difference of `iat` from now in seconds.
RULES = {
    "chat": ({"name", "email", "external_id", "iat"}, {"exp"}, 120),
    "help_center": ({"name", "email", "iat", "jti"}, set(), 120),
    "messaging": ({"scope", "external_id"}, {"name", "email", "email_verified", "exp", "iat", "jti"}, 120),
    "support_sdk": ({"name", "email", "iat", "jti"}, {"external_id"}, 180),
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
    """The token for a login token, or the status of the refusal."""
    status, body = exchange(address, product, token, cookie)
    if status != 200:
        return status
    assert list(body) == ["jwt" if product == "support_sdk" else "token"], body
    return next(iter(body.values()))


def check(product, token, player, email_rule):
    """Checks the rules of a token's product, and returns the token's ID."""
    required, optional, clock = RULES[product]
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
                checked = [check(product, token, player, email_rule) for token, player in issued]
                ids += checked if product != "chat" else []
                # Chat needs an email in ASCII. Messaging does not accept an email or phone number as an ID.
                expected = {"chat": 8, "messaging": 8, "help_center": 9, "support_sdk": 9}[product]
                assert len(issued) == expected, (product, answers)
            service.stop()
    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids) and len(set(ids)) == len(ids), "128 bits, and unique"
    print(f"{len(ids)} tokens with a unique ID, and Chat's, follow the rules of their products")


if __name__ == "__main__":
    main()
