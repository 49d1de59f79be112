"""The skill bundle and the plugin as they came with this installation, and the manifest by which a copy is known.

`plugin/` is a local marketplace for Claude Code that holds one plugin: the skill (`skills/stillvault`, in the public Agent Skills
format), the MCP server's configuration and the hook. The skill alone is what other agents take.

`manifest.json` in the skill's folder names every file with its SHA-256 and the version. A copy is judged by *this installation's*
files wherever the version is the same, so that changing a file and its manifest together does not hide it; the installation's own
files are judged by its manifest. The manifest carries no signature: it finds damage and tampering with a copy, and whoever can
change the installed package itself can change both.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillvault.protocol.errors import Refused

NAME = "stillvault"
MANIFEST = "manifest.json"
MAX_FILE = 256 * 1024  # bytes
MAX_FILES = 64
FILE = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,3}")
VERSION = re.compile(r"\d{1,6}\.\d{1,6}\.\d{1,6}[A-Za-z0-9.+-]{0,32}")


@dataclass(frozen=True)
class Manifest:
    """Which files a skill's folder holds: relative name to SHA-256, in hex."""

    version: str
    files: dict[str, str]

    def encoded(self) -> bytes:
        record = {"v": 1, "name": NAME, "version": self.version, "files": dict(sorted(self.files.items()))}
        return json.dumps(record, indent=2).encode() + b"\n"


def plugin() -> Path:
    """The folder that Claude Code takes as a marketplace."""
    return Path(__file__).parent / "plugin"


def skill() -> Path:
    """The skill's folder of this installation."""
    return plugin() / "skills" / NAME


def own() -> Manifest:
    """This installation's manifest. Raises `Refused` where it is damaged."""
    try:
        return parse(read(skill() / MANIFEST) or b"")
    except ValueError as error:
        raise Refused("skill-changed", f"{skill() / MANIFEST}: {error}", "install Stillvault again") from None


def parse(raw: bytes) -> Manifest:
    """A manifest, taken by its form or refused with ValueError: its names lead nowhere but into its own folder."""
    try:
        record: Any = json.loads(raw)
        version, files = record["version"], record["files"]
        good = (record["v"] == 1 and record["name"] == NAME and isinstance(version, str) and isinstance(files, dict)
                and VERSION.fullmatch(version) is not None and 0 < len(files) <= MAX_FILES
                and all(isinstance(file, str) and FILE.fullmatch(file) and file != MANIFEST for file in files)
                and all(isinstance(found, str) and re.fullmatch("[0-9a-f]{64}", found) for found in files.values()))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("the manifest cannot be read") from None
    if not good:
        raise ValueError("the manifest is not of its form")
    return Manifest(version, files)


def describe(folder: Path, version: str) -> Manifest:
    """The manifest that fits the files of a folder as they are."""
    files = {one: hashlib.sha256(read(folder / one) or b"").hexdigest() for one in listed(folder) if one != MANIFEST}
    return Manifest(version, files)


def listed(folder: Path) -> Iterator[str]:
    """Every name below a folder that is not a directory, relative; links are names, not followed."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        folders[:] = [one for one in folders if one != "__pycache__"]
        links = [one for one in folders if os.path.islink(os.path.join(place, one))]
        for one in sorted([*names, *links]):
            yield os.path.relpath(os.path.join(place, one), folder)


def changes(folder: Path, manifest: Manifest) -> list[str]:
    """The files of a folder that differ from a manifest, are missing, or are more than it names."""
    found = set(listed(folder))
    differing = [one for one, wanted in manifest.files.items() if digest(folder / one) != wanted]
    return sorted({*differing, *(found - manifest.files.keys() - {MANIFEST})})


def behind_link(folder: Path, name: str) -> bool:
    """Whether the way from a folder to a file in it goes through a link, and so perhaps out of it."""
    return any((folder / one).is_symlink() for one in Path(name).parents if one.parts)


def digest(path: Path) -> str:
    """SHA-256 of a regular file that is no link, in hex; empty where there is none."""
    raw = read(path)
    return "" if raw is None else hashlib.sha256(raw).hexdigest()


def read(path: Path) -> bytes | None:
    """A small regular file that is no link; None where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        raw = file.read(MAX_FILE + 1)
    return raw if len(raw) <= MAX_FILE else None


def newer(one: str, other: str) -> bool:
    """Whether version `one` is later than `other`: by their numbers."""
    return _numbers(one) > _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
