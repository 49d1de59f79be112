"""own-roster.json: the root chain, the roster's own rules, what was seen before, certificates (sections 4 and 8)."""

from __future__ import annotations

import copy
from typing import Any

from tests.reference.encoding import b64
from tests.reference.signed import oid_of
from tests.reference.world import DAY, NOW, Edit, World, sign

from .book import Book


def make(world: World) -> Book:
    book = Book("own-roster", {"trust": world.trust_inputs(), "cert": {**world.trust_inputs(), "client_cert": world.cert}})
    book.accept("trust", "trust")
    _chain(book, world)
    _roster(book, world)
    _invalid(book, world)
    _seen(book, world)
    _cert(book, world)
    return book


def _chain(book: Book, world: World) -> None:
    old, new = world.root_signers, [world.signer("new-root-1", "ed25519"), world.signer("new-root-2", "es256")]
    admins = [world.signer("new-admin", "ed25519")]
    first = oid_of(world.roots[0])

    def second(signers: list[Any] | None = None, edit: Edit | None = None, **changes: Any) -> dict[str, Any]:
        given = {
            "version": 2, "previous": b64(first), "root": {"keys": [signer.key for signer in new], "threshold": 2},
            "admin": {"keys": [signer.key for signer in admins], "threshold": 1}, **changes,
        }  # fmt: skip
        return world.root(edit, [*old[:2], *new] if signers is None else signers, **given)

    def inputs(*more: dict[str, Any], edit: Edit | None = None, **changes: Any) -> dict[str, Any]:
        """Roots and the first roster under the last of them."""
        value = world.roster_value(edit, root=b64(oid_of(more[-1])), version=1, **changes)
        return {"roots": [*world.roots, *more], "roster": sign("roster", value, *admins)}

    after = {"roster": [1, 7], "oid": b64(oid_of(world.roster_wrapper))}
    root = second()
    book.accept("rotated root", "trust", **inputs(root))
    book.accept("rotated root undoes a fast-forward", "trust", seen={"roster": [1, 2**53 - 1], "oid": world.pin}, **inputs(root))
    book.accept("rotated root after what was seen", "trust", seen=after, **inputs(root))
    book.accept("only the newest root must be in date", "trust", now=NOW + 310 * DAY,
                **inputs(second(expires=NOW + 400 * DAY), expires=NOW + 320 * DAY))  # fmt: skip
    third = world.root(None, new, version=3, previous=b64(oid_of(root)), root={"keys": [s.key for s in new], "threshold": 2},
                       admin={"keys": [s.key for s in admins], "threshold": 1})  # fmt: skip
    book.accept("three roots", "trust", **inputs(root, third))
    moved = second([*old[:1], *new], origins=["https://new.example"])
    passkey = world.root_signers[1]
    payload = moved["payload"]
    assert payload
    for name, origin, good in (("the old", "https://vault.example.org", True), ("the new", "https://new.example", False)):
        value = copy.deepcopy(moved)
        extra = sign("root", _value(second(origins=["https://new.example"])), passkey, origin=origin)["signatures"]
        value["signatures"] = [*moved["signatures"], *extra]
        case = inputs(value)
        if good:
            book.accept(f"passkey of the old root at {name} origin", "trust", **case)
        else:
            book.refuse(f"passkey of the old root at {name} origin", "trust", "root-threshold", **case)

    def refuse(name: str, code: str, *roots: dict[str, Any], **changes: Any) -> None:
        book.refuse(name, "trust", code, **inputs(*roots, **changes))

    refuse("rotation without the old keys", "root-threshold", second(new))
    refuse("rotation without the new keys", "root-threshold", second(old[:2]))
    refuse("rotation with one old key", "root-threshold", second([old[0], *new]))
    refuse("rotation with one old key twice", "root-threshold", second([old[0], old[0], *new]))
    refuse("a gap in the chain", "root-chain", third)
    refuse("version 3 after 1", "root-chain", second(version=3))
    refuse("version 1 again", "root-chain", second(version=1))
    refuse("another root before it", "root-chain", second(previous=b64(bytes(32))))
    refuse("no previous", "root-chain", second(previous=None))
    refuse("the same root twice", "root-chain", root, root)
    refuse("a root threshold of zero", "root-invalid", second(root={"keys": [s.key for s in new], "threshold": 0}))
    refuse("an admin threshold of zero", "root-invalid", second(admin={"keys": [s.key for s in admins], "threshold": 0}))
    refuse("an admin threshold above its keys", "root-invalid", second(admin={"keys": [s.key for s in admins], "threshold": 2}))
    refuse("a threshold that counts one key twice", "root-invalid",
           second(root={"keys": [new[0].key, new[0].key], "threshold": 2}))  # fmt: skip
    refuse("no admin keys", "root-invalid", second(admin={"keys": [], "threshold": 1}))
    refuse("newest root expired", "expired", second(expires=NOW))
    refuse("newest root of the future", "future", second(issued=NOW + 301))
    book.accept("newest root issued 300 s ahead", "trust", **inputs(second(issued=NOW + 300)))
    book.accept("newest root in its last second", "trust", **inputs(second(expires=NOW + 1)))
    book.refuse("no roots", "trust", "root-chain", roots=[])
    book.refuse("another pin", "trust", "pin", pin=b64(bytes(32)))
    book.refuse("the chain without its first", "trust", "pin", **{**inputs(root), "roots": [root]})
    book.refuse(
        "root 1 by one key", "trust", "root-threshold", roots=[{**world.roots[0], "signatures": world.roots[0]["signatures"][:1]}]
    )
    book.refuse("root 1 unsigned", "trust", "root-threshold", roots=[{**world.roots[0], "signatures": []}])
    book.refuse("a roster for a root", "trust", "type", roots=[world.roster_wrapper])
    book.refuse("the roster of the old root under the new", "trust", "roster-threshold", roots=[*world.roots, root])
    by_new = sign("roster", world.roster_value(), *admins)
    book.refuse("new admins, old root named", "trust", "roster-root", roots=[*world.roots, root], roster=by_new)


