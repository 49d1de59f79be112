"""own-objects.json: the shape of every object of section 4. Each field of each object is once left out."""

from __future__ import annotations

import json
from typing import Any

from tests.reference.encoding import b64, encode
from tests.reference.signed import peek
from tests.reference.world import World

from .book import Book

OPTIONAL = {"roster": ("previous",), "decision": ("log_head", "note"), "enrol": ("kem", "deny", "client")}


def _samples(world: World) -> dict[str, dict[str, Any]]:
    """One good payload of every object."""
    sealed, asked = world.seal("prod/solo"), world.ask()
    oid = world.pin
    return {
        "root": peek("root", world.roots[0]),
        "roster": world.roster_value(holds=[{"subject": "host/x", "until": 1}, {"match": "prod/**", "until": 2}], revoked=[oid]),
        "client-cert": peek("client-cert", world.cert),
        "secret": sealed.payload,
        "request": peek("request", asked.wrapper),
        "decision": peek("decision", world.decide("ana-laptop", [(asked, sealed)], log_head=[3, oid], note="fine")),
        "receipt": {"org": oid, "request": oid, "secret": oid, "result": "delivered", "issued": 1},
        "use": {"org": oid, "request": oid, "by": [{"uid": 0, "exe": "/bin/a", "exe_sha256": oid, "count": 1}], "first": 1,
                "last": 2, "issued": 3},
        "cancel": {"org": oid, "request": oid, "issued": 1},
        "enrol": peek("enrol", world.enrol(bytes(32), world.devices["ana-phone"].auth[0],
                                          client=world.person_signer.key, deny=world.person_signer.key,
                                          kem=world.devices["ana-phone"].entry["kem"])),
        "login": {"org": oid, "origin": "https://vault.example.org", "nonce": oid, "issued": 1},
    }  # fmt: skip


def _at(value: Any, place: str) -> tuple[Any, Any]:
    """The holder and the last step of a place like `people.0.id`."""
    steps: list[Any] = [int(step) if step.isdigit() else step for step in place.split(".")]
    for step in steps[:-1]:
        value = value[step]
    return value, steps[-1]


def _changed(value: dict[str, Any], place: str, item: Any) -> str:
    copy = json.loads(json.dumps(value))
    holder, last = _at(copy, place)
    if item is None:
        del holder[last]
    else:
        holder[last] = item
    return b64(encode(copy))


