"""parts.py BINARY SBOM: is what the binary says it was built from what the CycloneDX document lists?"""

import json
import struct
import sys
import zlib


def section(path, name):
    """The bytes of one section of a 64-bit ELF file (System V ABI, chapter 4)."""
    with open(path, "rb") as file:
        elf = file.read()
    table, size, count, names = struct.unpack_from("<Q", elf, 0x28)[0], *struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + index * size) for index in range(count)]
    texts = headers[names][4]
    for title, _, _, _, offset, length in headers:
        if elf[texts + title:].split(b"\0", 1)[0].decode() == name:
            return elf[offset:offset + length]
    raise SystemExit(f"{path} has no {name}")


def main(binary, document):
    # What `cargo auditable` writes: https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md
    inside = json.loads(zlib.decompress(section(binary, ".dep-v0")))["packages"]
    run = {(part["name"], part["version"]) for part in inside if part.get("kind", "runtime") == "runtime"}
    with open(document) as file:
        listed = json.load(file)
    assert listed["bomFormat"] == "CycloneDX" and listed["metadata"]["component"]["name"] == "zendesk-token"
    names = {(part["name"], part["version"]) for part in listed["components"]}
    own = {(part["name"], part["version"]) for part in inside if part.get("root")}
    missing = run - own - names
    assert len(run) > 50 and not missing, missing
    assert all(part["purl"].startswith("pkg:cargo/") and part["licenses"] for part in listed["components"])
    print(f"{len(run) - len(own)} crates are in the binary, and all of them in the list of {len(names)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