def _value(wrapper: dict[str, Any]) -> dict[str, Any]:
    from tests.reference.signed import peek

    return peek("root", wrapper)


def _roster(book: Book, world: World) -> None:
    def refuse(name: str, code: str, roster: dict[str, Any], **given: Any) -> None:
        book.refuse(f"roster: {name}", "trust", code, roster=roster, **given)

    stranger = world.signer("stranger", "ed25519")
    refuse("by one admin", "roster-threshold", world.roster(signers=world.admins[:1]))
    refuse("by one admin and a stranger", "roster-threshold", world.roster(signers=[world.admins[0], stranger]))
    refuse("by the root keys", "roster-threshold", world.roster(signers=world.root_signers))
    book.accept("roster: a stranger's signature beside", "trust", roster=world.roster(signers=[*world.admins, stranger]))
    refuse("of another organisation", "org", world.roster(org=b64(bytes(32))))
    refuse("under another root", "roster-root", world.roster(root=b64(bytes(32))))
    refuse("expired", "expired", world.roster(expires=NOW))
    refuse("of the future", "future", world.roster(issued=NOW + 301))
    book.accept("roster: in its last second", "trust", roster=world.roster(expires=NOW + 1))
    refuse("expired by the clock", "expired", world.roster_wrapper, now=NOW + 13 * DAY)
    refuse(
        "changed on the way", "roster-threshold", {**world.roster(version=8), "signatures": world.roster_wrapper["signatures"]}
    )
    refuse("another type", "type", world.roots[0])
    refuse("with an unknown field", "field", world.roster(lambda value: value.update(extra=1)))


