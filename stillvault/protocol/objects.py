"""The objects of the protocol (section 4) as Python sees them once they are verified.

These types check nothing: the core has verified the bytes (signature first, then form and schema) before anyone decodes them
here, and it checks again whatever is encoded here before it signs. They exist so that nobody passes raw dictionaries about.
Field names are those of the wire. An absent optional field is `UNSET`. Times are unix seconds, byte strings base64url.

`canonical` gives the one canonical form: with these types, sorted names and no white space are RFC 8785.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType

Pair = tuple[int, int]
TIERS = ("soft", "synced", "device-gated", "device-bound")
ROLES = ("admin", "approver", "sealer", "auditor")
LEASE_SCOPES = ("process", "task", "exe", "unit")
RECOVERY_INDEX = 128  # recovery key n is the recipient [128 + n, "recovery", id]


class Object(Struct, forbid_unknown_fields=True, frozen=True):
    """A part of a signed object."""


class Key(Object):
    alg: str
    public: str
    credential: str | UnsetType = UNSET
    rp_id: str | UnsetType = UNSET
    backup: bool | UnsetType = UNSET


class Kem(Object):
    suite: str
    public: str


class Signers(Object):
    keys: list[Key]
    threshold: int


class Log(Object):
    origin: str
    public: str


class Root(Object):
    name: str
    version: int
    root: Signers
    admin: Signers
    log: Log
    rp_id: str
    origins: list[str]
    issued: int
    expires: int
    previous: str | UnsetType = UNSET


class Device(Object):
    id: str
    name: str
    tier: str
    kem: Kem
    auth: list[Key]
    added: int
    expires: int
    deny: Key | UnsetType = UNSET
    attestation: str | UnsetType = UNSET


class Person(Object):
    id: str
    name: str
    roles: list[str]
    devices: list[Device]


class RecoveryKey(Object):
    id: str
    kem: Kem


class Recovery(Object):
    threshold: int
    keys: list[RecoveryKey]


class Policy(Object):
    id: str
    match: list[str]
    threshold: int
    people: list[str]
    tier: str
    window: int
    scope: str
    uses: int
    ttl: int
    code: bool
    deny: str
    recovery: Recovery | UnsetType = UNSET


class Hold(Object):
    until: int
    subject: str | UnsetType = UNSET
    match: str | UnsetType = UNSET


class Roster(Object):
    org: str
    root: str
    version: int
    issued: int
    expires: int
    people: list[Person]
    policies: list[Policy]
    floors: list[tuple[str, int, int]]
    revoked: list[str]
    holds: list[Hold]
    previous: str | UnsetType = UNSET


class ClientCert(Object):
    org: str
    subject: str
    host: str
    key: Key
    scopes: list[str]
    grade: str
    issued: int
    expires: int


class By(Object):
    person: str
    device: str


class Core(Object):
    org: str
    path: str
    version: int
    revision: int
    sealed: int
    by: By
    policy: Policy
    salt: str
    dek_commitment: str
    ciphertext_hash: str
    length: int
    recipients: list[tuple[int, str, str]]
    share_commitments: list[tuple[int, str]]
    previous: str | UnsetType = UNSET


class Secret(Object):
    core: Core
    stanzas: list[tuple[str, str]]


class Ancestor(Object):
    exe: str
    exe_sha256: str


class Observed(Object):
    host: str
    uid: int
    user: str
    exe: str
    exe_sha256: str
    chain: list[Ancestor]
    grade: str
    unit: str | UnsetType = UNSET
    container: str | UnsetType = UNSET


class Claimed(Object):
    argv: list[str] | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class Request(Object):
    org: str
    id: str
    client: str
    path: str
    minimum: Pair
    suite: str
    ephemeral: str
    issued: int
    expires: int
    window: int
    uses: int
    roster: Pair
    purpose: str
    observed: Observed
    claimed: Claimed
    log_head: tuple[int, str] | UnsetType = UNSET


class Item(Object):
    request: str
    secret: str
    path: str
    version: int
    revision: int
    index: int
    window: int
    uses: int


class Decision(Object):
    org: str
    verdict: str
    person: str
    device: str
    issued: int
    expires: int
    roster: Pair
    items: list[Item]
    log_head: tuple[int, str] | UnsetType = UNSET
    note: str | UnsetType = UNSET


class Receipt(Object):
    org: str
    request: str
    secret: str
    result: str
    issued: int
    reason: str | UnsetType = UNSET


class Cancel(Object):
    org: str
    request: str
    issued: int


class Enrol(Object):
    org: str
    invite: str
    name: str
    auth: Key
    issued: int
    kem: Kem | UnsetType = UNSET
    deny: Key | UnsetType = UNSET
    client: Key | UnsetType = UNSET


def canonical(value: Object | list[object]) -> bytes:
    """The canonical bytes (section 2) of an object, or of an array of objects, strings and integers."""
    return msgspec.json.encode(value, order="sorted")
