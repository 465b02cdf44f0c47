"""sbom.py BINARY SBOM: checks that the CycloneDX document lists every crate that the binary was built from."""

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
    raise SystemExit(f"{path} does not have a section {name}")


def main(binary, document):
    # The format of `cargo auditable`: https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md
    crates = json.loads(zlib.decompress(section(binary, ".dep-v0")))["packages"]
    runtime = {(crate["name"], crate["version"]) for crate in crates if crate.get("kind", "runtime") == "runtime"}
    with open(document) as file:
        listed = json.load(file)
    assert listed["bomFormat"] == "CycloneDX" and listed["metadata"]["component"]["name"] == "zendesk-token"
    names = {(component["name"], component["version"]) for component in listed["components"]}
    own = {(crate["name"], crate["version"]) for crate in crates if crate.get("root")}
    missing = runtime - own - names
    assert len(runtime) > 50 and not missing, missing
    assert all(component["purl"].startswith("pkg:cargo/") and component["licenses"] for component in listed["components"])
    print(f"the SBOM lists all {len(runtime) - len(own)} crates of the binary, and {len(names)} in total")


if __name__ == "__main__":
    main(*sys.argv[1:])
