"""Compares the stand-in of Zendesk's APIs with Zendesk's own clients: they must send what it expects, and read what it answers."""

import http.client
import json
from urllib.parse import urlencode, urlsplit

import smooch
import sunshine_conversations_client as sunshine

from service import ask
from zendesk_api import APP, CHAT_TOKEN, KEY_ID, KEY_SECRET, LOST, ZendeskApi, user

OLD, EMAIL, USERS = "67a11490f0305f4a391e9f8a", "jane@example.com", f"/sc/v2/apps/{APP}/users"


def get(api, path, query=None):
    """Status and body of a request that the clients can't make: they have no search by email, and write a filter as JSON, which the
    API's description does not have. Their models still read the answers."""
    target = path + (f"?{urlencode(query)}" if query else "")
    status, _, text = ask(urlsplit(api.url).netloc, target, Authorization=api.authorization)
    return status, text


def found(api, email, **brand):
    status, text = get(api, USERS, {"filter[identities.email]": email} | brand)
    assert status == 200, text
    return [sunshine.User.from_dict(item).id for item in json.loads(text)["users"]]


def refusal(status, code, call, *arguments, exception=sunshine.ApiException):
    try:
        call(*arguments)
    except exception as error:
        assert error.status == status and code in str(error.body), error
    else:
        raise AssertionError(f"not refused: {arguments}")


def find_and_create(api, users):
    api.users.append(user(OLD, "old-id", EMAIL, profile={"surname": "Doe"}, metadata={"level": 7}))
    old = users.get_user(APP, "old-id").user
    assert (old.id, old.identities[0].value, old.profile.surname) == (OLD, EMAIL, "Doe"), old
    new = users.create_user(APP, sunshine.UserCreateBody(external_id="new-id")).user
    assert new.external_id == "new-id" and new.identities == [], new
    refusal(409, "conflict", users.create_user, APP, sunshine.UserCreateBody(external_id="new-id"))
    refusal(404, "user_not_found", users.get_user, APP, "nobody")
    api.users.append(user("71c0b3a0f0305f4a391e9f00", "old-id-2", EMAIL, brandId="1"))
    assert found(api, EMAIL) == [OLD, "71c0b3a0f0305f4a391e9f00"] and found(api, "nobody@example.invalid") == []
    assert found(api, EMAIL, brandId="2") == [OLD], "one brand's users are not another's"
    del api.users[-1]
    return new


def lists(api, messages):
    for number in range(130):
        api.converse(OLD, f"question {number}", "answer")
    path = f"/sc/v2/apps/{APP}/conversations"
    pages, target, query = [], path, {"filter[userId]": OLD, "page[size]": 60}
    while target:
        status, text = get(api, target, query)
        assert status == 200, text
        pages.append(sunshine.ConversationListResponse.from_json(text))
        parts = urlsplit(pages[-1].links.next or "")
        target, query = f"{parts.path}?{parts.query}" if parts.path else None, None
    assert [len(page.conversations) for page in pages] == [60, 60, 10], pages
    assert [page.meta.has_more for page in pages] == [True, True, False]
    assert [page.meta.after_cursor for page in pages] == [pages[0].conversations[-1].id, pages[1].conversations[-1].id, None]
    assert len({conversation.id for page in pages for conversation in page.conversations}) == 130
    assert len(json.loads(get(api, path, {"filter[userId]": OLD})[1])["conversations"]) == 25, "the usual size of a page"
    for wrong in [{"page[size]": 101}, {"page[size]": 0}, {"page[after]": "0" * 24}]:
        status, text = get(api, path, {"filter[userId]": OLD} | wrong)
        assert status == 400 and "bad_request" in text, (wrong, text)
    assert get(api, path, {"filter[userId]": "nobody"})[0] == 404
    texts = [message.content.actual_instance.text for message in messages.list_messages(APP, pages[0].conversations[0].id).messages]
    assert texts == ["question 0", "answer"], texts
    many = messages.list_messages(APP, api.converse(OLD, *map(str, range(150))))
    assert many.meta.has_more and [many.messages[at].content.actual_instance.text for at in [0, -1]] == ["50", "149"], many.meta
    authors = [(message.author.type, message.author.display_name) for message in many.messages[:2]]
    assert authors == [("user", "Jane Doe"), ("business", "Support")], authors


