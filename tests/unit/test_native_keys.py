"""Private keys as Python objects: they sign, they open, they show nothing."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from stillvault.crypto.private import KemKey, SigningKey, Value, add_signature, kem_seal, memory_kind
from stillvault.crypto.public import b64encode, encode, oid_of, proof_info
from stillvault.protocol.errors import Refused

LOGIN = encode({"org": b64encode(bytes(32)), "origin": "https://localhost", "nonce": b64encode(bytes(32)), "issued": 1})


@pytest.mark.parametrize(("alg", "length"), [("ed25519", 32), ("es256", 65)])
def test_signing_keys(alg: str, length: int) -> None:
    key = SigningKey.generate(alg)
    again = SigningKey.from_bytes(alg, key.secret_bytes())
    assert (key.alg, len(key.public)) == (alg, length)
    assert again.public == key.public != SigningKey.generate(alg).public
    signed = key.sign("login", LOGIN)
    assert json.loads(signed)["signatures"][0]["alg"] == alg
    assert oid_of(signed) == oid_of(again.sign("login", LOGIN))


def test_a_key_signs_nothing_that_is_not_an_object_of_the_protocol() -> None:
    key = SigningKey.generate("ed25519")
    for name, payload in (("login", encode({"org": "x"})), ("login", LOGIN + b" "), ("nonsense", LOGIN)):
        with pytest.raises(Refused):
            key.sign(name, payload)


@pytest.mark.parametrize(
    ("alg", "secret"), [("rsa", bytes(32)), ("ed25519", b"short"), ("es256", bytes(32)), ("es256", b"\xff" * 32)]
)
def test_no_key_of_other_bytes(alg: str, secret: bytes) -> None:
    with pytest.raises(Refused):
        SigningKey.from_bytes(alg, secret)


def test_a_threshold_collects_signatures() -> None:
    signed = SigningKey.generate("ed25519").sign("login", LOGIN)
    both = add_signature("login", signed, SigningKey.generate("es256"))
    assert [one["alg"] for one in json.loads(both)["signatures"]] in (["ed25519", "es256"], ["es256", "ed25519"])
    assert oid_of(both) == oid_of(signed)


def test_kem_keys() -> None:
    key = KemKey.generate()
    assert KemKey.from_bytes(key.secret_bytes()).public == key.public
    challenge = bytes(range(32))
    enc, ct = kem_seal(key.public, proof_info(), challenge)
    assert key.open(proof_info(), enc, ct) == challenge
    for broken in (
        (b"other", enc, ct),
        (proof_info(), enc, ct[:-1]),
        (proof_info(), bytes(65), ct),
        (proof_info(), enc, bytes(48)),
    ):
        with pytest.raises(Refused, match="open"):
            key.open(*broken)
    with pytest.raises(Refused):
        kem_seal(key.public, b"", b"not 32 bytes")


@pytest.mark.parametrize("secret", [SigningKey.generate("es256"), KemKey.generate(), Value.from_bytes(b"canary-7f3a")], ids=type)
def test_a_secret_shows_and_copies_nothing(secret: object) -> None:
    # B2
    raw = secret.reveal() if isinstance(secret, Value) else secret.secret_bytes()  # type: ignore[attr-defined]
    for shown in (repr(secret), str(secret), f"{secret}"):
        assert raw.hex() not in shown and b64encode(raw) not in shown and raw.decode("latin-1") not in shown
    assert not hasattr(secret, "__dict__")
    for escape in (pickle.dumps, copy.copy, copy.deepcopy, bytes):
        with pytest.raises(TypeError):
            escape(secret)  # type: ignore[operator]


def test_the_kind_of_memory_is_known() -> None:
    assert memory_kind() in {"memfd_secret", "mlock", "plain"}
