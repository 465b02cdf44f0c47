"""Does the service do what its OpenAPI document says, whatever it is asked?

openapi.py SCHEMATHESIS: the document against the standard, and the live service against the document.
"""

import copy
import json
import subprocess
import sys
import tempfile

from openapi_spec_validator import validate

from service import BINARY, Service, login_token

# Cases for each operation and phase, and the seed that makes a failure come again.
EXAMPLES, SEED = "40", "4"


def schemathesis(program, document, address, *arguments, is_signed_in=False):
    """Runs every check of schemathesis against an address; what it finds ends the test."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/openapi.json", "w") as file:
            json.dump(document, file)
        command = [
            program, "run", "openapi.json", "--url", f"http://{address}", "--checks", "all", "--max-examples", EXAMPLES, "--seed", SEED,
            "--generation-database", "none", "--request-timeout", "10", "--continue-on-failure", *arguments,
        ]
        # It leaves a folder of its own where it runs.
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if result.returncode != 0:
        raise SystemExit(result.stdout + result.stderr)
    # Where a good login is given, each operation has to have had a good answer among those that were held against the document.
    assert "returned only" not in result.stdout or not is_signed_in, result.stdout
    return next(line.strip() for line in result.stdout.splitlines() if "generated," in line)


def main(program):
    document = json.loads(subprocess.run([BINARY, "openapi"], capture_output=True, text=True, check=True).stdout)
    validate(document)
    public = ["--exclude-tag", "admin"]
    with Service() as service:
        token = login_token()
        print("signed in:", schemathesis(program, with_login(document, token), service.public, *public, "-H", f"Cookie: token={token}", is_signed_in=True))
        # schemathesis takes every 422 of a request that fits the document for a fault; here it is the login that is at fault.
        token, tolerant = login_token(sub=None), ["--exclude-checks", "positive_data_acceptance"]
        print("without an id:", schemathesis(program, with_login(document, token), service.public, *public, *tolerant, "-H", f"Cookie: token={token}"))
        print("signed out:", schemathesis(program, with_login(document, ""), service.public, *public))
        print("admin:", schemathesis(program, document, service.admin, "--include-tag", "admin", is_signed_in=True))
        service.stop()
    with Service(chat__secret=None, login__bearer="true") as service:
        token = login_token()
        # A cookie that does not verify counts for nothing beside a header that does, and a product that is not there has no methods.
        tolerant = ["--exclude-checks", "ignored_auth,unsupported_method", "-H", f"Authorization: Bearer {token}"]
        print("by header, without Chat:", schemathesis(program, with_login(document, token), service.public, *public, *tolerant))
        service.stop()


def with_login(document, token):
    """The document with a login as the example of a body, so that answers to it are among those that are held against it. It is also
    the only one: no pattern says what is a login token, and what is none is malformed."""
    document = copy.deepcopy(document)
    document["components"]["schemas"]["UserToken"]["properties"]["user_token"] = {"type": "string", "enum": [token]}
    for body in document["paths"]["/support-sdk/token"]["post"]["requestBody"]["content"].values():
        body["example"] = {"user_token": token}
    return document


if __name__ == "__main__":
    main(*sys.argv[1:])
