"""What the bundle is made of, as CycloneDX 1.6: the Python wheels that are in it, the Rust crates that are built into ours, the
npm packages that are built into the console, the packages of Debian in the image's base. Pure over what is read: the same wheels,
locks and image give the same bytes.

Made from what builds use (wheels, `cargo metadata` and Cargo.lock, package-lock.json, dpkg's list in the image), so that no tool
has to be installed for it and nothing is guessed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import tarfile
import tomllib
import uuid
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from email import message_from_bytes, message_from_string
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote

SPEC = "1.6"
CRATES = ("stillvault-python", "stillvault-cli")  # what a wheel holds of the workspace
SPACE = uuid.UUID("1c1b8b9e-6d0b-5d0e-9a68-2d8a4f7c2f55")


@dataclass(frozen=True)
class Part:
    """A component. `hashes` by CycloneDX's names of algorithms, hexadecimal."""

    name: str
    version: str
    purl: str
    license: str = ""
    hashes: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()  # purls

    def component(self) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "library", "bom-ref": self.purl, "purl": self.purl}
        made |= {"name": self.name, "version": self.version}
        if self.hashes:
            made["hashes"] = [{"alg": name, "content": value} for name, value in sorted(self.hashes.items())]
        if self.license:
            made["licenses"] = [{"license": {"name": self.license}}]
        return made


def bom(name: str, version: str, parts: Iterable[Part], created: str) -> bytes:
    """The document. Its serial number follows from its content."""
    ordered = sorted(parts, key=lambda part: part.purl)
    known = {part.purl for part in ordered}
    root = f"pkg:generic/{name}@{version}"
    needs = [{"ref": root, "dependsOn": [part.purl for part in ordered]}]
    needs += [{"ref": part.purl, "dependsOn": sorted(set(part.needs) & known)} for part in ordered]
    whole = {"type": "application", "bom-ref": root, "name": name, "version": version}
    body: dict[str, Any] = {
        "bomFormat": "CycloneDX", "specVersion": SPEC, "version": 1,
        "metadata": {"timestamp": created, "component": whole},
        "components": [part.component() for part in ordered], "dependencies": needs,
    }  # fmt: skip
    plain = json.dumps(body, sort_keys=True)
    body["serialNumber"] = f"urn:uuid:{uuid.uuid5(SPACE, plain)}"
    return (json.dumps(body, sort_keys=True, indent=1) + "\n").encode()


# ---- Python ----


