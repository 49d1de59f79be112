"""RFC 9180, base mode, single shot, empty aad: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Protocol section 3.

Written out here, and not taken from `cryptography`, because a vector needs a sealing whose ephemeral key is given. The two
are compared in tests/conformance.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .encoding import Refused
from .keys import ORDER, point, public_of, scalar

KEM_ID, KDF_ID, AEAD_ID = 0x0010, 0x0001, 0x0002
KEM_SUITE = b"KEM" + KEM_ID.to_bytes(2)
SUITE = b"HPKE" + KEM_ID.to_bytes(2) + KDF_ID.to_bytes(2) + AEAD_ID.to_bytes(2)
SEALED = 32  # bytes; nothing else is ever sealed


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int = 32) -> bytes:
    return expand(hmac.digest(salt, secret, hashlib.sha256), info, length)


def expand(key: bytes, info: bytes, length: int) -> bytes:
    out, block = b"", b""
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256)
        out += block
    return out[:length]


def _extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + secret, hashlib.sha256)


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(key, length.to_bytes(2) + b"HPKE-v1" + suite + label + info, length)


def _aead(shared: bytes, enc: bytes, recipient: bytes, info: bytes) -> tuple[AESGCM, bytes]:
    """ExtractAndExpand of the KEM (4.1), then the key schedule (5.1) in base mode."""
    eae = _extract(KEM_SUITE, b"", b"eae_prk", shared)
    secret = _expand(KEM_SUITE, eae, b"shared_secret", enc + recipient, 32)
    context = b"\x00" + _extract(SUITE, b"", b"psk_id_hash", b"") + _extract(SUITE, b"", b"info_hash", info)
    key_secret = _extract(SUITE, secret, b"secret", b"")
    key = _expand(SUITE, key_secret, b"key", context, 32)
    return AESGCM(key), _expand(SUITE, key_secret, b"base_nonce", context, 12)


def seal(public: bytes, info: bytes, plaintext: bytes, ephemeral: bytes) -> tuple[bytes, bytes]:
    """(enc, ct). `ephemeral` is the sender's secret scalar and must be fresh in any use but a vector."""
    enc = public_of("es256", ephemeral)
    aead, nonce = _aead(scalar(ephemeral).exchange(ec.ECDH(), point(public, "field")), enc, public, info)
    return enc, aead.encrypt(nonce, plaintext, None)


def open_sealed(secret: bytes, info: bytes, enc: bytes, ct: bytes, code: str) -> bytes:
    """The 32 bytes, or a refusal with `code`. Lengths are looked at before anything is opened."""
    if len(enc) != 65 or len(ct) != SEALED + 16:
        raise Refused(code, "not the lengths of the suite")
    if len(secret) != 32 or not 0 < int.from_bytes(secret) < ORDER:
        raise Refused(code, "not a secret key")
    shared = scalar(secret).exchange(ec.ECDH(), point(enc, code))
    aead, nonce = _aead(shared, enc, public_of("es256", secret), info)
    try:
        return aead.decrypt(nonce, ct, None)
    except InvalidTag as error:
        raise Refused(code) from error
