"""A fixed organisation to try the protocol on: keys, root, roster, certificates, secrets, requests, decisions, releases.

Everything follows from one seed, so that two runs make the same bytes. Every maker takes changes, to make the thing wrong in
one place: `world.roster(version=7)`, or `edit=` with a function that spoils the payload before it is signed.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import enrol, keys, release, seal, signed
from .encoding import b64, encode, oid, sha256, type_of
from .roster import Trust
from .roster import verify as verify_roster

NOW = 1_900_000_000
DAY = 86_400
ORIGIN = "https://vault.example.org"
RP_ID = "vault.example.org"
Edit = Callable[[dict[str, Any]], Any]


class Draw:
    """Bytes that look random and are not: a counter under SHA-256."""

    def __init__(self, seed: str) -> None:
        self.seed = seed.encode()
        self.stream = self._bytes()

    def _bytes(self) -> Iterator[int]:
        count = 0
        while True:
            yield from hashlib.sha256(self.seed + count.to_bytes(8)).digest()
            count += 1

    def __call__(self, length: int) -> bytes:
        return bytes(next(self.stream) for _ in range(length))


@dataclass(frozen=True)
class Signer:
    """A signing key of any algorithm; a passkey is bound to an `rp_id`."""

    alg: str
    secret: bytes
    backup: bool = False
    rp_id: str = RP_ID

    @property
    def key(self) -> dict[str, Any]:
        plain = {"alg": self.alg, "public": b64(keys.public_of(self.alg, self.secret))}
        if self.alg != "webauthn-es256":
            return plain
        return {**plain, "credential": b64(sha256(self.secret)[:16]), "rp_id": self.rp_id, "backup": self.backup}

    def sign(self, name: str, payload: bytes, **changes: Any) -> dict[str, Any]:
        if self.alg != "webauthn-es256":
            return keys.sign(self.alg, self.secret, type_of(name), payload)
        given = {"rp_id": self.rp_id, "origin": ORIGIN, "backup": self.backup, **changes}
        return keys.assert_webauthn(self.secret, type_of(name), payload, **given)


def sign(name: str, value: dict[str, Any], *signers: Signer, **changes: Any) -> dict[str, Any]:
    wrapper = signed.wrap(name, value)
    wrapper["signatures"] = [signer.sign(name, encode(value), **changes) for signer in signers]
    return wrapper


def edited(value: dict[str, Any], edit: Edit | None, changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with `changes` laid over it (None takes a field away), then spoilt by `edit`."""
    value = copy.deepcopy({**value, **changes})
    for name in [name for name, item in value.items() if item is None]:
        del value[name]
    if edit is not None:
        edit(value)
    return value


@dataclass
class Device:
    person: str
    id: str
    tier: str
    auth: list[Signer]
    kem: bytes
    deny: Signer | None = None

    @property
    def entry(self) -> dict[str, Any]:
        deny = {"deny": self.deny.key} if self.deny else {}
        kem = {"suite": "p256", "public": b64(keys.public_of("es256", self.kem))}
        return {
            "id": self.id, "name": self.id.replace("-", " "), "tier": self.tier, "kem": kem,
            "auth": [signer.key for signer in self.auth], "added": NOW - 60 * DAY, "expires": NOW + 200 * DAY, **deny,
        }  # fmt: skip


@dataclass
class Asked:
    """A request that was made: its wrapper and the secret half of its ephemeral key."""

    wrapper: dict[str, Any]
    ephemeral_secret: bytes

    @property
    def oid(self) -> bytes:
        return signed.oid_of(self.wrapper)


@dataclass
class Sealed:
    wrapper: dict[str, Any]
    ciphertext: bytes
    payload: dict[str, Any]

    @property
    def oid(self) -> bytes:
        return signed.oid_of(self.wrapper)

    @property
    def core(self) -> dict[str, Any]:
        core: dict[str, Any] = self.payload["core"]
        return core


