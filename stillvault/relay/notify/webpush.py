"""Web Push: RFC 8291 (encryption for one browser), RFC 8188 (its coding aes128gcm), RFC 8292 (VAPID: who sends).

The browser vendor's push host carries the message and cannot read it. It learns the relay's public name, when, and how often.
ADR 8 says why this is here and no library.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from stillvault.relay.settings import BadSetting

RECORD = 4096  # RFC 8291, section 4: the one record's size
TOKEN_SECONDS = 12 * 3600  # RFC 8292, section 2: no more than 24 hours


def encrypt(p256dh: bytes, auth: bytes, plaintext: bytes, sender: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """The body of a push: header, then one record (RFC 8291, section 3.4; RFC 8188, section 2)."""
    receiver = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    mine = public_bytes(sender)
    shared = sender.exchange(ec.ECDH(), receiver)
    ikm = _hkdf(auth, shared, b"WebPush: info\x00" + p256dh + mine, 32)
    key = _hkdf(salt, ikm, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _hkdf(salt, ikm, b"Content-Encoding: nonce\x00", 12)
    record = AESGCM(key).encrypt(nonce, plaintext + b"\x02", None)
    return salt + RECORD.to_bytes(4, "big") + bytes([len(mine)]) + mine + record


def _hkdf(salt: bytes, ikm: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 for no more than one block."""
    return hmac.digest(hmac.digest(salt, ikm, "sha256"), info + b"\x01", "sha256")[:length]


def public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def check_keys(p256dh: bytes, auth: bytes) -> bool:
    """Whether a subscription's keys are of their form."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    except ValueError:
        return False
    return len(p256dh) == 65 and len(auth) == 16


class Vapid:
    """The relay's key for push hosts. `repr` hides it."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, subject: str) -> None:
        self._key, self._subject = key, subject
        self.public = public_bytes(key)

    def authorization(self, audience: str, now: int) -> str:
        """The Authorization header for the push host `audience` (an origin)."""
        claims = {"aud": audience, "exp": now + TOKEN_SECONDS, "sub": self._subject}
        parts = [_b64(json.dumps(part, separators=(",", ":")).encode()) for part in ({"typ": "JWT", "alg": "ES256"}, claims)]
        signed = ".".join(parts)
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        token = f"{signed}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
        return f"vapid t={token}, k={_b64(self.public)}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def load_or_make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key from a file of mode 0600; a fresh one at first start. Losing it means that browsers subscribe anew."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        try:
            return ec.derive_private_key(int.from_bytes(_exactly(path.read_bytes()), "big"), ec.SECP256R1())
        except ValueError:
            raise BadSetting(str(path), "push key", "it is not a key of 32 bytes", "Restore it from a backup.") from None
    key = ec.generate_private_key(ec.SECP256R1())
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_numbers().private_value.to_bytes(32, "big"))
        file.flush()
        os.fsync(descriptor)
    return key


def _exactly(raw: bytes) -> bytes:
    if len(raw) != 32:
        raise ValueError("length")
    return raw
