"""Protocol sections 5.4 and 11: opening a sealed secret with the recovery keys that its policy names."""

from __future__ import annotations

from typing import Any

from . import keys, shares
from .encoding import Refused, unb64
from .roster import Trust
from .seal import RECOVERY, open_payload, open_stanza, verify_secret


def open_recovered(
    trust: Trust, path: str, secret_wrapper: Any, ciphertext: bytes, secret_keys: list[bytes], now: int
) -> bytes:
    """The value. Keys are the scalars on the paper."""
    secret = verify_secret(trust, secret_wrapper, path, [], now, reseal=True)
    core = secret["core"]
    if "recovery" not in core["policy"]:
        raise Refused("not-recipient", "sealed without recovery keys")
    group = core["policy"]["recovery"]
    listed = [unb64(entry["kem"]["public"]) for entry in group["keys"]]
    indices: list[int] = []
    for secret_key in secret_keys:
        public = keys.public_of("es256", secret_key)
        if public not in listed:
            raise Refused("not-recipient", "a key that is none of the recovery keys")
        index = RECOVERY + 1 + listed.index(public)
        if index in indices:
            raise Refused("index", "one key twice")
        indices.append(index)
    if len(indices) < group["threshold"]:
        raise Refused("quorum", "too few recovery keys")
    salt, committed = unb64(core["salt"]), dict(core["share_commitments"])
    places = [entry[0] for entry in core["recipients"]]
    opened = []
    for index, secret_key in zip(indices, secret_keys, strict=True):
        share = open_stanza(secret, places.index(index), secret_key)
        shares.check(salt, index, share, unb64(committed[index]))
        opened.append((index, share))
    return open_payload(core, shares.join(opened), ciphertext)
