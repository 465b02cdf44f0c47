"""A stand-in for Zendesk's APIs that the support desk uses: the documented answers, over data in memory.

Users, conversations and messages of the Sunshine Conversations API v2 (zendesk/sunshine-conversations-api-spec, 17.12.1), the merge of its
v1.1 (developer.zendesk.com, Merging users), and Show Visitor of the Chat API. `zendesk_clients.py` compares it with Zendesk's own clients.
"""

import base64
import itertools
import json
import threading
import time
from contextlib import AbstractContextManager
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from server import Server

APP, KEY_ID = "5d8cff3cd55b040010928b5b", "app_67a11490f030"
KEY_SECRET, CHAT_TOKEN = "k3yS3cr3tOfTheConversationsApi", "0authT0kenOfTheChatApi"
# An outcome for `fail`: the request is carried out, and the connection ends without a response.
LOST = "lost"


def user(id, external_id, email=None, **more):
    identities = [{"type": "email", "value": email, "verification": "sso"}] if email else []
    empty = {"identities": identities, "profile": {}, "metadata": {}}
    return {"id": id, "externalId": external_id, "signedUpAt": "2025-02-03T19:10:08.152Z"} | empty | more


def respond(status, value, **headers):
    return status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers}


def error(status, code, title, **headers):
    return respond(status, {"errors": [{"code": code, "title": title}]}, **headers)


def old_error(status, code, description):
    """An error of API v1.1."""
    return respond(status, {"error": {"code": code, "description": description}})


def is_in_brand(found, brand_id):
    """Without `brandId` in a request, a user of any brand is found; no document says what the API does then."""
    return not brand_id or found.get("brandId") in [None, brand_id]


