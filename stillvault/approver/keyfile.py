"""Soft keys: a file of mode 0600, sealed under a passphrase with Argon2id and SecretBox (tier `soft`: laboratories and CI).

The cost of a guess is fixed here and written into the file; a file that names less or absurdly more is refused before any
work is done, so that a swapped file can neither weaken the next writing nor eat the machine. Without a passphrase the keys
stand in the clear, as safe as the account that owns the home; the file says so.
"""

from __future__ import annotations

import secrets

import msgspec
from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from stillvault.crypto.private import KemKey, SigningKey
from stillvault.crypto.public import b64decode, b64encode
from stillvault.protocol.errors import Refused, Usage

OPS = 3  # passes
MEMORY = 128 * 1024 * 1024  # bytes
MAX_OPS = 16
MAX_MEMORY = 1024 * 1024 * 1024  # bytes
SALT = pwhash.argon2id.SALTBYTES


class Sealed(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A key file: sealed (`salt`, `box`) or, without a passphrase, in the clear (`plain`)."""

    v: int
    kdf: str
    ops: int = 0
    memory: int = 0
    salt: str = ""
    box: str = ""
    plain: str = ""


class Secrets(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What a key file holds: secret halves by their use. `use` binds the file to its place."""

    use: str
    auth: str = ""
    auth_alg: str = "ed25519"
    kem: str = ""
    client: str = ""
    root: str = ""

    def __repr__(self) -> str:
        return f"Secrets({self.use})"


def lock(held: Secrets, passphrase: bytes | None) -> bytes:
    """The content of a key file."""
    raw = msgspec.json.encode(held)
    if passphrase is None:
        return msgspec.json.encode(Sealed(v=1, kdf="none", plain=b64encode(raw)))
    salt = secrets.token_bytes(SALT)
    box = SecretBox(_stretch(passphrase, salt, OPS, MEMORY)).encrypt(raw)
    sealed = Sealed(v=1, kdf="argon2id", ops=OPS, memory=MEMORY, salt=b64encode(salt), box=b64encode(bytes(box)))
    return msgspec.json.encode(sealed)


def is_locked(raw: bytes) -> bool:
    """Whether a passphrase is needed."""
    return _read(raw).kdf != "none"


def unlock(raw: bytes, use: str, passphrase: bytes | None) -> Secrets:
    """Opens a key file. Raises `Usage` (`passphrase`) when it does not open, `Refused` when its terms are out of bounds."""
    sealed = _read(raw)
    if sealed.kdf == "none":
        plain = b64decode(sealed.plain)
    else:
        # A17: floor and ceiling in code, not in the file.
        if sealed.kdf != "argon2id" or not OPS <= sealed.ops <= MAX_OPS or not MEMORY <= sealed.memory <= MAX_MEMORY:
            raise Refused("key-file", "the key file names a cost outside the allowed range", "restore it from a copy")
        salt = b64decode(sealed.salt)
        if len(salt) != SALT or passphrase is None:
            raise Refused("key-file", "the key file is damaged", "restore it from a copy")
        try:
            plain = SecretBox(_stretch(passphrase, salt, sealed.ops, sealed.memory)).decrypt(b64decode(sealed.box))
        except CryptoError:
            raise Usage("passphrase", "the passphrase does not open the key file", "try again") from None
    try:
        held = msgspec.json.decode(plain, type=Secrets)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused("key-file", "the key file is damaged", "restore it from a copy") from None
    if held.use != use:
        raise Refused("key-file", "the key file was made for another place", "restore the right one")
    return held


def signing_key(alg: str, secret: str) -> SigningKey:
    """A signing key out of an opened file."""
    return SigningKey.from_bytes(alg, b64decode(secret))


def kem_key(secret: str) -> KemKey:
    """A decryption key out of an opened file."""
    return KemKey.from_bytes(b64decode(secret))


def _stretch(passphrase: bytes, salt: bytes, ops: int, memory: int) -> bytes:
    return pwhash.argon2id.kdf(SecretBox.KEY_SIZE, passphrase, salt, opslimit=ops, memlimit=memory)


def _read(raw: bytes) -> Sealed:
    try:
        sealed = msgspec.json.decode(raw, type=Sealed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused("key-file", "the key file is damaged", "restore it from a copy") from None
    if sealed.v != 1:
        raise Refused("key-file", "the key file is of a newer version", "update Stillvault")
    return sealed
