"""The files that a word of a shell line may name: `{a,b}` written out, `*`, `?` and `[..]` held against the names that are there.

As far as a hook needs it that is a seat belt: patterns in folders are not followed, and where a folder cannot be read, a pattern
stands for the names that files of variables usually have.
"""

from __future__ import annotations

import fnmatch
import itertools
import os
import re
from collections.abc import Iterator

MAX_WORD = 4096  # bytes, as a path
MAX_WORDS = 64  # that one with braces becomes
MAX_NAMES = 5000  # of a folder
USUAL = (".env", ".env.local", ".env.production", ".env.development", "prod.env", "local.env", ".envrc")
PATTERN = re.compile(r"[*?\[]")
BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")


def named(word: str, folder: str) -> Iterator[str]:
    """The paths that a word may stand for, itself where it is no pattern."""
    for one in itertools.islice(_written_out(word), MAX_WORDS):
        above, _, pattern = one.rpartition("/")
        if not PATTERN.search(pattern) or len(one) > MAX_WORD:
            yield one
            continue
        for name in _matching(pattern, os.path.join(folder, os.path.expanduser(above))):
            yield os.path.join(above, name) if above else name


def _written_out(word: str) -> Iterator[str]:
    waiting = [word]
    for _ in range(MAX_WORDS * 4):
        if not waiting:
            return
        one = waiting.pop()
        found = BRACES.search(one) if len(one) <= MAX_WORD else None
        if found is None:
            yield one
        else:
            parts = found[1].split(",")[:MAX_WORDS]
            waiting += [one[: found.start()] + part + one[found.end() :] for part in reversed(parts)]


def _matching(pattern: str, folder: str) -> list[str]:
    """The names in a folder that a pattern matches; one that begins with a dot only where the pattern does."""
    try:
        with os.scandir(folder) as listed:
            names = [one.name for one in itertools.islice(listed, MAX_NAMES)]
    except (OSError, ValueError):
        names = list(USUAL) if re.search(r"[.env]", pattern) else []
    pattern = pattern.replace("[^", "[!")  # as bash takes it
    return [name for name in names if fnmatch.fnmatchcase(name, pattern) and (name[0] != "." or pattern[0] == ".")]