def merge(api, users, new):
    smooch.configuration.host, smooch.configuration.username, smooch.configuration.password = f"{api.url}/sc", KEY_ID, KEY_SECRET
    old_client = smooch.AppUserApi()

    def merge_users(surviving, discarded):
        body = smooch.AppUserMerge(surviving=smooch.MergedUser(id=surviving), discarded=smooch.MergedUser(id=discarded))
        old_client.merge_users(APP, body)
        # The method returns nothing; the answer is read with the client's own model.
        return old_client.api_client.deserialize(old_client.api_client.last_response, "AppUserResponse").app_user

    def refused(status, code, *ids):
        refusal(status, code, merge_users, *ids, exception=smooch.rest.ApiException)

    refused(400, "bad_request", OLD, OLD)
    refused(404, "user_not_found", new.id, "old-id")
    merged = merge_users(new.id, OLD)
    assert (merged.id, merged.user_id) == (new.id, "new-id"), merged
    present = users.get_user(APP, "new-id").user
    assert (present.identities[0].value, present.profile.surname, present.metadata) == (EMAIL, "Doe", {"level": 7}), present
    assert found(api, EMAIL) == [new.id] and len(api.conversations[new.id]) == 131
    refusal(404, "user_not_found", users.get_user, APP, OLD)
    refused(404, "user_not_found", new.id, OLD)


def forget_and_delete(api, users, messages, id):
    assert users.delete_user_personal_information(APP, id).user.identities == []
    assert found(api, EMAIL) == [] and len(api.conversations[id]) == 131, "the conversations stay"
    conversation = api.conversations[id][0]["id"]
    users.delete_user(APP, id)
    assert api.users == [] and api.conversations == {}
    refusal(404, "user_not_found", users.delete_user, APP, id)
    refusal(404, "not_found", messages.list_messages, APP, conversation)


def refusals(api, users):
    refusal(404, "app_not_found", users.get_user, "another-app", "old-id")
    wrong = sunshine.ApiClient(sunshine.Configuration(host=f"{api.url}/sc", username=KEY_ID, password="wrong"))
    refusal(401, "unauthorized", sunshine.UsersApi(wrong).get_user, APP, "old-id")


def failures(api, users):
    """What a test asks for happens to the next requests of a kind, and to no others."""
    create = lambda: users.create_user(APP, sunshine.UserCreateBody(external_id="another"))
    api.fail("POST", 503, (429, 7), LOST)
    assert get(api, USERS, {"filter[identities.email]": EMAIL})[0] == 200
    refusal(503, "internal_error", create)
    try:
        create()
        raise AssertionError("not refused")
    except sunshine.ApiException as error:
        assert (error.status, error.headers["Retry-After"]) == (429, "7"), error
    try:
        ask(urlsplit(api.url).netloc, USERS, "POST", '{"externalId":"another"}', Authorization=api.authorization)
        raise AssertionError("a response")
    except http.client.RemoteDisconnected:
        pass
    assert users.get_user(APP, "another").user.external_id == "another", "carried out, though the response was lost"
    refusal(409, "conflict", create)


def chat(api):
    host, path = urlsplit(api.url).netloc, "/api/v2/chat/visitors/9855790-xjj3u5xPWhW1Fv"
    api.visitors["9855790-xjj3u5xPWhW1Fv"] = {"id": "9855790.xjj3ukxyIhn6j3", "external_id": "old-id"}
    status, _, text = ask(host, path, Authorization=f"Bearer {CHAT_TOKEN}")
    assert status == 200 and json.loads(text)["id"] == "9855790.xjj3ukxyIhn6j3", text
    status, _, text = ask(host, f"{path}x", Authorization=f"Bearer {CHAT_TOKEN}")
    assert status == 404 and json.loads(text) == {"error": "NotFound", "message": "Visitor not found"}, text
    assert ask(host, path, Authorization="Bearer wrong")[0] == 401


def main():
    with ZendeskApi() as api:
        # Without retries of its own.
        configuration = sunshine.Configuration(host=f"{api.url}/sc", username=KEY_ID, password=KEY_SECRET, retries=False)
        client = sunshine.ApiClient(configuration)
        users, messages = sunshine.UsersApi(client), sunshine.MessagesApi(client)
        new = find_and_create(api, users)
        refusals(api, users)
        lists(api, messages)
        merge(api, users, new)
        forget_and_delete(api, users, messages, new.id)
        failures(api, users)
        chat(api)
    print("Zendesk's own clients and the stand-in agree")


if __name__ == "__main__":
    main()
