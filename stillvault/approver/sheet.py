"""The root key as the recovery kit has it on paper: its characters, or the whole sheet as its QR code and its file hold it.

Whoever reads it gets a key that a verified root names, or a refusal. What was mistyped is pointed at, by the group of six
characters that the sheet prints, and never repaired or repeated. Blanks and line ends between the characters are the paper's.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import msgspec

from stillvault.crypto.private import SigningKey
from stillvault.crypto.public import b64decode, b64encode
from stillvault.protocol.errors import Refused, Usage
from stillvault.protocol.objects import Root
from stillvault.protocol.text import plain
from stillvault.transport.home import Organisation

ALPHABET = string.ascii_letters + string.digits + "-_"
LENGTH = 43  # characters: 32 bytes
GROUP = 6  # characters, as the sheet prints them
AGAIN = "type it again from the sheet of the root key; mind 0 and O, 1, l and I, - and _"


class Sheet(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One sheet of the kit, as its QR code holds it."""

    org_id: str
    name: str
    relay: str
    fingerprint: str
    root_key: str = ""
    recovery_threshold: int = 0
    recovery_keys: list[dict[str, str]] = []

    def __repr__(self) -> str:
        return f"Sheet({self.name})"


def root_key(text: bytes, organisation: Organisation, root: Root) -> SigningKey:
    """The key in `text`, if `root` names it. Raises `Usage`: `root-key-sheet`, `root-key-text` or `root-key`."""
    # 1. A whole sheet is of this organisation, and the one with the root key.
    words = _of_sheet(text, organisation) if text.lstrip().startswith(b"{") else text.decode("ascii", "replace")
    # 2. It has the form of a key: 43 characters, of which the last carries four bits.
    typed = "".join(words.split())
    if strange := [at for at, char in enumerate(typed) if char not in ALPHABET]:
        raise _mistyped(f"group {strange[0] // GROUP + 1} holds a character that no key has")
    if len(typed) != LENGTH:
        raise _mistyped(f"it has {len(typed)} characters; a key has {LENGTH}")
    key = _key(typed)
    # 3. The newest root names it: this is the checksum that the paper needs no room for.
    named = {one.public for one in root.root.keys}
    if key is None or b64encode(key.public) not in named:
        at = wrong_group(typed, lambda other: (one := _key(other)) is not None and b64encode(one.public) in named)
        if at or key is None:
            raise _mistyped(f"one character of group {at or -(-LENGTH // GROUP)} is wrong")
        raise Usage("root-key", f"the root of {plain(organisation.name)} does not name this key",
                    "take the sheet of the root key, not of a recovery key, and of this organisation; or type it again: more "
                    "than one character differs", "--root-key-file")
    return key


def _of_sheet(text: bytes, organisation: Organisation) -> str:
    try:
        sheet = msgspec.json.decode(text, type=Sheet)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Usage("root-key-sheet", "this begins as a sheet of the recovery kit and is none", "scan its code again, or type "
                    "the key alone", "--root-key-file") from None
    if sheet.org_id != organisation.org_id:
        raise Usage("root-key-sheet", f"this sheet is of {plain(sheet.name)[:100]} ({plain(sheet.org_id)[:LENGTH]}), this home "
                    f"of {plain(organisation.name)} ({organisation.org_id})", "take the sheet of this organisation",
                    "--root-key-file")
    if not sheet.root_key:
        raise Usage("root-key-sheet", "this sheet holds a recovery key, not the root key", "take the sheet of the root key",
                    "--root-key-file")
    return sheet.root_key


def _mistyped(what: str) -> Usage:
    return Usage("root-key-text", f"this is not the root key as its sheet has it: {what}", AGAIN, "--root-key-file")


def _key(typed: str) -> SigningKey | None:
    """None where the last character carries bits that no key has."""
    try:
        return SigningKey.from_bytes("ed25519", b64decode(typed))
    except Refused:
        return None


def wrong_group(typed: str, fits: Callable[[str], bool]) -> int:
    """The group, from 1, in which another character would make a text that fits; 0 where more differ. 2,709 are tried."""
    for at, char in enumerate(typed):
        for other in ALPHABET:
            if other != char and fits(typed[:at] + other + typed[at + 1:]):
                return at // GROUP + 1
    return 0
