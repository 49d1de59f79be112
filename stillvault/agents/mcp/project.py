"""The references that a project names: in its `.env.stillvault`, in files that the human named, and in the server's environment.

Only what is a reference as a whole leaves a file; every other line, a plaintext credential among them, is passed over unread.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from stillvault.sdk.questions import FIELD, MAX_PATH, PATH, SCHEME

PROJECT_FILE = ".env.stillvault"
MAX_FILE = 256 * 1024  # bytes
LINE = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]{0,99})=[ \t]*"""
    r"""(?P<quote>["']?)(?P<value>sv://[^\s"'#]+(?:#[^\s"']+)?)(?P=quote)(?:[ \t]+#.*|[ \t]*)""")


class Named(NamedTuple):
    """A reference, the variables that stand for it, and where it was first found."""

    reference: str
    names: list[str]
    source: str


def references(files: Iterable[Path], environment: Mapping[str, str]) -> list[Named]:
    """Each reference once, in order of appearance."""
    found: dict[str, Named] = {}

    def add(name: str, value: str, source: str) -> None:
        if is_reference(value):
            names = found.setdefault(value, Named(value, [], source)).names
            if name not in names:
                names.append(name)

    for file in files:
        for line in _lines(file):
            if line_found := LINE.fullmatch(line):
                add(line_found["name"], line_found["value"], file.name if is_plain(file.name) else "file")
    for name, value in environment.items():
        if re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,99}", name):
            add(name, value, "environment")
    return list(found.values())


def is_reference(text: str) -> bool:
    """Whether it is `sv://PATH` or `sv://PATH#FIELD`, and nothing else."""
    path, mark, field = text.removeprefix(SCHEME).partition("#")
    good = text.startswith(SCHEME) and len(path) <= MAX_PATH and PATH.fullmatch(path)
    return bool(good and (not mark or FIELD.fullmatch(field)))


def is_plain(name: str) -> bool:
    """Whether the name of a file may be shown: names are others' words, too."""
    return bool(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name))


def without_references(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a command whose references are given apart."""
    return {name: value for name, value in environment.items() if not value.startswith(SCHEME)}


def _lines(file: Path) -> list[str]:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as opened:
            return opened.read(MAX_FILE).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
