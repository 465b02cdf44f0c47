"""npm_package.py FRONT_ENDS: packs the folder client as npm would publish it, and tests its files, size, types and import.

FRONT_ENDS is a folder in which npm has installed esbuild and typescript.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

from service import PATIENCE, Service, ask, read, write

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
FIXTURES = f"{ROOT}/tests/outside/front_ends"
FILES = {"LICENSE", "README.md", "index.d.ts", "index.js", "package.json"}
# What the package may add to a page, minified and compressed.
MAX_BYTES = 3 * 1024
FUNCTIONS = {"configure", "helpCenterJwtFn", "jwtFn", "loginUser", "signedIn", "signedOut"}


def run(*command, folder=None, **environment):
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=3 * PATIENCE)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def install(folder):
    """Packs the package and unpacks it into `folder`, as an installation does. Returns what npm says about it."""
    packed = json.loads(run("npm", "pack", "--json", "--offline", "--pack-destination", folder, folder=f"{ROOT}/client"))
    # A list, and from npm 12 on an object by name.
    [packed] = packed if isinstance(packed, list) else packed.values()
    installed = f"{folder}/node_modules/zendesk-token"
    os.makedirs(installed)
    run("tar", "--extract", "--strip-components=1", f"--file={folder}/{packed['filename']}", f"--directory={installed}")
    return packed


def files(folder, packed):
    assert {file["path"] for file in packed["files"]} == FILES, packed["files"]
    installed = f"{folder}/node_modules/zendesk-token"
    assert {name for _, _, names in os.walk(installed) for name in names} == FILES
    manifest = json.loads(read(f"{installed}/package.json"))
    with open(f"{ROOT}/Cargo.toml", "rb") as file:
        package = tomllib.load(file)["package"]
    assert [manifest[key] for key in ["name", "version", "license"]] == [package[key] for key in ["name", "version", "license"]], manifest
    assert not [key for key in manifest if "ependencies" in key or key == "scripts"], manifest
    assert read(f"{installed}/LICENSE") == read(f"{ROOT}/LICENSE")
    print(f"version {manifest['version']}, {len(FILES)} files, {packed['size']} bytes as npm packs it")


def size(folder, esbuild):
    """Bundles the README's example, which is a page's code and little more than the package."""
    [example] = re.findall(r"^```js\n(.*?)^```", read(f"{folder}/node_modules/zendesk-token/README.md"), re.DOTALL | re.MULTILINE)
    write(f"{folder}/example.js", example)
    minified = run(esbuild, "--bundle", "--format=esm", "--minify", "--log-level=warning", "example.js", folder=folder)
    compressed = len(gzip.compress(minified.encode(), 9))
    assert compressed < MAX_BYTES, compressed
    print(f"{compressed} bytes in a page, minified and compressed; at most {MAX_BYTES}")


def types(folder, tsc):
    compile = lambda *arguments: run(
        tsc, "--strict", "--exactOptionalPropertyTypes", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--types", "", *arguments,
        folder=folder)
    for name in ["types.ts", "global.ts"]:
        shutil.copy(f"{FIXTURES}/{name}", folder)
    for resolution in [("--module", "nodenext"), ("--module", "esnext", "--moduleResolution", "bundler")]:
        compile(*resolution, "types.ts")
    with Service() as service, open(f"{folder}/jwt_fn.d.ts", "w") as file:
        status, _, text = ask(service.public, "/jwt_fn.d.ts")
        assert status == 200
        file.write(text)
    compile("--module", "esnext", "global.ts", "jwt_fn.d.ts")
    print("types of the package and of the served script, by tsc --strict")


def import_in_node(folder):
    """Importing it needs no window, as when a framework renders a page on a server."""
    script = 'import * as all from "zendesk-token"; console.log(JSON.stringify(Object.keys(all)))'
    exported = set(json.loads(run("node", "--input-type=module", "--eval", script, folder=folder)))
    declared = set(re.findall(r"^export function (\w+)", read(f"{ROOT}/client/index.d.ts"), re.MULTILINE))
    assert exported == declared == FUNCTIONS, (exported, declared)
    print("an import without a window, as on a server")


def main(front_ends):
    programs = f"{os.path.realpath(front_ends)}/node_modules/.bin"
    with tempfile.TemporaryDirectory() as folder:
        files(folder, install(folder))
        size(folder, f"{programs}/esbuild")
        types(folder, f"{programs}/tsc")
        import_in_node(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
