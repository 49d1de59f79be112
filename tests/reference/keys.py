"""Protocol section 2: the three signature algorithms, and their keys.

`verify` looks at one signature under one rostered key. The algorithm that counts is the key's, never the message's.
Signing is deterministic (RFC 6979 for the curve P-256), so that vectors come out the same each time.
"""

from __future__ import annotations

import json
from typing import Any

import nacl.exceptions
import nacl.signing
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .encoding import Refused, b64, pae, sha256, unb64
from .encoding import oid as object_id

ALGORITHMS = ("ed25519", "es256", "webauthn-es256")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
SHA256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP = 0x01, 0x04, 0x08, 0x10  # WebAuthn 6.1
ATTESTED, EXTENDED = 0x40, 0x80  # more follows the 37 bytes


def check_public(alg: str, public: bytes) -> None:
    """32 bytes for Ed25519, an uncompressed point of the curve for the rest."""
    if alg == "ed25519":
        if len(public) != 32:
            raise Refused("field", "an Ed25519 key has 32 bytes")
        return
    if len(public) != 65 or public[0] != 4:
        raise Refused("field", "a P-256 key is an uncompressed point of 65 bytes")
    point(public, "field")


def point(public: bytes, code: str) -> ec.EllipticCurvePublicKey:
    """The point, or a refusal with `code` where it is not on the curve (an invalid-curve key leaks the other side's)."""
    if len(public) != 65 or public[0] != 4:
        raise Refused(code, "not an uncompressed point of 65 bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    except ValueError as error:
        raise Refused(code, "not a point of P-256") from error


def scalar(secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1())


def public_of(alg: str, secret: bytes) -> bytes:
    if alg == "ed25519":
        return bytes(nacl.signing.SigningKey(secret).verify_key)
    return scalar(secret).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def key_hint(public: bytes) -> str:
    return b64(sha256(public))


def verify(key: dict[str, Any], type_text: str, payload: bytes, signature: dict[str, Any], origins: list[str]) -> None:
    """One signature under one key of the roster."""
    if signature["alg"] != key["alg"]:
        raise Refused("alg", "not the algorithm of the rostered key")
    public = unb64(key["public"])
    if signature["key"] != key_hint(public):
        raise Refused("signature", "made for another key")
    if ("auth_data" in signature or "client_data" in signature) and key["alg"] != "webauthn-es256":
        raise Refused("field", "assertion data beside a plain signature")
    sig = unb64(signature["sig"])
    if key["alg"] == "ed25519":
        _verify_ed25519(public, pae(type_text, payload), sig)
    elif key["alg"] == "es256":
        _verify_es256(public, pae(type_text, payload), sig)
    else:
        _verify_webauthn(key, object_id(type_text, payload), signature, origins)


def _verify_ed25519(public: bytes, message: bytes, sig: bytes) -> None:
    if len(sig) != 64:
        raise Refused("signature", "an Ed25519 signature has 64 bytes")
    try:
        nacl.signing.VerifyKey(public).verify(message, sig)
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError) as error:
        raise Refused("signature") from error


def _verify_es256(public: bytes, message: bytes, sig: bytes) -> None:
    if len(sig) != 64:
        raise Refused("signature", "r and s have 32 bytes each")
    r, s = int.from_bytes(sig[:32]), int.from_bytes(sig[32:])
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise Refused("signature", "r or s out of range")
    _ecdsa(public, message, encode_dss_signature(r, s))


def _ecdsa(public: bytes, message: bytes, der: bytes) -> None:
    try:
        point(public, "signature").verify(der, message, SHA256)
    except (InvalidSignature, ValueError) as error:
        raise Refused("signature") from error


