"""Checks the JSON schema of the settings file with another implementation: it accepts our files, and refuses mistakes.

schema.py BINARY
"""

import copy
import json
import os
import re
import subprocess
import sys
import tomllib

from jsonschema import Draft202012Validator

from service import read

ROOT = os.path.join(os.path.dirname(__file__), "../..")
FILES = ["config/example.toml", "config/zendesk-token.toml", "config/kubernetes/settings.toml"]
MISTAKES = {
    "a name that is not a setting": lambda settings: settings["chat"].update(secert="x"),
    "a section that is not one": lambda settings: settings.update(chta={}),
    "a number in quotes": lambda settings: settings["limits"].update(connections="10"),
    "a number that is too large": lambda settings: settings["limits"].update(connections=1_000_001),
    "a flag in quotes": lambda settings: settings["login"].update(bearer="true"),
    "another word": lambda settings: settings["log"].update(level="loud"),
    "a time without its unit": lambda settings: settings["chat"].update(lifetime="300"),
    "a list as text": lambda settings: settings["cors"].update(origins="https://shop.example.com"),
    "a cookie name with a space": lambda settings: settings["login"].update(cookie="my token"),
    "a setting that all logins share": lambda settings: settings.update(logins={"eu": {"cookie": "token"}}),
    "a login's name in upper case": lambda settings: settings.update(logins={"EU": {"provider": "oidc"}}),
}


def uncommented(text):
    """The file with every setting that it shows."""
    return tomllib.loads(re.sub(r"^#(?=[a-z])", "", text, flags=re.MULTILINE))


def main(binary):
    schema = json.loads(subprocess.run([binary, "schema"], env={}, capture_output=True, check=True).stdout)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    settings = uncommented(read(f"{ROOT}/{FILES[0]}"))
    for file, content in [(FILES[0], settings), *((file, tomllib.loads(read(f"{ROOT}/{file}"))) for file in FILES)]:
        # The reader fills in what is empty.
        errors = [f"{'.'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(content) if error.instance != ""]
        assert errors == [], (file, errors)
    settings["logins"] = {"eu-2": {"provider": "oidc", "claims": settings["login"]["claims"]}}
    for name, make in MISTAKES.items():
        wrong = copy.deepcopy(settings)
        make(wrong)
        count = lambda content: sum(error.instance != "" for error in validator.iter_errors(content))
        assert (count(settings), count(wrong)) == (0, 1), (name, count(wrong))
    print(f"{len(FILES)} files match the schema, {len(MISTAKES)} mistakes do not")


if __name__ == "__main__":
    main(*sys.argv[1:])
