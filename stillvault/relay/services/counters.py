"""Signature counters of passkeys that live in one authenticator: a number that was passed already means a second authenticator.

An alarm in the log, and no refusal: whoever has the copy may sign first, and then it is the owner's number that is behind. A
synced passkey is meant to be on several authenticators; it, and one that counts nothing, tell nothing here.  # D6
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stillvault.crypto.public import b64decode
from stillvault.relay.store import trust as store
from stillvault.relay.store.transaction import Transaction

BACK = "counter-back"  # the outcome of the row
FLAGS, COUNTER = 32, slice(33, 37)  # in authenticator data, behind the hash of the RP id
BACKUP_ELIGIBLE = 0x08


class _Signature(msgspec.Struct):
    key: str
    auth_data: str = ""


class _Signed(msgspec.Struct):
    signatures: list[_Signature]


def watch(tx: Transaction, signed: bytes) -> str:
    """Keeps the highest number of each passkey that signed a verified object; `BACK` where it had been reached before, else "".

    Call it once for an object: one that is sent again has the number that was kept.
    """
    back = ""
    for name, number in _numbers(signed):
        highest = int(store.fact(tx.connection, name) or 0)
        if number > highest:
            store.set_fact(tx.connection, name, str(number))
        elif highest:
            back = BACK
            tx.mark(BACK)
    return back


def _numbers(signed: bytes) -> Iterator[tuple[str, int]]:
    for signature in msgspec.json.decode(signed, type=_Signed).signatures:
        data = b64decode(signature.auth_data) if signature.auth_data else b""
        if data and not data[FLAGS] & BACKUP_ELIGIBLE:
            yield f"counter {signature.key}", int.from_bytes(data[COUNTER], "big")
