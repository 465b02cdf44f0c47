"""openapi.py SCHEMATHESIS: validates the OpenAPI document, and tests a running service against it with schemathesis."""

import copy
import json
import subprocess
import sys
import tempfile

from openapi_spec_validator import validate

from service import BINARY, Service, login_token, write

# Cases for each operation and phase, and a seed that makes a failure reproducible.
EXAMPLES, SEED = "40", "4"


def schemathesis(program, document, address, *arguments, is_signed_in=False):
    """Runs all checks of schemathesis against an address, and exits if one fails."""
    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/openapi.json", json.dumps(document))
        command = [
            program, "run", "openapi.json", "--url", f"http://{address}", "--checks", "all", "--max-examples", EXAMPLES, "--seed", SEED,
            "--generation-database", "none", "--request-timeout", "10", "--continue-on-failure", *arguments,
        ]
        # In this folder, because it leaves files.
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    if result.returncode != 0:
        raise SystemExit(result.stdout + result.stderr)
    # With a valid login token, each operation must have been tested with a success too.
    assert "returned only" not in result.stdout or not is_signed_in, result.stdout
    return next(line.strip() for line in result.stdout.splitlines() if "generated," in line)


def main(program):
    document = json.loads(subprocess.run([BINARY, "openapi"], capture_output=True, text=True, check=True).stdout)
    validate(document)
    public = ["--exclude-tag", "admin"]
    with Service(support_sdk__user_token_lifetime="90d") as service:
        token = login_token()
        print("signed in:", schemathesis(program, with_login(document, token), service.public, *public, "-H", f"Cookie: token={token}", is_signed_in=True))
        # schemathesis reports every 422 for a request that matches the document. Here the login token causes the 422.
        token, tolerant = login_token(sub=None), ["--exclude-checks", "positive_data_acceptance"]
        print("without an id:", schemathesis(program, with_login(document, token), service.public, *public, *tolerant, "-H", f"Cookie: token={token}"))
        print("signed out:", schemathesis(program, with_login(document, ""), service.public, *public))
        print("admin:", schemathesis(program, document, service.admin, "--include-tag", "admin", is_signed_in=True))
        service.stop()
    with Service(chat__secret=None, login__bearer="true", support_sdk__user_token_lifetime="90d") as service:
        token = login_token()
        # The generated cookie is ignored if the header's token is valid, and a product without settings answers 404 to every method.
        tolerant = ["--exclude-checks", "ignored_auth,unsupported_method", "-H", f"Authorization: Bearer {token}"]
        print("by header, without Chat:", schemathesis(program, with_login(document, token), service.public, *public, *tolerant))
        service.stop()


def with_login(document, token):
    """The document with this login token as the only value for a body. The generated ones would all be malformed."""
    document = copy.deepcopy(document)
    document["components"]["schemas"]["UserToken"]["properties"]["user_token"] = {"type": "string", "enum": [token]}
    for body in document["paths"]["/support-sdk/token"]["post"]["requestBody"]["content"].values():
        body["example"] = {"user_token": token}
    return document


if __name__ == "__main__":
    main(*sys.argv[1:])
