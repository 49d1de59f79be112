"""HPKE three times: the reference's own lines, `cryptography`'s, and the core's. Each opens what the others seal."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from stillvault import _native
from stillvault.protocol.errors import Refused
from tests.reference import hpke, keys
from tests.reference.world import Draw

SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
ENC = 65  # bytes; `cryptography` hands out enc and ct in one


@pytest.mark.parametrize("seed", range(12))
def test_each_opens_what_the_others_seal(seed: int) -> None:
    draw = Draw(f"hpke {seed}")
    secret, plaintext, info = draw(32), draw(32), draw(seed * 9)
    public = keys.public_of("es256", secret)
    key = _native.KemKey.from_bytes(secret)
    theirs = keys.scalar(secret)
    assert key.public == public

    sealed = {
        "reference": hpke.seal(public, info, plaintext, draw(32)),
        "core": _native.kem_seal(public, info, plaintext),
    }
    both = SUITE.encrypt(plaintext, theirs.public_key(), info)
    sealed["cryptography"] = (both[:ENC], both[ENC:])
    for who, (enc, ct) in sealed.items():
        assert hpke.open_sealed(secret, info, enc, ct, "open") == plaintext, who
        assert key.open(info, enc, ct) == plaintext, who
        assert SUITE.decrypt(enc + ct, theirs, info) == plaintext, who
        with pytest.raises(Refused, match="open"):
            key.open(info + b"x", enc, ct)
