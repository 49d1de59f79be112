"""The root key's sheet: what is taken, and which slip of a hand is named. No message repeats what was typed."""

from __future__ import annotations

import json

import pytest

from stillvault.approver.sheet import root_key
from stillvault.crypto.private import KemKey, SigningKey
from stillvault.crypto.public import b64encode
from stillvault.protocol.errors import Usage
from stillvault.protocol.objects import Key, Log, Root, Signers
from stillvault.transport.home import Organisation

SIGNER = SigningKey.from_bytes("ed25519", bytes(range(32)))
KEY = b64encode(SIGNER.secret_bytes())
QUORUM = Signers(keys=[Key(alg="ed25519", public=b64encode(SIGNER.public))], threshold=1)
ROOT = Root(name="Example", version=1, root=QUORUM, admin=QUORUM, log=Log(origin="localhost/log", public="A" * 43),
            rp_id="localhost", origins=["https://localhost"], issued=1, expires=2)
HOME = Organisation(org_id="B" * 43, relay="https://localhost", fingerprint="SHA256:" + "C" * 43, name="Example")
SHEET = {"fingerprint": HOME.fingerprint, "name": "Example", "org_id": HOME.org_id, "relay": HOME.relay, "root_key": KEY}


def with_char(at: int, *chars: str) -> str:
    """The key with another character in that place."""
    return KEY[:at] + next(one for one in chars if one != KEY[at]) + KEY[at + 1:]


@pytest.mark.parametrize("text", [
    KEY, f"  {KEY}\r\n", "\n".join(KEY[at:at + 6] for at in range(0, 43, 6)), json.dumps(SHEET), json.dumps(SHEET, indent=2),
])
def test_the_key_and_its_sheet_are_taken(text: str) -> None:
    assert root_key(text.encode(), HOME, ROOT).public == SIGNER.public


@pytest.mark.parametrize(("text", "code", "says"), [
    *((with_char(at, "A", "B"), "root-key-text", f"one character of group {at // 6 + 1} is wrong") for at in range(43)),
    (with_char(42, "_", "9"), "root-key-text", "group 8"),  # it carries bits that no key has
    (KEY[:42], "root-key-text", "42 characters"),
    (KEY + "A", "root-key-text", "44 characters"),
    ("", "root-key-text", "0 characters"),
    (with_char(6, "*"), "root-key-text", "group 2 holds"),
    (with_char(6, "\N{CYRILLIC SMALL LETTER A}"), "root-key-text", "group 2 holds"),
    (KEY[:2] + KEY[3] + KEY[2] + KEY[4:], "root-key", "does not name"),
    ("A" * 43, "root-key", "does not name"),
    (b64encode(KemKey.from_bytes(bytes(range(1, 33))).secret_bytes()), "root-key", "does not name"),
    ("{", "root-key-sheet", "is none"),
    (json.dumps({**SHEET, "more": 1}), "root-key-sheet", "is none"),
    (json.dumps({**SHEET, "root_key": 5}), "root-key-sheet", "is none"),
    (json.dumps({**SHEET, "org_id": "A" * 43, "name": "Other\x1b[2J"}), "root-key-sheet", "of Other"),
    (json.dumps({**SHEET, "root_key": "", "recovery_threshold": 2, "recovery_keys": [{"id": "recovery-1", "secret": KEY}]}),
     "root-key-sheet", "a recovery key"),
    (json.dumps({**SHEET, "root_key": KEY[:42]}), "root-key-text", "42 characters"),
])
def test_what_is_not_the_key_is_refused(text: str, code: str, says: str) -> None:
    with pytest.raises(Usage) as caught:
        root_key(text.encode(), HOME, ROOT)
    error = caught.value
    assert (error.code, error.field) == (code, "--root-key-file")
    assert says in error.message
    said = f"{error} {error.remedy}"
    assert "\x1b" not in said
    assert not any(KEY[at:at + 6] in said for at in range(38))


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(Usage, match="root-key-text"):
        root_key(b"\xff\x00" + KEY.encode(), HOME, ROOT)
    with pytest.raises(Usage, match="root-key-sheet"):
        root_key(b'{"name": "\xff"}', HOME, ROOT)
