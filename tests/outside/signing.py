"""Makes keys, login tokens signed by PyJWT or jose, and forged ones."""

import base64
import hashlib
import hmac
import json
import os
import subprocess

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

ALGORITHMS = get_default_algorithms()
KINDS = {
    "RSA": (RSAAlgorithm, lambda: rsa.generate_private_key(65537, 2048)),
    "P-256": (ECAlgorithm, lambda: ec.generate_private_key(ec.SECP256R1())),
    "P-384": (ECAlgorithm, lambda: ec.generate_private_key(ec.SECP384R1())),
    "Ed25519": (OKPAlgorithm, ed25519.Ed25519PrivateKey.generate),
}


class Key:
    """A new key pair. `jwk` is the private key, `public` what a provider publishes of it; `more` are members of both."""

    def __init__(self, kind, kid=None, **more):
        algorithm, generate = KINDS[kind]
        self.private, self.kid = generate(), kid
        more |= {"kid": kid} if kid else {}
        self.jwk, self.public = [
            {name: value for name, value in algorithm.to_jwk(key, as_dict=True).items() if name != "key_ops"} | more
            for key in [self.private, self.private.public_key()]
        ]

    def header(self, alg, **more):
        return {"typ": "JWT", "alg": alg} | ({"kid": self.kid} if self.kid else {}) | more

    def sign(self, alg, claims, **header):
        """A token by PyJWT."""
        return jwt.encode(claims, self.private, alg, headers=self.header(alg, **header))

    def signer(self, alg):
        """Signs bytes as this algorithm does, whatever a token's header says."""
        return lambda message: ALGORITHMS[alg].sign(message, self.private)

    def forms(self):
        """The forms of the public key that a verifier could take for a shared secret."""
        formats = [PublicFormat.SubjectPublicKeyInfo] + ([PublicFormat.PKCS1] if "n" in self.public else [])
        key = self.private.public_key()
        pem, der = [[key.public_bytes(encoding, form) for form in formats] for encoding in [Encoding.PEM, Encoding.DER]]
        jwk = [json.dumps(self.public, separators=separators).encode() for separators in [(",", ":"), (", ", ": ")]]
        number = self.public["n" if "n" in self.public else "x"]
        return pem + [text.rstrip(b"\n") for text in pem] + der + jwk + [number.encode(), decode(number)]


def signed_by_jose(packages, tokens):
    """Tokens by jose, for a list of (key, algorithm, claims)."""
    lines = [json.dumps({"header": key.header(alg), "claims": claims, "jwk": key.jwk}) for key, alg, claims in tokens]
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stand-ins/jose.mjs")
    done = subprocess.run(["node", script, packages], input="\n".join(lines), stdout=subprocess.PIPE, check=True, text=True, timeout=60)
    return done.stdout.split()


def forged(header, claims, sign):
    """A token with any header and any signature: `sign` makes it from the bytes before it."""
    message = b".".join(encode(json.dumps(part).encode()) for part in [header, claims])
    return (message + b"." + encode(sign(message))).decode()


def hmac_by(secret):
    return lambda message: hmac.digest(secret, message, hashlib.sha256)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