def canonical(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def metadata(wheel: Path) -> Message:
    """What a wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        (inner,) = (one for one in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one))
        return message_from_bytes(archive.read(inner))


def wheels(paths: Iterable[Path]) -> list[Part]:
    """A component for each wheel; wheels of one release for several Pythons are one, with the hash of the first."""
    said = {path: metadata(path) for path in sorted(paths)}
    purls = {canonical(one["Name"]): f"pkg:pypi/{canonical(one['Name'])}@{one['Version']}" for one in said.values()}
    found: dict[str, Part] = {}
    for path, one in said.items():
        purl = purls[canonical(one["Name"])]
        needs = [re.match(r"[A-Za-z0-9._-]+", line) for line in one.get_all("Requires-Dist", []) if "extra ==" not in line]
        named = tuple(purls[canonical(match[0])] for match in needs if match and canonical(match[0]) in purls)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.setdefault(purl, Part(one["Name"], one["Version"], purl, _license(one), {"SHA-256": digest}, named))
    return list(found.values())


def _license(said: Message) -> str:
    named = said["License-Expression"] or said["License"] or ""
    classes = [one.rpartition(" :: ")[2] for one in said.get_all("Classifier", []) if one.startswith("License :: ")]
    return named if named and "\n" not in named and len(named) < 100 else "; ".join(classes)


# ---- Rust ----


def crates(root: Path, target: str) -> list[Part]:
    """What is linked into the extension and the front for a target; no crate that only builds or tests."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    told = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)
    packages = {one["id"]: one for one in told["packages"]}
    nodes = {one["id"]: one for one in told["resolve"]["nodes"]}
    lock = tomllib.loads((root / "Cargo.lock").read_text())["package"]
    checksums = {(one["name"], one["version"]): {"SHA-256": one["checksum"]} for one in lock if "checksum" in one}
    waiting = [one["id"] for one in told["packages"] if one["name"] in CRATES]
    linked: dict[str, list[str]] = {}
    while waiting:
        one = waiting.pop()
        if one not in linked:
            linked[one] = [dep["pkg"] for dep in nodes[one]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
            waiting += linked[one]

    def purl(one: str) -> str:
        return f"pkg:cargo/{packages[one]['name']}@{packages[one]['version']}"

    parts = []
    for one, needs in linked.items():
        said = packages[one]
        hashes = checksums.get((said["name"], said["version"]), {})  # none for a crate of this workspace
        parts.append(Part(said["name"], said["version"], purl(one), said["license"] or "", hashes, tuple(map(purl, needs))))
    return parts


# ---- npm ----


def packages(lock: Path) -> list[Part]:
    """What is built into the console: everything that the lock does not mark as for development."""
    entries = {place: one for place, one in json.loads(lock.read_bytes())["packages"].items() if place and not one.get("dev")}
    purls = {place: f"pkg:npm/{quote(_name(place), safe='/')}@{one['version']}" for place, one in entries.items()}
    parts = []
    for place, one in entries.items():
        algorithm, _, packed = one.get("integrity", "").partition("-")
        hashes = {"SHA-512": base64.b64decode(packed).hex()} if algorithm == "sha512" else {}
        needs = tuple(purls[f"node_modules/{name}"] for name in one.get("dependencies", {}) if f"node_modules/{name}" in purls)
        parts.append(Part(_name(place), one["version"], purls[place], one.get("license", ""), hashes, needs))
    return parts


def _name(place: str) -> str:
    return place.rpartition("node_modules/")[2]


# ---- Debian ----

DPKG = "var/lib/dpkg/status"
RELEASE = "usr/lib/os-release"


def debs(image: Path) -> list[Part]:
    """What is installed in an image by dpkg, which takes note of no hash and no license; nothing where it has no dpkg."""
    found = _last(image, {DPKG, RELEASE})
    release = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', found.get(RELEASE, b"").decode(), re.MULTILINE))
    vendor = release.get("ID", "debian")
    distro = f"{vendor}-{release.get('VERSION_ID', '')}".removesuffix("-")
    said = [message_from_string(one) for one in found.get(DPKG, b"").decode().split("\n\n") if one.strip()]
    there = {one["Package"]: one for one in said if one["Status"] == "install ok installed"}
    purls = {name: f"pkg:deb/{vendor}/{name}@{quote(one['Version'], safe='')}?arch={one['Architecture']}&distro={distro}"
             for name, one in there.items()}
    parts = []
    for name, one in there.items():
        words = re.split(r"[,|]", f"{one['Pre-Depends'] or ''},{one['Depends'] or ''}")  # of alternatives, those that are there
        needs = [match[0] for word in words if (match := re.match(r"[a-z0-9+.-]+", word.strip()))]
        parts.append(Part(name, one["Version"], purls[name], needs=tuple(purls[need] for need in needs if need in purls)))
    return parts


def _last(image: Path, names: set[str]) -> dict[str, bytes]:
    """Files of an image, an archive as `docker save` writes it: each from the last layer that has it."""
    found: dict[str, bytes] = {}
    with tarfile.open(image) as archive:
        manifest = archive.extractfile("manifest.json")
        for layer in json.load(manifest)[0]["Layers"] if manifest else []:
            with tarfile.open(fileobj=archive.extractfile(layer)) as inner:
                for member in inner:
                    name = member.name.removeprefix("./")
                    if name in names and (content := inner.extractfile(member)):
                        found[name] = content.read()
    return found
