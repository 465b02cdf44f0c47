"""Starts oidc-provider on loopback, and signs its users in as a browser does."""

import base64
import hashlib
import json
import os
import re
import subprocess
import urllib.parse
import urllib.request
from contextlib import AbstractContextManager

from server import Server
from service import PATIENCE

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stand-ins/oidc_provider.mjs")


class Provider(AbstractContextManager):
    """The OpenID provider, and the shop to which it sends users back. It can stop and start again at its address."""

    def __init__(self, packages, users, clients):
        self.packages, self.port, self.process = packages, 0, None
        self.shop = Server(lambda *_: (200, b"signed in"))
        self.state = {"users": users, "clients": clients, "redirect_uri": f"{self.shop.url}/signed-in"}

    def start(self, keys, alg="RS256"):
        command = ["node", SCRIPT, self.packages, str(self.port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.publish(keys, alg)
        self.port = urllib.parse.urlsplit(self.issuer).port

    def publish(self, keys, alg="RS256"):
        """Publishes these keys and signs with the first that fits. Returns how often the keys were requested since the start."""
        print(json.dumps(self.state | {"keys": [key.jwk for key in keys], "alg": alg}), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        self.issuer = answer["issuer"]
        return answer["key_requests"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)

    def __exit__(self, *_):
        self.shop.__exit__()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def sign_in(self, user, client, resource=None):
        """The ID token of a user who signs in at a client; with a resource also its access token. Authorization code with PKCE."""
        verifier = os.urandom(32).hex()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        for_resource = {"resource": resource} if resource else {}
        common = {"client_id": client, "redirect_uri": self.state["redirect_uri"]} | for_resource
        scope = "openid email profile app" + (" support" if resource else "")
        request = {"response_type": "code", "scope": scope, "code_challenge": challenge, "code_challenge_method": "S256"}
        browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())

        def fetch(url, fields=None):
            body = fields and urllib.parse.urlencode(fields).encode()
            with browser.open(url, body, PATIENCE) as answer:
                return answer.url, answer.read().decode()

        url, page = fetch(f"{self.issuer}/auth?{urllib.parse.urlencode(common | request)}")
        for prompt in ["login", "consent"]:
            assert f'name="prompt" value="{prompt}"' in page, (url, page)
            action = re.search(r'<form[^>]* action="([^"]+)"', page)[1]
            url, page = fetch(urllib.parse.urljoin(url, action), {"prompt": prompt, "login": user, "password": "any"})
        assert url.startswith(self.shop.url), (url, page)
        code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))["code"]
        grant = common | {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        answer = json.loads(fetch(f"{self.issuer}/token", grant)[1])
        return answer["id_token"], answer["access_token"] if resource else None
