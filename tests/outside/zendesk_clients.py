"""Compares the stand-in of Zendesk's APIs with Zendesk's own clients: they must send what it expects, and read what it answers."""

from urllib.parse import urlencode, urlsplit

import smooch
import sunshine_conversations_client as sunshine

from service import ask
from zendesk_api import APP, KEY_ID, KEY_SECRET, ZendeskApi, user


def main():
    with ZendeskApi() as api:
        client = sunshine.ApiClient(sunshine.Configuration(host=f"{api.url}/sc", username=KEY_ID, password=KEY_SECRET))
        users, messages = sunshine.UsersApi(client), sunshine.MessagesApi(client)
        api.users.append(user("67a11490f0305f4a391e9f8a", "old-id", "jane@example.com"))
        old = users.get_user(APP, "old-id").user
        assert (old.id, old.identities[0].value) == ("67a11490f0305f4a391e9f8a", "jane@example.com"), old
        new = users.create_user(APP, sunshine.UserCreateBody(external_id="new-id")).user
        assert new.external_id == "new-id", new
        try:
            users.create_user(APP, sunshine.UserCreateBody(external_id="new-id"))
            raise AssertionError("a second user with one external id")
        except sunshine.ApiException as error:
            assert error.status == 409 and "conflict" in error.body, error
        for number in range(130):
            api.converse(old.id, f"question {number}", "answer")
        # The client writes the filter as JSON, which the API's description does not have; its models still read the answers.
        lists = []
        for page in [{}, {"page[after]": "c00099"}]:
            query = urlencode({"filter[userId]": old.id, "page[size]": 100} | page)
            status, _, text = ask(urlsplit(api.url).netloc, f"/sc/v2/apps/{APP}/conversations?{query}", Authorization=api.authorization)
            assert status == 200, text
            lists.append(sunshine.ConversationListResponse.from_json(text))
        first, rest = lists
        assert (len(first.conversations), len(rest.conversations), first.meta.has_more, rest.meta.has_more) == (100, 30, True, False)
        assert first.meta.after_cursor == "c00099", first.meta
        texts = [message.content.actual_instance.text for message in messages.list_messages(APP, first.conversations[0].id).messages]
        assert texts == ["question 0", "answer"], texts
        smooch.configuration.host, smooch.configuration.username, smooch.configuration.password = f"{api.url}/sc", KEY_ID, KEY_SECRET
        merge = smooch.AppUserMerge(surviving=smooch.MergedUser(id=new.id), discarded=smooch.MergedUser(id=old.id))
        smooch.AppUserApi().merge_users(APP, merge)
        assert len(api.conversations[new.id]) == 130 and users.get_user(APP, "new-id").user.identities[0].value == "jane@example.com"
        assert users.delete_user_personal_information(APP, new.id).user.identities == []
        users.delete_user(APP, new.id)
        assert api.users == [] and api.conversations == {}
    print("Zendesk's own clients and the stand-in agree")


if __name__ == "__main__":
    main()