@dataclass
class World:
    seed: str = "own"
    now: int = NOW
    draw: Draw = field(init=False)

    def __post_init__(self) -> None:
        self.draw = Draw(self.seed)
        self.root_signers = [self.signer("root-1", "ed25519"), self.signer("root-2", "webauthn-es256", backup=True)]
        self.root_signers.append(self.signer("root-3", "es256"))
        self.admins = [self.signer("admin-1", "ed25519"), self.signer("admin-2", "es256")]
        self.devices = self._devices()
        self.roots = [self.root()]
        self.pin = b64(signed.oid_of(self.roots[0]))
        self.roster_wrapper = self.roster()
        self.client_signer = self.signer("client", "ed25519")
        self.person_signer = self.signer("person-client", "es256")
        self.cert = self.client_cert()
        self.person_cert = self.client_cert(
            subject="person/ana", host="ana-laptop", grade="user", key=self.person_signer.key
        )

    # ---- keys ----------------------------------------------------------------------------------------------------------------

    def secret(self, name: str) -> bytes:
        return sha256(f"{self.seed}/{name}".encode())

    def signer(self, name: str, alg: str, backup: bool = False) -> Signer:
        return Signer(alg, self.secret(name), backup)

    def _devices(self) -> dict[str, Device]:
        def passkey(name: str, backup: bool = True) -> Signer:
            return self.signer(name, "webauthn-es256", backup)

        made = [
            Device("ana", "ana-laptop", "device-gated", [passkey("ana-laptop", False)], b"", self.signer("deny-ana", "es256")),
            Device("ana", "ana-phone", "synced", [passkey("ana-phone-1"), passkey("ana-phone-2")], b""),
            Device("ben", "ben-token", "device-bound", [self.signer("ben-token", "es256")], b""),
            Device(
                "cho", "cho-phone", "synced", [passkey("cho-phone-1"), passkey("cho-phone-2")], b"",
                self.signer("deny-cho", "es256"),
            ),
            Device("cho", "cho-lab", "soft", [self.signer("cho-lab", "ed25519")], b""),
            Device("dan", "dan-cli", "soft", [self.signer("dan-cli", "ed25519")], b""),
            Device("eve", "eve-phone", "synced", [passkey("eve-phone")], b""),
            Device("fay", "fay-cli", "soft", [self.signer("fay-cli", "ed25519")], b""),
        ]  # fmt: skip
        for device in made:
            device.kem = self.secret(f"kem-{device.id}")
        return {device.id: device for device in made}

    # ---- root and roster -----------------------------------------------------------------------------------------------------

    def root(self, edit: Edit | None = None, signers: list[Signer] | None = None, **changes: Any) -> dict[str, Any]:
        value = {
            "name": "Own vectors", "version": 1, "origins": [ORIGIN], "rp_id": RP_ID,
            "root": {"keys": [signer.key for signer in self.root_signers], "threshold": 2},
            "admin": {"keys": [signer.key for signer in self.admins], "threshold": 2},
            "log": {"origin": f"{RP_ID}/log", "public": b64(self.secret("log"))},
            "issued": self.now - 90 * DAY, "expires": self.now + 300 * DAY,
        }  # fmt: skip
        return sign("root", edited(value, edit, changes), *(self.root_signers[:2] if signers is None else signers))

    def people(self) -> list[dict[str, Any]]:
        roles = {
            "ana": ["admin", "approver", "sealer"], "ben": ["approver"], "cho": ["approver"], "dan": ["sealer"],
            "eve": ["approver"], "fay": ["auditor"],
        }  # fmt: skip
        return [
            {
                "id": person, "name": person.title(), "roles": granted,
                "devices": [device.entry for device in self.devices.values() if device.person == person],
            }
            for person, granted in roles.items()
        ]  # fmt: skip

    def recovery(self) -> dict[str, Any]:
        safes = [(f"safe-{n}", keys.public_of("es256", self.secret(f"safe-{n}"))) for n in (1, 2, 3)]
        return {
            "threshold": 2,
            "keys": [{"id": name, "kem": {"suite": "p256", "public": b64(public)}} for name, public in safes],
        }

    def policies(self) -> list[dict[str, Any]]:
        base = {
            "threshold": 1, "people": ["ana", "ben", "cho"], "tier": "synced", "window": 900, "scope": "process", "uses": 0,
            "ttl": 300, "code": False, "deny": "veto",
        }  # fmt: skip
        return [
            {**base, "id": "default", "match": ["**"], "people": ["ana"], "tier": "soft", "window": 0},
            {**base, "id": "prod", "match": ["prod/**"]},
            {**base, "id": "db", "match": ["prod/db/**"], "threshold": 2, "window": 600, "uses": 20},
            {**base, "id": "crown", "match": ["prod/db/root"], "threshold": 2, "window": 0, "code": True,
             "recovery": self.recovery()},
            {**base, "id": "solo", "match": ["prod/solo"], "scope": "exe", "recovery": self.recovery()},
        ]  # fmt: skip

    def roster_value(self, edit: Edit | None = None, **changes: Any) -> dict[str, Any]:
        value = {
            "org": self.pin, "root": b64(signed.oid_of(self.roots[-1])), "version": 7, "previous": b64(self.secret("before")),
            "issued": self.now - DAY, "expires": self.now + 13 * DAY, "people": self.people(), "policies": self.policies(),
            "floors": [["prod/api/key", 2, 0], ["prod/db/main", 3, 0]], "revoked": [], "holds": [],
        }  # fmt: skip
        return edited(value, edit, changes)

    def roster(self, edit: Edit | None = None, signers: list[Signer] | None = None, **changes: Any) -> dict[str, Any]:
        return sign("roster", self.roster_value(edit, **changes), *(self.admins if signers is None else signers))

    def with_policy(self, policy: str, **changes: Any) -> dict[str, Any]:
        """The roster with one policy changed."""

        def edit(value: dict[str, Any]) -> None:
            next(entry for entry in value["policies"] if entry["id"] == policy).update(changes)

        return self.roster(edit)

    def with_device(self, device: str, **changes: Any) -> dict[str, Any]:
        """The roster with one device changed."""

        def edit(value: dict[str, Any]) -> None:
            for person in value["people"]:
                for entry in person["devices"]:
                    if entry["id"] == device:
                        entry.update(changes)

        return self.roster(edit)

    def trust(self, wrapper: dict[str, Any] | None = None) -> Trust:
        return verify_roster(self.pin, self.roots, wrapper or self.roster_wrapper, self.now)

    def trust_inputs(self) -> dict[str, Any]:
        return {"pin": self.pin, "roots": self.roots, "roster": self.roster_wrapper, "now": self.now}

    # ---- client, secret, request ---------------------------------------------------------------------------------------------

    def client_cert(self, edit: Edit | None = None, signers: list[Signer] | None = None, **changes: Any) -> dict[str, Any]:
        value = {
            "org": self.pin, "subject": "host/db-1", "host": "db-1.example.org", "key": self.client_signer.key,
            "scopes": ["prod/**"], "grade": "system", "issued": self.now - 9 * DAY, "expires": self.now + 21 * DAY,
        }  # fmt: skip
        return sign("client-cert", edited(value, edit, changes), *(self.admins if signers is None else signers))

    def seal(
        self, path: str = "prod/api/key", data: bytes = b"correct horse", version: tuple[int, int] = (3, 0),
        edit: Edit | None = None, device: str = "dan-cli", signer: Signer | None = None,
        wrapper: dict[str, Any] | None = None, at: int | None = None, **changes: Any,
    ) -> Sealed:  # fmt: skip
        """A sealed secret; `changes` and `edit` spoil the core, and nothing that depends on the core is made anew."""
        maker = self.devices.get(device)
        person = maker.person if maker else "zed"
        when = self.now if at is None else at
        payload, ciphertext = seal.seal(
            self.trust(wrapper), (person, device), path, data, list(version), when, Draw(f"{self.seed}/{path}/{version}")
        )
        payload["core"] = edited(payload["core"], None, changes)
        if edit is not None:
            edit(payload)
        by = signer or (maker.auth[0] if maker else self.client_signer)
        return Sealed(sign("secret", payload, by), ciphertext, payload)

    def ask(
        self, path: str = "prod/api/key", edit: Edit | None = None, signer: Signer | None = None, name: str = "",
        cert: dict[str, Any] | None = None, **changes: Any,
    ) -> Asked:  # fmt: skip
        secret = self.secret(f"ephemeral-{path}-{name}")
        value = {
            "org": self.pin, "id": b64(self.secret(f"id-{path}-{name}")[:16]), "path": path, "minimum": [1, 0],
            "client": b64(signed.oid_of(cert or self.cert)), "suite": "p256",
            "ephemeral": b64(keys.public_of("es256", secret)), "issued": self.now - 20, "expires": self.now + 200,
            "window": 3600, "uses": 0, "roster": [1, 7], "purpose": "use",
            "observed": {
                "host": "db-1", "uid": 1001, "user": "agent", "exe": "/usr/bin/psql", "exe_sha256": b64(sha256(b"psql")),
                "chain": [{"exe": "/usr/bin/bash", "exe_sha256": b64(sha256(b"bash"))}], "unit": "agent.service",
                "grade": "system",
            },
            "claimed": {"argv": ["psql", "-l"], "reason": "nightly report"},
        }  # fmt: skip
        return Asked(sign("request", edited(value, edit, changes), signer or self.client_signer), secret)

    def ask_reseal(self, path: str = "prod/api/key", edit: Edit | None = None, **changes: Any) -> Asked:
        def as_person(value: dict[str, Any]) -> None:
            value["observed"]["grade"] = "user"
            if edit is not None:
                edit(value)

        given = {"cert": self.person_cert, "signer": self.person_signer, "name": "reseal", "purpose": "reseal", **changes}
        return self.ask(path, as_person, **given)

    # ---- decision and release ------------------------------------------------------------------------------------------------

    def decide(
        self, device: str, pairs: list[tuple[Asked, Sealed]], edit: Edit | None = None, signer: Signer | None = None,
        spoil: dict[str, Any] | None = None, **changes: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """A signed decision of a device. `spoil` changes the assertion where the device signs with a passkey."""
        maker = self.devices[device]
        items = []
        for asked, sealed in pairs:
            index = next((entry[0] for entry in sealed.core["recipients"] if entry[1] == maker.person), 1)
            items.append(
                {
                    "request": b64(asked.oid), "secret": b64(sealed.oid), "path": sealed.core["path"],
                    "version": sealed.core["version"], "revision": sealed.core["revision"], "index": index, "window": 700,
                    "uses": 0,
                }
            )
        value = {
            "org": self.pin, "verdict": "approve", "person": maker.person, "device": device, "issued": self.now - 5,
            "expires": self.now + 200, "roster": [1, 7], "items": items,
        }  # fmt: skip
        return sign("decision", edited(value, edit, changes), signer or maker.auth[0], **(spoil or {}))

    def release(
        self, device: str, asked: Asked, sealed: Sealed, decision: dict[str, Any] | None = None, content: bytes | None = None,
        position: int | None = None, **changes: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """A release of one item by a device, with its own stanza (or `content`) under the decision given or a plain one."""
        decision = decision or self.decide(device, [(asked, sealed)], **changes)
        if position is None:
            position = next((at for at, entry in enumerate(sealed.core["recipients"]) if entry[2] == device), 0)
        index = sealed.core["recipients"][position][0]
        if content is None:
            content = seal.open_stanza(sealed.payload, position, self.devices[device].kem)
        ephemeral = sha256(asked.oid + signed.oid_of(decision) + content)
        entry = release.seal_release(decision, asked.wrapper, sealed.wrapper, index, content, ephemeral)
        return {"decision": decision, "sealed": [entry]}

    # ---- enrolment -----------------------------------------------------------------------------------------------------------

    def enrol(
        self, nonce: bytes, auth: Signer, edit: Edit | None = None, spoil: dict[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        value = {
            "org": self.pin, "invite": enrol.invite_of(nonce), "name": "a new device", "auth": auth.key,
            "issued": self.now - 30,
        }  # fmt: skip
        return sign("enrol", edited(value, edit, changes), auth, **(spoil or {}))


def oid_text(name: str, value: dict[str, Any]) -> str:
    return b64(oid(type_of(name), encode(value)))