def _invalid(book: Book, world: World) -> None:
    def person(at: int, **changes: Any) -> Edit:
        return lambda value: value["people"][at].update(changes)

    def device(at: int, which: int, **changes: Any) -> Edit:
        return lambda value: value["people"][at]["devices"][which].update(changes)

    def policy(at: int, **changes: Any) -> Edit:
        return lambda value: value["policies"][at].update(changes)

    def recovery(at: int, edit: Edit) -> Edit:
        return lambda value: edit(value["policies"][at]["recovery"])

    ana, ben = world.devices["ana-phone"].entry, world.devices["ben-token"].entry
    deny = world.devices["cho-phone"].entry["deny"]
    new = {"alg": "es256", "public": world.signer("new-key", "es256").key["public"]}
    many = [f"p{n}" for n in range(128)]

    def crowd(count: int) -> Edit:
        def edit(value: dict[str, Any]) -> None:
            value["people"] += [{"id": name, "name": "", "roles": ["approver"], "devices": []} for name in many[:count]]
            value["policies"][0].update(people=many[:count])

        return edit

    def safes(count: int, threshold: int) -> Edit:
        public = [world.signer(f"safe-{n}", "es256").key["public"] for n in range(count)]
        keys = [{"id": f"s{n}", "kem": {"suite": "p256", "public": item}} for n, item in enumerate(public)]
        return lambda value: (
            value["policies"][3].update(recovery={"threshold": threshold, "keys": keys}), value["policies"][4].pop("recovery")
        )  # fmt: skip

    bad: dict[str, Edit] = {
        "a person twice": person(1, id="ana"),
        "a person named recovery": person(5, id="recovery"),
        "a device id twice at one person": device(0, 1, id="ana-laptop"),
        "a device id twice at two people": device(1, 0, id="cho-lab"),
        "a policy id twice": policy(1, id="default"),
        "a pattern twice in two policies": policy(1, match=["**"]),
        "a pattern twice in one policy": policy(1, match=["prod/**", "prod/**"]),
        "a KEM key twice": device(1, 0, kem=ana["kem"]),
        "an auth key twice": device(1, 0, auth=world.devices["cho-lab"].entry["auth"]),
        "an auth key twice on one device": device(0, 1, auth=[ana["auth"][0], ana["auth"][0]]),
        "a deny key twice": device(1, 0, deny=deny),
        "a deny key that is an auth key": device(2, 0, deny=ben["auth"][0]),
        "a deny key that is the own KEM key": device(1, 0, deny={"alg": "es256", "public": ben["kem"]["public"]}),
        "an auth key that is a recovery key": recovery(3, lambda value: value["keys"][0].update(kem={"suite": "p256",
        "public": ben["auth"][0]["public"]})),
        "a passkey as deny key": device(1, 0, deny=world.signer("x", "webauthn-es256").key),
        "no auth key": device(1, 0, auth=[]),
        "two auth keys on a device-bound device": device(1, 0, auth=[*ben["auth"], new]),
        "two auth keys on a soft device": device(3, 0, auth=[*world.devices["dan-cli"].entry["auth"], new]),
        "a floor twice": lambda value: value.update(floors=[["a", 1, 0], ["a", 1, 0]]),
        "floors sorted by version": lambda value: value.update(floors=[["b", 1, 0], ["a", 2, 0]]),
        "window 28801": policy(1, window=28801),
        "ttl 3601": policy(1, ttl=3601),
        "threshold above the people": policy(0, threshold=2),
        "no people": policy(0, people=[]),
        "one of the people twice": policy(1, people=["ana", "ana"], threshold=1),
        "people twice to reach the threshold": policy(2, people=["ana", "ana"]),
        "somebody who is not rostered": policy(0, people=["zed"]),
        "an auditor in a policy": policy(0, people=["fay"]),
        "128 people": crowd(128),
        "recovery threshold 1": safes(3, 1),
        "recovery threshold above the keys": safes(2, 3),
        "one recovery key": safes(1, 2),
        "no recovery keys": safes(0, 2),
        "128 recovery keys": safes(128, 2),
        "a recovery key twice in one policy": recovery(3, lambda value: value["keys"][1].update(kem=value["keys"][0]["kem"])),
        "a recovery id twice in one policy": recovery(3, lambda value: value["keys"][1].update(id="safe-1")),
        "one recovery key under two ids": recovery(3, lambda value: value["keys"][0].update(id="other")),
        "one recovery id with two keys": recovery(3, lambda value: value["keys"][0].update(kem={"suite": "p256",
        "public": new["public"]})),
    }  # fmt: skip
    for name, edit in bad.items():
        book.refuse(f"roster: {name}", "trust", "roster-invalid", roster=world.roster(edit))
    good: dict[str, Edit] = {
        "two auth keys on a synced device": device(0, 1, auth=[ana["auth"][0], new]),
        "window 28800": policy(1, window=28800),
        "threshold equal to the people": policy(1, threshold=3),
        "127 people": crowd(127),
        "127 recovery keys": safes(127, 127),
        "the same recovery keys in two policies": lambda value: None,
        "a person without devices": person(5, devices=[]),
        "nobody at all": lambda value: value.update(people=[], policies=[], floors=[]),
        "no previous": lambda value: value.pop("previous"),
        "a device that has expired": device(1, 0, expires=1),
        "a device that is added later": device(1, 0, added=NOW + 5),
        "a hold for ever": lambda value: value.update(holds=[{"match": "**", "until": 2**53 - 1}]),
    }  # fmt: skip
    for name, edit in good.items():
        book.accept(f"roster: {name} is fine", "trust", roster=world.roster(edit))


