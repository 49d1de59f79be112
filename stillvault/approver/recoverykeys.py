"""Recovery keys as the recovery kit has them on paper: the characters of one, a whole sheet as its QR code and its file hold it,
or a part of the kit as the terminal printed it.

What is read is in the form of a key, or refused by the place it came from; whether a secret names it is seen when it is opened.
A sheet names its organisation, which is what the secrets are verified under. Nothing is repaired and no character is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from stillvault.approver.sheet import ALPHABET, GROUP, LENGTH, Sheet, wrong_group
from stillvault.crypto.private import KemKey
from stillvault.crypto.public import b64decode, b64encode
from stillvault.protocol.errors import Refused, Usage

PRINTED = re.compile(r"^(org id|recovery-[0-9]{1,3}|root key) +([A-Za-z0-9_-]+)\r?$", re.M)
AGAIN = "read it again from its sheet; mind 0 and O, 1, l and I, - and _"


@dataclass(frozen=True)
class RecoveryKey:
    """A key, where it came from, and the organisation that its sheet names (empty where it stands alone)."""

    key: KemKey
    where: str
    org: str


def read(text: bytes, where: str) -> list[RecoveryKey]:
    """The keys in `text`, at least one. Raises `Usage`: `recovery-sheet` or `recovery-key`."""
    words = text.decode("ascii", "replace")
    found = [RecoveryKey(_key(typed, where), where, org) for typed, org in _typed(words, where)]
    if not found:
        raise Usage("recovery-sheet", f"{where} holds no recovery key; the root key opens no secret",
                    "take the sheets of the recovery keys", "--sheet")
    return found


def why_unknown(one: RecoveryKey, named: set[str]) -> str:
    """Why a key is not among those `named` by their public halves: a character that was mistyped is pointed at by its group."""
    group = wrong_group(b64encode(one.key.secret_bytes()), lambda other: _public(other) in named)
    return f"{one.where}: one character of group {group} is wrong" if group else f"{one.where} is no recovery key of this"


def _public(typed: str) -> str:
    """Empty where the characters make no key."""
    try:
        return b64encode(KemKey.from_bytes(b64decode(typed)).public)
    except Refused:
        return ""


def _typed(words: str, where: str) -> Iterator[tuple[str, str]]:
    """Each key's characters and its organisation."""
    if words.lstrip().startswith("{"):
        for line in filter(None, map(str.strip, words.splitlines())):
            sheet = _sheet(line, where)
            yield from ((one.get("secret", ""), sheet.org_id) for one in sheet.recovery_keys)
    elif printed := PRINTED.findall(words):
        orgs = {text for name, text in printed if name == "org id"}
        if len(orgs) > 1:
            raise Usage("recovery-sheet", f"{where} holds sheets of several organisations", "give those of one", "--sheet")
        yield from ((text, "".join(orgs)) for name, text in printed if name.startswith("recovery-"))
    else:
        yield "".join(words.split()), ""


def _sheet(line: str, where: str) -> Sheet:
    try:
        return msgspec.json.decode(line, type=Sheet)
    except msgspec.DecodeError:
        raise Usage("recovery-sheet", f"{where} begins as a sheet of the recovery kit and is none",
                    "scan its code again, or type the key alone", "--sheet") from None


def _key(typed: str, where: str) -> KemKey:
    if strange := [at for at, char in enumerate(typed) if char not in ALPHABET]:
        raise _mistyped(where, f"group {strange[0] // GROUP + 1} holds a character that no key has")
    if len(typed) != LENGTH:
        raise _mistyped(where, f"it has {len(typed)} characters; a key has {LENGTH}")
    try:
        return KemKey.from_bytes(b64decode(typed))
    except Refused:
        raise _mistyped(where, "these characters make no key") from None


def _mistyped(where: str, what: str) -> Usage:
    return Usage("recovery-key", f"{where} is no recovery key as its sheet has it: {what}", AGAIN, "--sheet")
