"""Keys of a person's device: kept wrapped under its passkeys, and handed from a passkey that has one to the next (protocol 11).

All of it is ciphertext of the devices' own making. What the relay may check is the form, whose it is, and how much.
"""

from __future__ import annotations

import msgspec

from stillvault.crypto import public
from stillvault.protocol import messages
from stillvault.protocol.errors import Refused
from stillvault.relay.context import Call
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import enrolment
from stillvault.relay.services.sign_in import oid
from stillvault.relay.store import invites, wrapped
from stillvault.relay.store.transaction import Transaction
from stillvault.relay.store.wrapped import StoredKey

LONGEST_CREDENTIAL = 1023  # bytes (WebAuthn)
POINT = 65  # bytes of a P-256 key
BLOBS = range(28 + 32, 1025)  # bytes: nonce and tag around a key, up to a generous PKCS#8
MOST_CREDENTIALS = 16  # of one device
SEALED_SCALAR = 32 + 16  # bytes: the key itself and the tag


async def keep(call: Call, body: messages.WrappedKey) -> None:
    """Stores a wrapped key of the session's own device.

    1. a credential id, a P-256 key, a blob of a wrapped key's length
    2. its own KEM key, where it is one; of one of its passkeys, where it has some
    3. at most so many credentials; a copy that is here stays: a session alone, without the passkey, cannot destroy a key
    """
    # 1.
    _bytes(body.credential, range(1, LONGEST_CREDENTIAL + 1), "credential")
    _bytes(body.public, range(POINT, POINT + 1), "public")
    _bytes(body.blob, BLOBS, "blob")
    # 2.
    standing = call.relay.organisation.standing
    device = standing.device(call.who.person, call.who.device, call.now) if standing else None
    if body.kind == "kem" and (device is None or device.kem.public != body.public):
        raise ProblemError("body-form", "it is not the KEM key of this device on the roster", "public")
    passkeys = [key.credential for key in device.auth if key.credential is not msgspec.UNSET] if device else []
    if passkeys and body.credential not in passkeys:
        raise ProblemError("body-form", "it is no passkey of this device on the roster", "credential")
    who, key = call.who, StoredKey(body.credential, body.kind, body.public, body.blob, call.now)

    def change(tx: Transaction) -> None:
        # 3.
        found = wrapped.of_device(tx.connection, who.person, who.device)
        same = [one for one in found if (one.credential, one.kind) == (key.credential, key.kind)]
        if same and (same[0].public, same[0].blob) != (key.public, key.blob):
            raise ProblemError("conflict", "there is a copy of this key already", "blob")
        known = {one.credential for one in found}
        if body.credential not in known and len(known) >= MOST_CREDENTIALS:
            raise ProblemError("conflict", f"a device has at most {MOST_CREDENTIALS} passkeys", "credential")
        wrapped.put(tx.connection, who.person, who.device, key)

    await call.relay.writer.write(change)


def kept(call: Call) -> messages.WrappedKeys:
    found = wrapped.of_device(call.relay.reader, call.who.person, call.who.device)
    kinds = {"kem": "kem", "client": "client"}
    return messages.WrappedKeys(
        [messages.WrappedKey(one.credential, kinds[one.kind], one.public, one.blob) for one in found]  # type: ignore[arg-type]
    )


async def transfer(call: Call, body: messages.Challenge) -> None:
    """The device's key on its way to another passkey of the same device, sealed to the key of that enrolment.

    1. a sealed 32-byte scalar, by its lengths
    2. the invite is for one more passkey of exactly this session's device, and somebody joined by it
    """
    # 1.
    _bytes(body.enc, range(POINT, POINT + 1), "enc")
    _bytes(body.ct, range(SEALED_SCALAR, SEALED_SCALAR + 1), "ct")
    which, who = oid(call.parameters["invite"]), call.who

    def change(tx: Transaction) -> None:
        # 2.
        found = invites.by_invite(tx.connection, which)
        if found is None or not found.device or (found.subject, found.device) != (who.person, who.device):
            raise ProblemError("unknown")
        if not invites.transfer(tx.connection, which, call.now, body.enc, body.ct):
            raise ProblemError("enrolment")
        enrol, outcome = found.enrol_oid or b"", "transferred a key"
        tx.leaf("enrolled", who.person, call.now, oid=enrol, people=who.person, device=who.device, outcome=outcome)
        tx.wake(enrolment.topic(which))
        standing = call.relay.organisation.standing
        for admin in standing.admins() if standing else ():
            tx.event(f"person/{admin}", "enrol", call.now, oid=enrol)

    await call.relay.writer.write(change)


def _bytes(text: str, lengths: range, field: str) -> None:
    try:
        size = len(public.b64decode(text))
    except Refused:
        size = -1
    if size not in lengths:
        raise ProblemError("body-form", f"{lengths.start} to {lengths.stop - 1} bytes in base64url", field)