def _client_data(raw: bytes) -> dict[str, Any]:
    """What the browser says it signed. Its JSON is the browser's own form; a name that stands twice is refused here, for
    two readers might each take another one."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise Refused("client-data", "a name stands twice")
        return dict(pairs)

    def refuse(constant: str) -> Any:
        raise Refused("client-data", f"{constant} is not JSON")

    try:
        data = json.loads(raw.decode(), object_pairs_hook=once, parse_constant=refuse)
        _check_whole(data)
    except (ValueError, RecursionError) as error:
        raise Refused("client-data", "not JSON") from error
    if not isinstance(data, dict):
        raise Refused("client-data", "not an object")
    return data


def _check_whole(value: Any) -> None:
    """A lone surrogate is no text: one reader replaces it, another refuses it. Not even where nobody looks."""
    if isinstance(value, dict):
        for name, item in value.items():
            _check_whole(name)
            _check_whole(item)
    elif isinstance(value, list):
        for item in value:
            _check_whole(item)
    elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise Refused("client-data", "a lone surrogate")


def _verify_webauthn(key: dict[str, Any], challenge: bytes, signature: dict[str, Any], origins: list[str]) -> None:
    """WebAuthn Level 3, 7.2, as far as section 2 takes it over. The challenge is the object id."""
    if "auth_data" not in signature or "client_data" not in signature:
        raise Refused("field", "an assertion carries both")
    raw_client, auth = unb64(signature["client_data"]), unb64(signature["auth_data"])
    _ecdsa(unb64(key["public"]), auth + sha256(raw_client), unb64(signature["sig"]))
    client = _client_data(raw_client)
    if client.get("type") != "webauthn.get":
        raise Refused("client-data", "not an assertion")
    if client.get("challenge") != b64(challenge):
        raise Refused("challenge", "made for another object")
    if client.get("origin") not in origins:
        raise Refused("origin")
    if client.get("crossOrigin", False) is not False:
        raise Refused("cross-origin")
    flags = auth[32] if len(auth) >= 37 else 0
    if len(auth) < 37 or (len(auth) > 37 and not flags & (ATTESTED | EXTENDED)):
        raise Refused("client-data", "authenticator data of another length")
    if auth[:32] != sha256(key["rp_id"].encode()):
        raise Refused("rp-id")
    if not flags & USER_PRESENT or not flags & USER_VERIFIED:
        raise Refused("flags", "user present and verified, both")
    if bool(flags & BACKUP_ELIGIBLE) != key["backup"]:
        raise Refused("backup", "not as enrolled")
    if flags & BACKED_UP and not flags & BACKUP_ELIGIBLE:
        raise Refused("backup", "backed up though it cannot be")


def sign(alg: str, secret: bytes, type_text: str, payload: bytes) -> dict[str, Any]:
    """The entry of `signatures` for a plain key."""
    message = pae(type_text, payload)
    if alg == "ed25519":
        sig = nacl.signing.SigningKey(secret).sign(message).signature
    else:
        r, s = decode_dss_signature(scalar(secret).sign(message, SHA256))
        sig = r.to_bytes(32) + s.to_bytes(32)
    return {"alg": alg, "key": key_hint(public_of(alg, secret)), "sig": b64(sig)}


def assert_webauthn(
    secret: bytes, type_text: str, payload: bytes, *, rp_id: str, origin: str, backup: bool, **changes: Any
) -> dict[str, Any]:
    """The entry that a passkey gives. `changes` spoil one part each: `flags`, `auth`, `raw` (the bytes of the client data),
    or any field of the client data."""
    flags = changes.pop("flags", USER_PRESENT | USER_VERIFIED | (BACKUP_ELIGIBLE if backup else 0))
    data = {"type": "webauthn.get", "challenge": b64(object_id(type_text, payload)), "origin": origin, "crossOrigin": False}
    auth = changes.pop("auth", sha256(rp_id.encode()) + bytes([flags]) + bytes(4))
    raw = changes.pop("raw", None)
    fields = {name: item for name, item in {**data, **changes}.items() if item is not None}
    raw_client = json.dumps(fields).encode() if raw is None else raw
    return {
        "alg": "webauthn-es256",
        "key": key_hint(public_of("es256", secret)),
        "sig": b64(scalar(secret).sign(auth + sha256(raw_client), SHA256)),
        "auth_data": b64(auth),
        "client_data": b64(raw_client),
    }
