"""Protocol section 11: what an invite, a joiner and an admin compute."""

from __future__ import annotations

from typing import Any

from . import signed
from .encoding import Refused, b64, domain, sha256, unb64
from .hpke import hkdf

PROOF_INFO = domain("enrol", "proof")
WORDS = 5
BITS = 11  # of a BIP-39 word


def invite_of(nonce: bytes) -> str:
    return b64(sha256(domain("enrol", "id", b64(nonce))))


def bearer_of(pin: str, nonce: bytes) -> str:
    return b64(hkdf(nonce, unb64(pin), domain("enrol", "bearer")))


def words_of(oid: bytes, nonce: bytes) -> list[int]:
    """The indices of the five words: the first 55 bits."""
    digest = int.from_bytes(sha256(domain("enrol", "words", b64(oid), b64(nonce)))) >> (256 - WORDS * BITS)
    return [digest >> (BITS * at) & (1 << BITS) - 1 for at in reversed(range(WORDS))]


def check_enrol(pin: str, origins: list[str], nonce: bytes, wrapper: Any) -> dict[str, Any]:
    """Form, algorithms, signature by its own `auth`, organisation, invite. No dates: the invite's time limit is the
    relay's."""
    if len(nonce) != 32:
        raise Refused("field", "the nonce has 32 bytes")
    own = signed.peek("enrol", wrapper)["auth"]
    enrol, oid = signed.verify("enrol", wrapper, [own], origins)
    if enrol["org"] != pin:
        raise Refused("org")
    if enrol["invite"] != invite_of(nonce):
        raise Refused("invite", "made for another invite")
    if "kem" not in enrol and enrol["auth"]["alg"] == "webauthn-es256":  # a client joins, and `auth` becomes its key
        raise Refused("alg", "a client's key signs without a person")
    return {
        "oid": b64(oid),
        "invite": enrol["invite"],
        "bearer": bearer_of(pin, nonce),
        "words": words_of(oid, nonce),
        "proof_info": b64(PROOF_INFO),
    }
