"""A stand-in for Zendesk's APIs that the support desk uses: the documented answers, over data in memory.

Users, conversations and messages of the Sunshine Conversations API v2 (zendesk/sunshine-conversations-api-spec, 17.12.1), the merge of its
v1.1 (developer.zendesk.com, Merging users), and Show Visitor of the Chat API. `zendesk_clients.py` compares it with Zendesk's own clients.
"""

import base64
import json
import time
from contextlib import AbstractContextManager
from urllib.parse import parse_qs, unquote, urlsplit

from server import Server

APP, KEY_ID, KEY_SECRET, CHAT_TOKEN = "5d8cff3cd55b040010928b5b", "app_67a11490f030", "k3yS3cr3tOfTheConversationsApi", "0authT0kenOfTheChatApi"


def user(id, external_id, email=None, **more):
    identities = [{"type": "email", "value": email, "verification": "sso"}] if email else []
    return {"id": id, "externalId": external_id, "signedUpAt": "2025-02-03T19:10:08.152Z", "identities": identities, "profile": {}, "metadata": {}} | more


def respond(status, value):
    return status, json.dumps(value).encode(), {"Content-Type": "application/json"}


def error(status, code, title):
    return respond(status, {"errors": [{"code": code, "title": title}]})


class ZendeskApi(AbstractContextManager):
    """Runs until the end of its `with` block, or until `close`."""

    def __init__(self, app=APP, key_id=KEY_ID, key_secret=KEY_SECRET, chat_token=CHAT_TOKEN):
        self.app, self.chat_token, self.key = app, chat_token, (key_id, key_secret)
        self.authorization = "Basic " + base64.b64encode(f"{key_id}:{key_secret}".encode()).decode()
        self.users, self.conversations, self.messages, self.visitors = [], {}, {}, {}
        # Method and path of each request, and failures for the next requests whose path has a text: (text, status or seconds).
        self.requests, self.failures = [], []
        self.server = Server(self.answer)
        self.url = self.server.url

    def __exit__(self, *_):
        self.server.__exit__()

    def settings(self):
        """The text of a settings file for this API."""
        return (f'[conversations]\nbase_url = "{self.url}/sc"\napp_id = "{self.app}"\nkey_id = "{self.key[0]}"\nkey_secret = "{self.key[1]}"\n\n'
                f'[chat_api]\nbase_url = "{self.url}/api/v2/chat"\ntoken = "{self.chat_token}"\n')

    def converse(self, user_id, *texts, at="2025-02-03T16:21:12.308Z"):
        """Adds a conversation of a user with these messages; the player writes the first, an agent the second, and so on."""
        id = f"c{sum(map(len, self.conversations.values())):05}"
        self.conversations.setdefault(user_id, []).append({"id": id, "type": "personal", "isDefault": False, "lastUpdatedAt": at, "createdAt": at})
        authors = [{"type": "user", "userId": user_id, "displayName": "Jane Doe"}, {"type": "business", "displayName": "Support"}]
        self.messages[id] = [
            {"id": f"{id}m{at_}", "received": at, "author": authors[at_ % 2], "content": {"type": "text", "text": text}, "source": {"type": "web"}}
            for at_, text in enumerate(texts)]
        return id

    def fail(self, text, *outcomes):
        """The next requests whose method and path have `text` get these: a status, or seconds to wait before the usual answer."""
        self.failures += [(text, outcome) for outcome in outcomes]

    def answer(self, method, target, body, headers):
        self.requests.append(f"{method} {target}")
        failure = next((failure for failure in self.failures if failure[0] in f"{method} {target}"), None)
        if failure:
            self.failures.remove(failure)
            if failure[1] >= 100:
                return error(failure[1], "internal_error", "Something broke")
            time.sleep(failure[1])
        path = [unquote(part) for part in urlsplit(target).path.strip("/").split("/")]
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        if path[0] not in ["api", "sc"]:
            return 404
        if path[:4] == ["api", "v2", "chat", "visitors"]:
            return self.visitor(path[4], headers)
        if headers["Authorization"] != self.authorization:
            return error(401, "unauthorized", "Authorization is required")
        if path[0] != "sc" or path[2] != "apps" or path[3] != self.app:
            return error(404, "app_not_found", "App not found")
        match [method, path[1], *path[4:]]:
            case ["POST", "v1.1", "appusers", "merge"]:
                return self.merge(json.loads(body))
            case ["GET", "v2", "users"]:
                has = lambda found: any(identity["value"] == query["filter[identities.email]"] for identity in found["identities"])
                return respond(200, {"users": [found for found in self.users if has(found)]})
            case ["POST", "v2", "users"]:
                return self.create(**json.loads(body))
            case ["GET", "v2", "conversations"]:
                return self.list(query)
            case ["GET", "v2", "conversations", id, "messages"]:
                newest = self.messages[id][-100:]
                return respond(200, {"messages": newest, "meta": {"hasMore": len(self.messages[id]) > 100}})
            case [_, "v2", "users", id, *rest]:
                return self.one_user(method, id, rest)
        return error(404, "not_found", "Resource not found")

    def find(self, id):
        return next((found for found in self.users if id in (found["id"], found["externalId"])), None)

    def one_user(self, method, id, rest):
        found = self.find(id)
        if not found:
            return error(404, "user_not_found", "User not found")
        if method == "DELETE" and rest == ["personalinformation"]:
            found |= {"identities": [], "profile": {}, "metadata": {}}
        elif method == "DELETE":
            self.users.remove(found)
            self.conversations.pop(found["id"], None)
            return respond(200, {})
        return respond(200, {"user": found})

    def create(self, externalId, brandId=None):
        if self.find(externalId):
            return error(409, "conflict", "User already exists")
        self.users.append(user(f"{len(self.users) + 0xabc:024x}", externalId, brandId=brandId))
        return respond(201, {"user": self.users[-1]})

    def merge(self, ids):
        surviving, discarded = [self.find(ids[name]["_id"]) for name in ["surviving", "discarded"]]
        if not surviving or not discarded:
            return respond(404, {"error": {"code": "user_not_found", "description": "User not found"}})
        self.users.remove(discarded)
        surviving["identities"] = surviving["identities"] + discarded["identities"]
        surviving["profile"] |= discarded["profile"]
        self.conversations.setdefault(surviving["id"], []).extend(self.conversations.pop(discarded["id"], []))
        return respond(200, {"appUser": {"_id": surviving["id"]}})

    def list(self, query):
        all, size = self.conversations.get(query["filter[userId]"], []), int(query.get("page[size]", 25))
        ids = [conversation["id"] for conversation in all]
        first = ids.index(query["page[after]"]) + 1 if "page[after]" in query else 0
        page, more = all[first:first + size], first + size < len(all)
        cursor = {"afterCursor": page[-1]["id"]} if more else {}
        return respond(200, {"conversations": page, "meta": {"hasMore": more} | cursor})

    def visitor(self, id, headers):
        if headers["Authorization"] != f"Bearer {self.chat_token}":
            return respond(401, {"error": "invalid_token"})
        found = self.visitors.get(id)
        return respond(200, found) if found else respond(404, {"error": "NotFound", "message": "Visitor not found"})
