"""What can be done with public keys alone: encoding, verification, hashes of the log.

Nothing here takes a private key or a plaintext. This is the only module of the ring that the relay may import.

Two steps, never one: `payload_of` and `oid_of` look at a wrapper that NOBODY has verified; use them to route it and to learn
which key claims to have signed. Everything that is believed comes from a `Trust`: `Trust.verify` takes the pinned id of the
organisation, the root chain and the roster, and its `verify_*` methods return a verified type or raise.
"""

from __future__ import annotations

from stillvault._native import (
    Cert,
    Decision,
    Enrol,
    Request,
    Secret,
    Trust,
    b64decode,
    b64encode,
    check_form,
    check_id,
    check_object,
    check_path,
    check_pattern,
    encode,
    features,
    join_release,
    leaf_hash,
    node_hash,
    oid_of,
    pattern_matches,
    payload_of,
    proof_info,
    request_code,
    sha256,
    split_release,
    verify_denial,
    verify_enrol,
    visible,
)

__all__ = [
    "Cert",
    "Decision",
    "Enrol",
    "Request",
    "Secret",
    "Trust",
    "b64decode",
    "b64encode",
    "check_form",
    "check_id",
    "check_object",
    "check_path",
    "check_pattern",
    "encode",
    "features",
    "join_release",
    "leaf_hash",
    "node_hash",
    "oid_of",
    "pattern_matches",
    "payload_of",
    "proof_info",
    "request_code",
    "sha256",
    "split_release",
    "verify_denial",
    "verify_enrol",
    "visible",
]