def _seen(book: Book, world: World) -> None:
    now = {"roster": [1, 7], "oid": b64(oid_of(world.roster_wrapper))}
    following = world.roster(version=8, previous=now["oid"])
    other = b64(bytes(32))
    book.accept("seen: the same", "trust", seen=now)
    book.accept("seen: the next", "trust", seen=now, roster=following)
    book.accept("seen: two later, whatever it follows", "trust", seen=now, roster=world.roster(version=9, previous=other))
    book.accept(
        "seen: signed anew", "trust", seen=now, roster=world.roster(signers=[*world.admins, world.signer("more", "es256")])
    )
    for name, code, seen, roster in (
        ("one number back", "rollback", {**now, "roster": [1, 8]}, world.roster_wrapper),
        ("a root back", "rollback", {**now, "roster": [2, 1]}, world.roster_wrapper),
        ("another of the same number", "fork", {**now, "oid": other}, world.roster_wrapper),
        ("the next follows another", "fork", now, world.roster(version=8, previous=other)),
        ("the next follows none", "fork", now, world.roster(version=8, previous=None)),
    ):
        book.refuse(f"seen: {name}", "trust", code, seen=seen, roster=roster)


def _cert(book: Book, world: World) -> None:
    def refuse(name: str, code: str, cert: dict[str, Any], **given: Any) -> None:
        book.refuse(f"cert: {name}", "cert", code, client_cert=cert, **given)

    book.accept("cert", "cert", {"subject": "host/db-1"})
    book.accept("cert: of a person", "cert", {"subject": "person/ana"}, client_cert=world.person_cert)
    book.accept("cert: issued 300 s ahead", "cert", client_cert=world.client_cert(issued=NOW + 300))
    book.accept("cert: in its last second", "cert", client_cert=world.client_cert(expires=NOW + 1))
    book.accept("cert: no scopes", "cert", client_cert=world.client_cert(scopes=[]))
    refuse("expired", "expired", world.client_cert(expires=NOW))
    refuse("of the future", "future", world.client_cert(issued=NOW + 301))
    refuse("of another organisation", "org", world.client_cert(org=b64(bytes(32))))
    refuse("by one admin", "cert-threshold", world.client_cert(signers=world.admins[:1]))
    refuse("by one admin twice", "cert-threshold", world.client_cert(signers=[world.admins[0]] * 2))
    refuse("by the root keys", "cert-threshold", world.client_cert(signers=world.root_signers))
    refuse("by itself", "cert-threshold", world.client_cert(signers=[world.client_signer]))
    refuse("revoked", "revoked", world.cert, roster=world.roster(revoked=[b64(bytes(32)), b64(oid_of(world.cert))]))
    book.accept("cert: another one revoked", "cert", roster=world.roster(revoked=[b64(oid_of(world.person_cert))]))
    refuse("changed on the way", "cert-threshold", {**world.client_cert(scopes=["**"]), "signatures": world.cert["signatures"]})
    refuse("with a passkey", "alg", world.client_cert(key=world.signer("x", "webauthn-es256").key))
    refuse("of another type", "type", world.roster_wrapper)
    refuse("under an expired roster", "expired", world.cert, roster=world.roster(expires=NOW))
