"""Deletes a user with Zendesk's own client, to compare its requests with ours: conversations.py BASE APP KEY_ID KEY_SECRET METHOD USER."""

import sys

import sunshine_conversations_client
from sunshine_conversations_client.api import users_api

base, app, key_id, key_secret, method, user = sys.argv[1:]
configuration = sunshine_conversations_client.Configuration(host=base, username=key_id, password=key_secret)
with sunshine_conversations_client.ApiClient(configuration) as client:
    getattr(users_api.UsersApi(client), method)(app, user)
