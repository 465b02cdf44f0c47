"""Does the service do what its OpenAPI document says, whatever it is asked?

openapi.py SCHEMATHESIS: the document against the standard, and the live service against the document.
"""

import json
import subprocess
import sys
import tempfile

from openapi_spec_validator import validate

from service import BINARY, Service, login_token

# Cases for each operation and phase, and the seed that makes a failure come again.
EXAMPLES, SEED = "40", "4"


def schemathesis(program, document, address, *arguments):
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
    return next(line.strip() for line in result.stdout.splitlines() if "generated," in line)


def main(program):
    document = json.loads(subprocess.run([BINARY, "openapi"], capture_output=True, text=True, check=True).stdout)
    validate(document)
    with Service(origins="https://shop.example.com") as service:
        for who, token in [("signed in", login_token()), ("without an id", login_token(sub=None)), ("signed out", "")]:
            # So that answers to this login are among those that are held against the document.
            bodies = document["paths"]["/support-sdk/token"]["post"]["requestBody"]["content"]
            for body in bodies.values():
                body["example"] = {"user_token": token}
            more = ["-H", f"Cookie: token={token}"] if token else []
            if who == "without an id":
                # Takes every 422 of a request that fits the document for a fault; here it is the login that is at fault.
                more += ["--exclude-checks", "positive_data_acceptance"]
            print(f"{who}:", schemathesis(program, document, service.public, "--exclude-tag", "admin", *more))
        print("admin:", schemathesis(program, document, service.admin, "--include-tag", "admin"))
        service.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
