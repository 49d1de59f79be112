"""An organisation that lives on a relay process: people with devices, clients, secrets. Everything signed by the real core."""

from __future__ import annotations

import base64
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any, Self

from stillvault.crypto import private, public
from stillvault.crypto.private import Ephemeral, KemKey, SigningKey, Value
from stillvault.crypto.public import b64encode, encode, oid_of
from tests.relay.process import SETUP_TOKEN, Answer, RelayProcess

DAY = 86_400
Json = dict[str, Any]


def now() -> int:
    return int(time.time())


def payload(signed: bytes) -> Json:
    text = json.loads(signed)["payload"]
    decoded: Json = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return decoded


def same_card(request: bytes) -> Json:
    """What makes another request one of the same command."""
    return {name: payload(request)[name] for name in ("issued", "expires", "observed", "claimed")}


def key_of(key: SigningKey) -> Json:
    return {"alg": key.alg, "public": b64encode(key.public)}


def wire(*signed: bytes) -> list[Json]:
    return [json.loads(one) for one in signed]


@dataclass
class Device:
    """A person's device. `session` signs in when there is no token yet."""

    org: Organisation
    person: str
    id: str
    auth: SigningKey = field(default_factory=lambda: SigningKey.generate("ed25519"))
    deny: SigningKey = field(default_factory=lambda: SigningKey.generate("es256"))
    kem: KemKey = field(default_factory=KemKey.generate)
    token: str = ""

    def listed(self) -> Json:
        return {
            "id": self.id,
            "name": self.id,
            "tier": "soft",
            "kem": {"suite": "p256", "public": b64encode(self.kem.public)},
            "auth": [key_of(self.auth)],
            "deny": key_of(self.deny),
            "added": self.org.born,
            "expires": self.org.born + 300 * DAY,
        }

    def sign_in(self) -> Answer:
        return self.org.login(self.auth, person=self.person, device=self.id)

    @property
    def session(self) -> str:
        if not self.token:
            self.token = self.sign_in().ok()["token"]
        return self.token

    def get(self, path: str) -> Answer:
        return self.org.relay.call("GET", path, token=self.session)

    def post(self, path: str, body: object) -> Answer:
        return self.org.relay.call("POST", path, body, token=self.session)


@dataclass
class Client:
    """A host's client with its certificate."""

    org: Organisation
    subject: str
    scopes: list[str]
    key: SigningKey = field(default_factory=lambda: SigningKey.generate("ed25519"))
    cert: bytes = b""
    token: str = ""

    def certify(self) -> bytes:
        cert = {
            "org": self.org.pin,
            "subject": self.subject,
            "host": "db-1",
            "key": key_of(self.key),
            "scopes": sorted(self.scopes),
            "grade": "system",
            "issued": now() - 5,
            "expires": now() + 300 * DAY,
        }
        self.cert = self.org.admin.auth.sign("client-cert", encode(cert))
        return self.cert

    def sign_in(self) -> Answer:
        return self.org.login(self.key, client=b64encode(oid_of(self.cert)))

    @property
    def session(self) -> str:
        if not self.token:
            self.token = self.sign_in().ok()["token"]
        return self.token

    def get(self, path: str) -> Answer:
        return self.org.relay.call("GET", path, token=self.session)

    def post(self, path: str, body: object) -> Answer:
        return self.org.relay.call("POST", path, body, token=self.session)

    def request(self, path: str = "prod/db", exe: str = "/usr/bin/psql", **changes: object) -> tuple[bytes, Ephemeral]:
        """A signed request and its ephemeral key."""
        ephemeral = Ephemeral.generate()
        request: Json = {
            "org": self.org.pin,
            "id": b64encode(public.sha256(ephemeral.public)[:16]),
            "client": b64encode(oid_of(self.cert)),
            "path": path,
            "minimum": [1, 0],
            "suite": "p256",
            "ephemeral": b64encode(ephemeral.public),
            "issued": now(),
            "expires": now() + 120,
            "window": 600,
            "uses": 0,
            "roster": [1, self.org.version],
            "purpose": "use",
            "observed": {
                "host": "db-1",
                "uid": 1001,
                "user": "app",
                "exe": exe,
                "exe_sha256": b64encode(public.sha256(exe.encode())),
                "chain": [{"exe": "/bin/sh", "exe_sha256": b64encode(public.sha256(b"sh"))}],
                "grade": "system",
            },
            "claimed": {"reason": f"migration {next(self.org.commands)}"},
        }
        return self.key.sign("request", encode(request | changes)), ephemeral

    def ask(self, path: str = "prod/db", **changes: object) -> tuple[bytes, Ephemeral, Answer]:
        signed, ephemeral = self.request(path, **changes)  # type: ignore[arg-type]
        return signed, ephemeral, self.post("/v1/requests", {"requests": wire(signed)})

    def state(self, request: bytes) -> Json:
        answer: Json = self.get(f"/v1/requests/{b64encode(oid_of(request))}").ok()
        return answer

    def receipt(self, request: bytes, secret: bytes, result: str = "delivered") -> Answer:
        said = {"org": self.org.pin, "request": b64encode(oid_of(request)), "secret": b64encode(oid_of(secret)), "result": result}
        signed = self.key.sign("receipt", encode({**said, "issued": now()}))
        return self.post("/v1/receipts", {"objects": wire(signed)})

    def cancel(self, request: bytes) -> Answer:
        said = {"org": self.org.pin, "request": b64encode(oid_of(request)), "issued": now()}
        return self.post("/v1/cancels", {"objects": wire(self.key.sign("cancel", encode(said)))})


