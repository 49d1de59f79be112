"""What needs a private key or a plaintext: signing, sealing, deciding, opening. Never imported by the relay.

Keys and values are opaque: they live in memory that is wiped when the object goes, and where the kernel offers it
(`memfd_secret`, else locked pages that no core dump holds; `memory_kind` says which). Their `repr` shows the kind and nothing
else; they cannot be pickled, copied or compared.

What leaves that memory, and by whose hand:
* `Value.write_fd` writes a plaintext to a descriptor from Rust. The interpreter never sees it.
* `Value.reveal` makes a Python `bytes` of it, which nobody can wipe. For an explicit wish of the user alone.
* `SigningKey.secret_bytes` and `KemKey.secret_bytes` feed the encrypted key file and the recovery kit alone.

Randomness for keys, seeds and sealing comes from the operating system, inside Rust. `harden_process` belongs at the start of
every program that imports this module: no core dumps, no ptrace by the same user.
"""

from __future__ import annotations

from stillvault._native import (
    Ephemeral,
    KemKey,
    Opened,
    Prompt,
    Sealed,
    SigningKey,
    Value,
    add_signature,
    check_prompt,
    enrol_words,
    harden_process,
    invite_terms,
    kem_seal,
    memory_kind,
    open_recovered,
    open_releases,
    release,
    seal,
)

__all__ = [
    "Ephemeral",
    "KemKey",
    "Opened",
    "Prompt",
    "Sealed",
    "SigningKey",
    "Value",
    "add_signature",
    "check_prompt",
    "enrol_words",
    "harden_process",
    "invite_terms",
    "kem_seal",
    "memory_kind",
    "open_recovered",
    "open_releases",
    "release",
    "seal",
]
