"""Protocol section 2: paths and patterns. A path that is not well formed is refused, never mended."""

from __future__ import annotations

import re
from typing import Any

from .encoding import Refused

PART = r"[a-z0-9][a-z0-9._-]*"
PATH = re.compile(rf"{PART}(/{PART})*\Z")
ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
PATH_LIMIT = 200  # bytes


def check_path(path: Any) -> str:
    if not isinstance(path, str) or not PATH.match(path) or len(path) > PATH_LIMIT:
        raise Refused("path", "not a path")
    return path


def check_pattern(pattern: Any) -> str:
    """An exact path, `prefix/**` or `**`."""
    if pattern == "**":
        return "**"
    if isinstance(pattern, str) and pattern.endswith("/**"):
        check_path(pattern[:-3])
        return pattern
    return check_path(pattern)


def check_id(text: Any) -> str:
    if not isinstance(text, str) or not ID.match(text):
        raise Refused("field", "not an id")
    return text


def matches(pattern: str, path: str) -> bool:
    if pattern == "**":
        return True
    if pattern.endswith("/**"):
        return path.startswith(pattern[:-2])  # with the slash: `prefix/**` does not match `prefix` or `prefixed/x`
    return pattern == path


def rank(pattern: str) -> tuple[int, int]:
    """The exact path before the longest prefix before `**`."""
    if pattern == "**":
        return (0, 0)
    if pattern.endswith("/**"):
        return (1, len(pattern))
    return (2, 0)


def select(policies: list[dict[str, Any]], path: str) -> dict[str, Any]:
    """The policy with the longest match."""
    check_path(path)
    found = [
        (rank(pattern), at) for at, policy in enumerate(policies) for pattern in policy["match"] if matches(pattern, path)
    ]
    if not found:
        raise Refused("no-policy", "no policy matches this path")
    return policies[max(found)[1]]
