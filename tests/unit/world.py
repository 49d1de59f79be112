"""A small organisation made with the public calls of `stillvault.crypto` alone: what the tests of the core's surface stand on.

Alice, Ben and Cleo approve; Alice seals and holds root and admin. `host/db-1` asks. Every time is derived from NOW.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from stillvault.crypto.private import Ephemeral, KemKey, SigningKey
from stillvault.crypto.public import Cert, Trust, b64encode, encode, oid_of, request_code, sha256

NOW = 1_800_000_000
DAY = 86_400
YEAR = 365 * DAY
SUITE = "p256"

Json = dict[str, Any]


def key(signing: SigningKey) -> Json:
    return {"alg": signing.alg, "public": b64encode(signing.public)}


@dataclass
class Device:
    person: str
    id: str
    tier: str = "soft"
    auth: SigningKey = field(default_factory=lambda: SigningKey.generate("ed25519"))
    deny: SigningKey = field(default_factory=lambda: SigningKey.generate("es256"))
    kem: KemKey = field(default_factory=KemKey.generate)

    @property
    def own(self) -> tuple[str, str]:
        return self.person, self.id

    def listed(self) -> Json:
        return {
            "id": self.id,
            "name": self.id,
            "tier": self.tier,
            "kem": {"suite": SUITE, "public": b64encode(self.kem.public)},
            "auth": [key(self.auth)],
            "deny": key(self.deny),
            "added": NOW - 10 * DAY,
            "expires": NOW + YEAR,
        }


class World:
    """One organisation with its keys. `roster`, `policy` and `request` are edited before they are signed."""

    def __init__(self, threshold: int = 1, people: tuple[str, ...] = ("alice", "ben", "cleo")) -> None:
        self.root_key = SigningKey.generate("ed25519")
        self.devices = {person: Device(person, f"{person}-laptop") for person in people}
        self.client_key = SigningKey.generate("ed25519")
        alice = self.devices["alice"].auth
        self.root = self.root_key.sign(
            "root",
            encode(
                {
                    "name": "Tests",
                    "version": 1,
                    "root": {"keys": [key(self.root_key)], "threshold": 1},
                    "admin": {"keys": [key(alice)], "threshold": 1},
                    "log": {"origin": "localhost:8443/log", "public": b64encode(SigningKey.generate("ed25519").public)},
                    "rp_id": "localhost",
                    "origins": ["https://localhost:8443"],
                    "issued": NOW - 10 * DAY,
                    "expires": NOW + 5 * YEAR,
                }
            ),
        )
        self.pin = oid_of(self.root)
        self.policy: Json = {
            "id": "prod",
            "match": ["prod/**"],
            "threshold": threshold,
            "people": sorted(people),
            "tier": "soft",
            "window": 900,
            "scope": "process",
            "uses": 0,
            "ttl": 300,
            "code": False,
            "deny": "veto",
        }
        self.roster = self.sign_roster()
        self.cert_bytes = alice.sign(
            "client-cert",
            encode(
                {
                    "org": b64encode(self.pin),
                    "subject": "host/db-1",
                    "host": "db-1",
                    "key": key(self.client_key),
                    "scopes": ["prod/**"],
                    "grade": "system",
                    "issued": NOW - DAY,
                    "expires": NOW + YEAR,
                }
            ),
        )

    def sign_roster(self, **changes: object) -> bytes:
        roster: Json = {
            "org": b64encode(self.pin),
            "root": b64encode(self.pin),
            "version": 1,
            "issued": NOW - DAY,
            "expires": NOW + 90 * DAY,
            "people": [
                {"id": person, "name": person.title(), "roles": ["admin", "approver", "sealer"], "devices": [device.listed()]}
                for person, device in self.devices.items()
            ],
            "policies": [self.policy],
            "floors": [],
            "revoked": [],
            "holds": [],
        }
        return self.devices["alice"].auth.sign("roster", encode(roster | changes))

    @property
    def org(self) -> str:
        return b64encode(self.pin)

    def trust(self, now: int = NOW) -> Trust:
        return Trust.verify(self.pin, [self.root], self.roster, now)

    def cert(self, trust: Trust) -> Cert:
        return trust.verify_cert(self.cert_bytes, NOW)

    def request(self, key: Ephemeral, **changes: object) -> bytes:
        request: Json = {
            "org": self.org,
            "id": b64encode(sha256(key.public)[:16]),
            "client": b64encode(oid_of(self.cert_bytes)),
            "path": "prod/db",
            "minimum": [1, 0],
            "suite": SUITE,
            "ephemeral": b64encode(key.public),
            "issued": NOW,
            "expires": NOW + 300,
            "window": 900,
            "uses": 0,
            "roster": [1, 1],
            "purpose": "use",
            "observed": {
                "host": "db-1",
                "uid": 1001,
                "user": "app",
                "exe": "/usr/bin/psql",
                "exe_sha256": b64encode(sha256(b"psql")),
                "chain": [],
                "grade": "system",
            },
            "claimed": {"reason": "migration"},
        }
        return self.client_key.sign("request", encode(request | changes))

    def decision(self, device: Device, request: bytes, secret: bytes, index: int = 1, **changes: object) -> bytes:
        """An approve of one request; `item` overlays the item, `by` is the key that signs."""
        item = changes.pop("item", {})
        by = changes.pop("by", device.auth)
        assert isinstance(item, dict) and isinstance(by, SigningKey)
        core = payload(secret)["core"]
        decision: Json = {
            "org": self.org,
            "verdict": "approve",
            "person": device.person,
            "device": device.id,
            "issued": NOW + 5,
            "expires": NOW + 300,
            "roster": [1, 1],
            "items": [
                {
                    "request": b64encode(oid_of(request)),
                    "secret": b64encode(oid_of(secret)),
                    "path": core["path"],
                    "version": core["version"],
                    "revision": core["revision"],
                    "index": index,
                    "window": 900,
                    "uses": 0,
                }
                | item
            ],
        }
        return by.sign("decision", encode(decision | changes))


def payload(signed: bytes) -> Any:
    """The payload of a wrapper, as JSON, unverified: tests read what they made."""
    import base64

    text: str = json.loads(signed)["payload"]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


__all__ = ["DAY", "NOW", "SUITE", "YEAR", "Device", "World", "key", "payload", "request_code"]
