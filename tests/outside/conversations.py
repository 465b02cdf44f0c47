"""Sends one request with Zendesk's own clients, to compare it with ours.

conversations.py BASE APP KEY_ID KEY_SECRET METHOD ARGUMENT...: a method of the clients' users API. The old client, `smooch`, has the merge.
"""

import sys

import smooch
import sunshine_conversations_client
from sunshine_conversations_client.api import users_api

base, app, key_id, key_secret, method, *arguments = sys.argv[1:]
if method == "merge_users":
    smooch.configuration.host, smooch.configuration.username, smooch.configuration.password = base, key_id, key_secret
    surviving, discarded = [smooch.MergedUser(id=user) for user in arguments]
    smooch.AppUserApi().merge_users(app, smooch.AppUserMerge(surviving=surviving, discarded=discarded))
else:
    configuration = sunshine_conversations_client.Configuration(host=base, username=key_id, password=key_secret)
    with sunshine_conversations_client.ApiClient(configuration) as client:
        if method == "create_user":
            arguments = [sunshine_conversations_client.UserCreateBody(external_id=arguments[0])]
        getattr(users_api.UsersApi(client), method)(app, *arguments)