class ZendeskApi(AbstractContextManager):
    """Runs until the end of its `with` block."""

    def __init__(self, app=APP, key_id=KEY_ID, key_secret=KEY_SECRET, chat_token=CHAT_TOKEN):
        self.app, self.chat_token, self.key = app, chat_token, (key_id, key_secret)
        self.authorization = "Basic " + base64.b64encode(f"{key_id}:{key_secret}".encode()).decode()
        # Users; conversations by user, messages by conversation, visitors by id.
        self.users, self.conversations, self.messages, self.visitors = [], {}, {}, {}
        # Method and path of each request; what is to happen to the next requests whose method and path have a text.
        self.requests, self.failures = [], []
        self.numbers, self.lock = itertools.count(0xABC), threading.Lock()
        self.server = Server(self.answer)
        self.url = self.server.url

    def __exit__(self, *_):
        self.server.__exit__()

    def settings(self):
        """The text of a settings file for this API."""
        key_id, key_secret = self.key
        return (f'[conversations]\nbase_url = "{self.url}/sc"\napp_id = "{self.app}"\n'
                f'key_id = "{key_id}"\nkey_secret = "{key_secret}"\n\n'
                f'[chat_api]\nbase_url = "{self.url}/api/v2/chat"\ntoken = "{self.chat_token}"\n')

    def new_id(self):
        return f"{next(self.numbers):024x}"

    def converse(self, user_id, *texts, at="2025-02-03T16:21:12.308Z"):
        """Adds a conversation of a user with these messages; the player writes the first, an agent the second, and so on."""
        id = self.new_id()
        conversation = {"id": id, "type": "personal", "isDefault": False, "lastUpdatedAt": at, "createdAt": at}
        self.conversations.setdefault(user_id, []).append(conversation)
        authors = [{"type": "user", "userId": user_id, "displayName": "Jane Doe"}, {"type": "business", "displayName": "Support"}]
        self.messages[id] = [
            {"id": self.new_id(), "received": at, "author": author, "content": {"type": "text", "text": text}, "source": {"type": "web"}}
            for author, text in zip(itertools.cycle(authors), texts)]
        return id

    def fail(self, text, *outcomes):
        """The next requests whose method and path have `text` get these: a status, a pair of a status and the seconds of `Retry-After`,
        seconds to wait before the usual answer (less than 100), or LOST."""
        with self.lock:
            self.failures += [(text, outcome) for outcome in outcomes]

    def next_outcome(self, request):
        with self.lock:
            self.requests.append(request)
            failure = next((failure for failure in self.failures if failure[0] in request), None)
            if failure:
                self.failures.remove(failure)
        return failure[1] if failure else 0

    def answer(self, method, target, body, headers):
        outcome = self.next_outcome(f"{method} {target}")
        if isinstance(outcome, tuple):
            return error(outcome[0], "too_many_requests", "Too many requests", **{"Retry-After": str(outcome[1])})
        if outcome != LOST and outcome >= 100:
            return error(outcome, "internal_error", "Something broke")
        if outcome != LOST:
            time.sleep(outcome)
        path = [unquote(part) for part in urlsplit(target).path.strip("/").split("/")]
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        with self.lock:
            answer = self.carry_out(method, path, query, body, headers)
        return None if outcome == LOST else answer

    def carry_out(self, method, path, query, body, headers):
        match [method, *path]:
            case ["GET", "api", "v2", "chat", "visitors", id]:
                return self.visitor(id, headers)
            case [_, "sc", version, "apps", app, *rest]:
                if headers["Authorization"] != self.authorization:
                    return error(401, "unauthorized", "Authorization is required")
                if app != self.app:
                    return error(404, "app_not_found", "App not found")
                return self.conversations_api([method, version, *rest], query, body)
        return 404

    def conversations_api(self, request, query, body):
        match request:
            case ["POST", "v1.1", "appusers", "merge"]:
                return self.merge(json.loads(body))
            case ["GET", "v2", "users"]:
                return self.find_by_email(query)
            case ["POST", "v2", "users"]:
                return self.create(**json.loads(body))
            case ["GET", "v2", "conversations"]:
                return self.list(query)
            case ["GET", "v2", "conversations", id, "messages"] if id in self.messages:
                newest, more = self.messages[id][-100:], len(self.messages[id]) > 100
                cursor = {"beforeCursor": newest[0]["id"]} if more else {}
                return respond(200, {"messages": newest, "meta": {"hasMore": more} | cursor})
            case [method, "v2", "users", id, *rest] if [method, *rest] in [["GET"], ["DELETE"], ["DELETE", "personalinformation"]]:
                return self.one_user([method, *rest], id, query)
        return error(404, "not_found", "Resource not found")

    def find(self, id, brand_id=None):
        """The user with an id, or with an external id."""
        has_it = lambda found: id == found["id"] or (id == found["externalId"] and is_in_brand(found, brand_id))
        return next(filter(has_it, self.users), None)

    def find_by_email(self, query):
        email = query.get("filter[identities.email]")
        if not email:
            return error(400, "bad_request", "Invalid filter query parameters")
        has_it = lambda found: any(identity["value"] == email for identity in found["identities"])
        found = [found for found in self.users if has_it(found) and is_in_brand(found, query.get("brandId"))]
        return respond(200, {"users": found})

    def one_user(self, request, id, query):
        found = self.find(id, query.get("brandId"))
        if not found:
            return error(404, "user_not_found", "User not found")
        if request == ["DELETE"]:
            self.users.remove(found)
            for conversation in self.conversations.pop(found["id"], []):
                del self.messages[conversation["id"]]
            return respond(200, {})
        if request == ["DELETE", "personalinformation"]:
            found |= {"identities": [], "profile": {}, "metadata": {}}
        return respond(200, {"user": found})

    def create(self, externalId, brandId=None):
        if self.find(externalId, brandId):
            return error(409, "conflict", "User already exists")
        self.users.append(user(self.new_id(), externalId, **({"brandId": brandId} if brandId else {})))
        return respond(201, {"user": self.users[-1]})

    def merge(self, ids):
        """The surviving user keeps its external id; of a value that both have, the discarded user's stays."""
        by_id = {found["id"]: found for found in self.users}
        surviving, discarded = [by_id.get(ids[name]["_id"]) for name in ["surviving", "discarded"]]
        if not surviving or not discarded:
            return old_error(404, "user_not_found", "User not found")
        if surviving is discarded:
            return old_error(400, "bad_request", "A user can't be merged into itself")
        self.users.remove(discarded)
        surviving["identities"] = surviving["identities"] + discarded["identities"]
        for name in ["profile", "metadata"]:
            surviving[name] |= discarded[name]
        self.conversations.setdefault(surviving["id"], []).extend(self.conversations.pop(discarded["id"], []))
        merged = {"_id": surviving["id"], "userId": surviving["externalId"], "signedUpAt": surviving["signedUpAt"]}
        return respond(200, {"appUser": merged})

    def list(self, query):
        id, size = query.get("filter[userId]"), query.get("page[size]", "25")
        if id not in [found["id"] for found in self.users]:
            return error(404, "user_not_found", "User not found")
        all = self.conversations.get(id, [])
        # The first page follows on nothing.
        cursors = [None, *(conversation["id"] for conversation in all)]
        if size not in map(str, range(1, 101)) or query.get("page[after]") not in cursors:
            return error(400, "bad_request", "Invalid page query parameters")
        first = cursors.index(query.get("page[after]"))
        end = first + int(size)
        if end >= len(all):
            return respond(200, {"conversations": all[first:], "meta": {"hasMore": False}, "links": {}})
        more = urlencode({"filter[userId]": id, "page[size]": size, "page[after]": cursors[end]})
        links = {"next": f"{self.url}/sc/v2/apps/{self.app}/conversations?{more}"}
        return respond(200, {"conversations": all[first:end], "meta": {"hasMore": True, "afterCursor": cursors[end]}, "links": links})

    def visitor(self, id, headers):
        if headers["Authorization"] != f"Bearer {self.chat_token}":
            return respond(401, {"error": "invalid_token"})
        found = self.visitors.get(id)
        return respond(200, found) if found else respond(404, {"error": "NotFound", "message": "Visitor not found"})
