"""Signature counters of passkeys that live in one authenticator: a number that was passed already means a second authenticator.

An alarm in the log, and no refusal: whoever has the copy may sign first, and then it is the owner's number that is behind. A
synced passkey is meant to be on several authenticators; it, and one that counts nothing, tell nothing here.  # D6
"""

from __future__ import annotations

from stillvault.crypto.public import b64decode
from stillvault.relay.services.verified import signature
from stillvault.relay.store import trust as store
from stillvault.relay.store.transaction import Transaction

BACK = "counter-back"  # the outcome of the row
FLAGS, COUNTER = 32, slice(33, 37)  # in authenticator data, behind the hash of the RP id
BACKUP_ELIGIBLE = 0x08


def watch(tx: Transaction, signed: bytes) -> str:
    """Keeps the highest number of the passkey that signed a verified object; `BACK` where it had been reached before, else "".

    Call it once for an object: one that is sent again has the number that was kept.
    """
    made = signature(signed)
    data = b64decode(made.auth_data) if made.auth_data else b""
    if not data or data[FLAGS] & BACKUP_ELIGIBLE:
        return ""
    name, number = f"counter {made.key}", int.from_bytes(data[COUNTER], "big")
    highest = int(store.fact(tx.connection, name) or 0)
    if number > highest:
        store.set_fact(tx.connection, name, str(number))
    elif highest:
        tx.mark(BACK)
        return BACK
    return ""