class Organisation:
    """Alice (all roles) sets it up; more people and clients are enrolled through the relay."""

    def __init__(self, relay: RelayProcess, threshold: int = 1) -> None:
        self.relay = relay
        self.born = now() - 60
        self.root_key = SigningKey.generate("ed25519")
        self.admin = Device(self, "alice", "alice-laptop")
        self.devices = {"alice": self.admin}
        self.roles = {"alice": ["admin", "approver", "sealer", "auditor"]}
        self.clients: dict[str, Client] = {}
        self.version = 1
        self.previous = ""
        self.revoked: list[str] = []
        self.holds: list[Json] = []
        self.policy: Json = {
            "id": "prod",
            "match": ["prod/**"],
            "threshold": threshold,
            "people": ["alice"],
            "tier": "soft",
            "window": 900,
            "scope": "process",
            "uses": 0,
            "ttl": 300,
            "code": False,
            "deny": "veto",
        }
        self.commands = itertools.count(1)
        self.root = b""
        self.roster = b""

    @property
    def pin(self) -> str:
        return b64encode(oid_of(self.root))

    def trust(self) -> public.Trust:
        return public.Trust.verify(oid_of(self.root), [self.root], self.roster, now())

    # ---- set-up and rosters -------------------------------------------------------------------------------------------

    def setup_token(self) -> str:
        done = self.relay.command("setup-url", "--data", str(self.relay.data))
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip().partition("#")[2]

    def sign_root(self, log: Json, /, **changes: object) -> bytes:
        root: Json = {
            "name": "Tests",
            "version": 1,
            "root": {"keys": [key_of(self.root_key)], "threshold": 1},
            "admin": {"keys": [key_of(self.admin.auth)], "threshold": 1},
            "log": log,
            "rp_id": "localhost",
            "origins": [self.relay.url],
            "issued": self.born,
            "expires": self.born + 1000 * DAY,
        }
        return self.root_key.sign("root", encode(root | changes))

    def sign_roster(self, **changes: object) -> bytes:
        roster: Json = {
            "org": self.pin,
            "root": b64encode(oid_of(self.root)),
            "version": self.version,
            "issued": now() - 1,
            "expires": now() + 80 * DAY,
            "people": [
                {"id": person, "name": person.title(), "roles": sorted(self.roles[person]), "devices": [device.listed()]}
                for person, device in sorted(self.devices.items())
            ],
            "policies": [self.policy],
            "floors": [],
            "revoked": sorted(self.revoked),
            "holds": self.holds,
        }
        if self.previous:
            roster["previous"] = self.previous
        return self.admin.auth.sign("roster", encode(roster | changes))

    def create(self, token: str = SETUP_TOKEN) -> Self:
        self.root = self.sign_root(self.relay.call("GET", "/v1/setup/log", token=token).ok())
        self.roster = self.sign_roster()
        made = self.relay.call(
            "POST", "/v1/setup", {"root": wire(self.root)[0], "roster": wire(self.roster)[0]}, token=token
        ).ok()
        assert made == {"org_id": self.pin}
        return self

    def next_roster(self, **changes: object) -> bytes:
        self.previous, self.version = b64encode(oid_of(self.roster)), self.version + 1
        self.roster = self.sign_roster(**changes)
        return self.roster

    def publish(self, enrol: str = "", certs: tuple[bytes, ...] = ()) -> Answer:
        """Signs and publishes the next roster."""
        body: Json = {"roster": wire(self.next_roster())[0]}
        if enrol:
            body["enrol"] = enrol
        if certs:
            body["certs"] = wire(*certs)
        return self.admin.post("/v1/roster", body)

    # ---- people and clients -------------------------------------------------------------------------------------------

    def invite(self, kind: str, subject: str, **terms: object) -> tuple[str, str, bytes]:
        """(invite, bearer, nonce)."""
        nonce = public.sha256(f"{subject}{time.time_ns()}".encode())
        invite, bearer = private.invite_terms(oid_of(self.root), nonce)
        hashed = b64encode(public.sha256(bearer.encode()))
        body = {"invite": b64encode(invite), "bearer_hash": hashed, "kind": kind, "subject": subject, **terms}
        self.admin.post("/v1/invites", body).ok()
        return b64encode(invite), bearer, nonce

    def enrolment(self, invite: str, name: str, auth: SigningKey, **keys: object) -> bytes:
        enrol = {"org": self.pin, "invite": invite, "name": name, "auth": key_of(auth), "issued": now(), **keys}
        return auth.sign("enrol", encode(enrol))

    def person(self, name: str, *roles: str) -> Device:
        """Invites, joins, proves, confirms: a person in the policy."""
        device = Device(self, name, f"{name}-phone")
        invite, bearer, _ = self.invite("person", name, roles=list(roles))
        kem = {"suite": "p256", "public": b64encode(device.kem.public)}
        enrol = self.enrolment(invite, name, device.auth, kem=kem, deny=key_of(device.deny))
        joined = self.relay.call("POST", "/v1/enrol", {"enrol": wire(enrol)[0]}, token=bearer).ok()
        secret = public.sha256(b"proof")
        enc, ct = private.kem_seal(device.kem.public, public.proof_info(), secret)
        self.admin.post(f"/v1/invites/{invite}/challenge", {"enc": b64encode(enc), "ct": b64encode(ct)}).ok()
        state = self.relay.call("GET", "/v1/enrol", token=joined["ticket"]).ok()
        opened = device.kem.open(
            public.proof_info(), public.b64decode(state["challenge"]["enc"]), public.b64decode(state["challenge"]["ct"])
        )
        self.relay.call("POST", "/v1/enrol/proof", {"proof": b64encode(opened)}, token=joined["ticket"]).ok()
        listed = next(one for one in self.admin.get("/v1/invites").ok()["invites"] if one["invite"] == invite)
        assert (listed["state"], listed["proof"]) == ("proved", b64encode(secret))
        self.devices[name], self.roles[name] = device, list(roles)
        if "approver" in roles:
            self.policy = {**self.policy, "people": sorted([*self.policy["people"], name])}
        self.publish(enrol=joined["oid"]).ok()
        assert self.relay.call("GET", "/v1/enrol?wait=5", token=joined["ticket"]).ok()["state"] == "confirmed"
        return device

    def client(self, subject: str = "host/db-1", scopes: tuple[str, ...] = ("prod/**",)) -> Client:
        client = Client(self, subject, list(scopes))
        invite, bearer, _ = self.invite("client", subject, scopes=list(scopes), host="db-1", grade="system")
        enrol = self.enrolment(invite, "db", client.key)
        joined = self.relay.call("POST", "/v1/enrol", {"enrol": wire(enrol)[0]}, token=bearer).ok()
        self.admin.post("/v1/clients", {"cert": wire(client.certify())[0], "enrol": joined["oid"]}).ok()
        assert self.relay.call("GET", "/v1/enrol", token=joined["ticket"]).ok()["cert"] == wire(client.cert)[0]
        self.clients[subject] = client
        return client

    def login(self, key: SigningKey, *, nonce: str = "", origin: str = "", **who: str) -> Answer:
        nonce = nonce or self.relay.call("POST", "/v1/login/nonce", {}).ok()["nonce"]
        login = {"org": self.pin, "origin": origin or self.relay.url, "nonce": nonce, "issued": now()}
        return self.relay.call("POST", "/v1/login", {"login": wire(key.sign("login", encode(login)))[0], **who})

    # ---- secrets and decisions ----------------------------------------------------------------------------------------

    def seal(self, path: str = "prod/db", value: bytes = b"s3cret", previous: bytes = b"") -> bytes:
        """Seals the next version; returns the signed secret."""
        version = (payload(previous)["core"]["version"] + 1, 0) if previous else (1, 0)
        sealed = private.seal(
            self.trust(), self.admin.auth, (self.admin.person, self.admin.id), path, Value.from_bytes(value), version,
            oid_of(previous) if previous else None, now(),
        )  # fmt: skip
        self.admin.post("/v1/secrets", {"secret": wire(sealed.secret)[0], "ciphertext": b64encode(sealed.ciphertext)}).ok()
        return sealed.secret

    def decision(
        self, device: Device, verdict: str, *pairs: tuple[bytes, bytes], by: SigningKey | None = None, **changes: object
    ) -> bytes:
        """A signed decision on (request, secret) pairs."""
        items = []
        for request, secret in pairs:
            core = payload(secret)["core"]
            index = core["policy"]["people"].index(device.person) + 1 if device.person in core["policy"]["people"] else 1
            items.append(
                {
                    "request": b64encode(oid_of(request)),
                    "secret": b64encode(oid_of(secret)),
                    "path": core["path"],
                    "version": core["version"],
                    "revision": core["revision"],
                    "index": index,
                    "window": 300,
                    "uses": 0,
                }
            )
        decision: Json = {
            "org": self.pin, "verdict": verdict, "person": device.person, "device": device.id, "issued": now(),
            "expires": min(payload(request)["expires"] for request, _ in pairs), "roster": [1, self.version], "items": items,
        }  # fmt: skip
        return (by or device.auth).sign("decision", encode(decision | changes))

    def release(self, device: Device, client: Client, *pairs: tuple[bytes, bytes]) -> bytes:
        """An approve with its sealed entries, as the approver's device makes it."""
        trust = self.trust()
        prompts = [
            private.check_prompt(trust, (device.person, device.id), client.cert, request, secret, False, None, now())
            for request, secret in pairs
        ]
        return private.release(trust, prompts, self.decision(device, "approve", *pairs), device.kem, now())

    def approve(self, device: Device, client: Client, *pairs: tuple[bytes, bytes]) -> Answer:
        return device.post("/v1/decisions", {"release": wire(self.release(device, client, *pairs))[0]})

    def deny(self, device: Device, *pairs: tuple[bytes, bytes], verdict: str = "deny", session: bool = True) -> Answer:
        changes = {"expires": now() + 3600} if verdict == "freeze" else {}
        body = {"decision": wire(self.decision(device, verdict, *pairs, by=device.deny, **changes))[0]}
        return device.post("/v1/decisions", body) if session else self.relay.call("POST", "/v1/decisions", body)

    # ---- reading ------------------------------------------------------------------------------------------------------

    def leaves(self, kind: str = "") -> list[Json]:
        rows: list[Json] = []
        while True:
            page = self.admin.get(f"/v1/audit?after={len(rows)}&limit=1000").ok()["leaves"]
            rows += [json.loads(leaf) for leaf in page]
            if len(page) < 1000:
                return [row for row in rows if not kind or row["kind"] == kind]