def make(world: World) -> Book:
    book = Book("own-objects")
    samples = _samples(world)
    for name, value in samples.items():
        book.accept(f"{name}", "parse", object=name, payload=b64(encode(value)))
        book.refuse(f"{name} with an unknown field", "parse", "field", object=name, payload=_changed(value, "extra", 1))
        for field in value:
            payload = _changed(value, field, None)
            if field in OPTIONAL.get(name, ()):
                book.accept(f"{name} without {field}", "parse", object=name, payload=payload)
            else:
                book.refuse(f"{name} without {field}", "parse", "field", object=name, payload=payload)
    book.refuse("an object of no name", "parse", "type", object="thing", payload=b64(b"{}"))
    book.refuse("a login as a cancel", "parse", "field", object="cancel", payload=b64(encode(samples["login"])))
    point, off = world.devices["ben-token"].entry["kem"]["public"], b64(b"\x04" + bytes(64))
    compressed = b64(b"\x02" + bytes(32))
    for name, place, item, code in (
        ("root", "version", 0, "field"), ("root", "root.threshold", "1", "field"), ("root", "origins", "x", "field"),
        ("root", "log.public", b64(bytes(31)), "field"), ("root", "root.keys.1.public", off, "field"),
        ("root", "root.keys.1.public", compressed, "field"), ("root", "root.keys.0.alg", "rsa", "field"),
        ("root", "root.keys.1.rp_id", None, "field"), ("root", "root.keys.1.credential", None, "field"),
        ("root", "root.keys.0.public", point, "field"),
        ("roster", "people.0.id", "Ana", "field"), ("roster", "people.0.id", "", "field"), ("roster", "people.0.id", "a" * 65,
        "field"),
        ("roster", "people.0.id", "-ana", "field"), ("roster", "people.0.roles", ["owner"], "field"),
        ("roster", "people.0.devices.0.tier", "hard", "field"), ("roster", "people.0.devices.0.kem.suite", "mlkem768p256",
        "field"),
        ("roster", "people.0.devices.0.kem.public", off, "field"), ("roster", "people.0.devices.0.attestation", "AA", "field"),
        ("roster", "policies.0.scope", "host", "field"), ("roster", "policies.0.deny", "never", "field"),
        ("roster", "policies.0.code", 1, "field"), ("roster", "policies.0.match", ["a/*"], "path"),
        ("roster", "policies.0.window", "900", "field"), ("roster", "policies.0.ttl", True, "field"),
        ("roster", "floors.0", ["prod/x", 1], "field"), ("roster", "floors.0.0", "Prod", "path"),
        ("roster", "holds.0", {"until": 1}, "field"), ("roster", "holds.0", {"subject": "a", "match": "a", "until": 1}, "field"),
        ("roster", "holds.1.match", "prod/*", "path"), ("roster", "revoked.0", "AAAA", "field"), ("roster", "revoked.0", "A",
        "base64"),
        ("roster", "version", 0, "field"),
        ("client-cert", "subject", "host//db", "path"), ("client-cert", "grade", "root", "field"),
        ("client-cert", "key", world.devices["ana-phone"].auth[0].key, "alg"), ("client-cert", "scopes", "**", "field"),
        ("secret", "core.version", 0, "field"), ("secret", "core.path", "prod/", "path"), ("secret", "core.salt",
        b64(bytes(31)), "field"),
        ("secret", "core.recipients.0", [1, "ana"], "field"), ("secret", "core.recipients.0.0", "1", "field"),
        ("secret", "stanzas.0", [b64(bytes(65))], "field"), ("secret", "stanzas.0.0", b64(bytes(64)), "field"),
        ("secret", "stanzas.0.1", b64(bytes(47)), "field"), ("secret", "core.share_commitments.0.1", "", "field"),
        ("secret", "core.by", ["dan", "dan-cli"], "field"), ("secret", "core.previous", "AA", "field"),
        ("request", "id", b64(bytes(15)), "field"), ("request", "minimum", [1], "field"), ("request", "purpose", "read", "field"),
        ("request", "observed.chain", [{"exe": "a", "exe_sha256": world.pin}] * 9, "field"), ("request", "observed.unit", 1,
        "field"),
        ("request", "claimed.argv", [1], "field"), ("request", "claimed.extra", "x", "field"), ("request", "observed.grade",
        "kernel", "field"),
        ("request", "roster", [1, 7, 0], "field"), ("request", "log_head", [1, "AA"], "field"), ("request", "path", "prod/../x",
        "path"),
        ("decision", "verdict", "maybe", "field"), ("decision", "items.0.index", "1", "field"), ("decision", "items.0.extra", 1,
        "field"),
        ("decision", "items.0.path", "/prod", "path"), ("decision", "items", {}, "field"), ("decision", "note", ["x"], "field"),
        ("receipt", "result", "lost", "field"), ("receipt", "reason", 3, "field"), ("use", "by.0.count", "1", "field"),
        ("use", "by", {}, "field"), ("cancel", "request", "", "field"), ("enrol", "client",
        world.devices["ana-phone"].auth[0].key, "alg"),
        ("enrol", "deny", world.client_signer.key, "alg"), ("enrol", "kem", {"suite": "p256"}, "field"), ("login", "nonce", 1,
        "field"),
        ("login", "nonce", "A", "base64"),
    ):  # fmt: skip
        shown = "gone" if item is None else json.dumps(item)[:40]
        book.refuse(f"{name}: {place} = {shown}", "parse", code, object=name, payload=_changed(samples[name], place, item))
    for name, place, item in (
        ("roster", "people.0.id", "a" * 64), ("roster", "people.0.id", "0.a_b-c"), ("roster", "people.0.name", ""),
        ("roster", "people.0.devices.0.attestation", world.pin), ("roster", "policies.0.match", ["a/**", "b"]),
        ("request", "observed.chain", [{"exe": "a", "exe_sha256": world.pin}] * 8), ("request", "observed.container", "c"),
        ("request", "claimed", {}), ("request", "minimum", [0, 0]), ("request", "suite", "other"), ("request", "ephemeral", "AA"),
        ("request", "log_head", [0, world.pin]), ("receipt", "result", "failed"), ("secret", "core.previous", world.pin),
        ("client-cert", "scopes", ["**", "a/b", "a/**"]),
    ):  # fmt: skip
        shown = json.dumps(item)[:40]
        book.accept(f"{name}: {place} may be {shown}", "parse", object=name, payload=_changed(samples[name], place, item))
    return book
