"""Signs as minisign does, with a secret key that minisign made: for building a bundle where minisign is not installed.

What it writes is held against the real minisign, and the other way round, in tests/appliance/test_airgap.py. Verification is
verify.py, which needs nothing but Python.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from nacl.pwhash import scrypt
from nacl.signing import SigningKey

LENGTH = 158  # bytes: algorithms 6, salt 32, limits 16, then what a password hides: key id 8, key 64, checksum 32
HIDDEN = slice(54, LENGTH)


class BadKey(Exception):
    """The secret key cannot be read: what is wrong."""


@dataclass(frozen=True, repr=False)
class SecretKey:
    """An opened secret key."""

    id: bytes
    signing: SigningKey

    @property
    def public(self) -> str:
        """The line that others verify with."""
        return base64.b64encode(b"Ed" + self.id + bytes(self.signing.verify_key)).decode()


def is_locked(path: Path) -> bool:
    """Whether the file needs a password."""
    return _raw(path)[2:4] == b"Sc"


def open_key(path: Path, password: bytes) -> SecretKey:
    """Raises `BadKey` for a file that is none, and for a wrong password."""
    raw = _raw(path)
    algorithm, derivation, checksum = raw[:2], raw[2:4], raw[4:6]
    if (algorithm, checksum) != (b"Ed", b"B2") or derivation not in (b"Sc", b"\0\0"):
        raise BadKey(f"{path} is a secret key of a form that is not known here")
    hidden = raw[HIDDEN]
    if derivation == b"Sc":
        operations, memory = (int.from_bytes(raw[start : start + 8], "little") for start in (38, 46))
        stream = scrypt.kdf(len(hidden), password, raw[6:38], opslimit=operations, memlimit=memory)
        hidden = bytes(one ^ other for one, other in zip(hidden, stream, strict=True))
    key_id, seed, public, check = hidden[:8], hidden[8:40], hidden[40:72], hidden[72:]
    signing = SigningKey(seed)
    # Where no password hides the key, minisign leaves the checksum empty.
    wanted = hashlib.blake2b(algorithm + hidden[:72], digest_size=32).digest() if derivation == b"Sc" else bytes(32)
    if check != wanted or bytes(signing.verify_key) != public:
        raise BadKey(f"{path}: the password is wrong, or the file is damaged")
    return SecretKey(key_id, signing)


def sign(key: SecretKey, message: bytes, comment: str) -> str:
    """The text of a .minisig: hashed, as minisign signs since 0.10. `comment` is one line, and signed with it."""
    if "\n" in comment or "\r" in comment:
        raise ValueError("a comment is one line")
    signature = key.signing.sign(hashlib.blake2b(message).digest()).signature
    both = key.signing.sign(signature + comment.encode()).signature
    first = ("untrusted comment: signature of a Stillvault bundle", _line(b"ED" + key.id + signature))
    return "\n".join((*first, f"trusted comment: {comment}", _line(both), ""))


def _line(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _raw(path: Path) -> bytes:
    lines = [line for line in os.fsdecode(path.read_bytes()).splitlines() if not line.startswith("untrusted comment:")]
    try:
        raw = base64.b64decode(lines[0], validate=True) if len(lines) == 1 else b""
    except ValueError:
        raw = b""
    if len(raw) != LENGTH:
        raise BadKey(f"{path} is not a secret key of minisign")
    return raw
