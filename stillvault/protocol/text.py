"""Text that came from elsewhere, on its way to a terminal or a log (protocol section 2, X2, X3).

Signed strings cannot hold a hidden character: their receiver refuses them. Everything else (a relay's error text, a file
name, an argument) passes through `plain` before it is printed, which leaves no control, bidi, invisible or surrogate
character. The set is the protocol's, fixed, so that Unicode versions cannot disagree.
"""

from __future__ import annotations

import re

HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
WRITTEN_OUT = re.compile(r"\\u\{[0-9a-f]{1,6}\}")
LONGEST = 10  # characters of one that is written out


def plain(text: str) -> str:
    """The text with every hidden character written out as `\\u{202e}`. Backslashes stay: this is for display alone."""
    return escaped(text, keep="")


def visible(text: str) -> str:
    """Text of ours for a signed object (section 2): the set and the backslash written out, so that a receiver takes it."""
    return plain(text.replace("\\", "\\u{5c}"))


def escaped(text: str, *, keep: str) -> str:
    """`plain`, but for the characters of `keep`."""
    return HIDDEN.sub(lambda found: found[0] if found[0] in keep else f"\\u{{{ord(found[0]):x}}}", text)


def whole(text: str, at: int) -> int:
    """The place at or before `at` where text that is written out can be cut: never inside of a `\\u{202e}`."""
    for found in WRITTEN_OUT.finditer(text, max(0, at - LONGEST), at + LONGEST):
        if found.start() < at < found.end():
            return found.start()
    return at
