"""own-approver.json: what an approver's device checks before it shows a prompt (7.1 to 7.3), and cards (6)."""

from __future__ import annotations

from typing import Any

from tests.reference.encoding import b64, sha256
from tests.reference.signed import oid_of
from tests.reference.world import NOW, World

from .book import Book

KEY, MAIN, SOLO = "prod/api/key", "prod/db/main", "prod/solo"


def make(world: World) -> Book:
    sealed, asked = world.seal(), world.ask()
    given = {
        **world.trust_inputs(), "own": ["ben", "ben-token"], "client_cert": world.cert, "request": asked.wrapper,
        "secret": sealed.wrapper, "memory": {"decided": [], "secrets": {}},
    }  # fmt: skip
    book = Book("own-approver", {"approver": given})
    _cert(book, world)
    _request(book, world)
    _purpose(book, world)
    _memory(book, world)
    _secret_and_self(book, world)
    _cards(book, world)
    return book


def _cert(book: Book, world: World) -> None:
    """7.1"""
    book.accept("approver: good", "approver")

    def case(name: str, code: str, cert: dict[str, Any], **changes: Any) -> None:
        request = world.ask(KEY, cert=cert, **changes).wrapper
        if code:
            book.refuse(f"cert: {name}", "approver", code, client_cert=cert, request=request)
        else:
            book.accept(f"cert: {name}", "approver", client_cert=cert, request=request)

    book.refuse("cert: not the one named", "approver", "cert", client_cert=world.client_cert(host="other.example"))
    book.refuse("cert: of a person, request of the host", "approver", "cert", client_cert=world.person_cert)
    case("by one admin", "cert-threshold", world.client_cert(signers=world.admins[:1]))
    case("expired", "expired", world.client_cert(expires=NOW))
    case("of the future", "future", world.client_cert(issued=NOW + 301))
    case("of another organisation", "org", world.client_cert(org=b64(bytes(32))))
    case("of another key", "signature", world.client_cert(key=world.signer("other", "ed25519").key))
    case("of grade user, observed by the system", "grade", world.client_cert(grade="user"))
    case(
        "of grade user, observed by a user",
        "",
        world.client_cert(grade="user"),
        edit=lambda value: value["observed"].update(grade="user"),
    )
    case("of grade system, observed by a user", "", world.cert, edit=lambda value: value["observed"].update(grade="user"))
    case("of other scopes", "scope", world.client_cert(scopes=["prod/db/**", "staging/**"]))
    case("of no scopes", "scope", world.client_cert(scopes=[]))
    case("with the path as scope", "", world.client_cert(scopes=["x", KEY]))
    case("with all as scope", "", world.client_cert(scopes=["**"]))
    case("with a scope that names the path above", "scope", world.client_cert(scopes=["prod/api", "prod"]))
    revoked = world.roster(revoked=[b64(oid_of(world.cert))])
    book.refuse("cert: revoked", "approver", "revoked", roster=revoked)


def _request(book: Book, world: World) -> None:
    """7.1 and 7.2"""

    def accept(name: str, roster: dict[str, Any] | None = None, **changes: Any) -> None:
        more = {"roster": roster} if roster else {}
        book.accept(f"request: {name}", "approver", request=world.ask(KEY, **changes).wrapper, **more)

    def refuse(name: str, code: str, roster: dict[str, Any] | None = None, **changes: Any) -> None:
        more = {"roster": roster} if roster else {}
        book.refuse(f"request: {name}", "approver", code, request=world.ask(KEY, **changes).wrapper, **more)

    good = world.ask()
    accept("without unit", edit=lambda value: value["observed"].pop("unit"))
    accept("older roster", roster=None, log_head=[1, world.pin])
    refuse("newer roster", "stale-roster", edit=lambda value: value.update(roster=[1, 8]))
    refuse("newer root", "stale-roster", edit=lambda value: value.update(roster=[2, 1]))
    refuse("of another organisation", "org", org=b64(bytes(32)))
    refuse("signed by another key", "signature", signer=world.person_signer)
    other = {**good.wrapper, "payload": world.ask(KEY, window=28800).wrapper["payload"]}
    book.refuse("request: changed on the way", "approver", "signature", request=other)
    refuse("with an unknown field", "field", extra=1)
    accept("issued 300 s ahead", issued=NOW + 300, expires=NOW + 500)
    refuse("issued 301 s ahead", "clock", issued=NOW + 301, expires=NOW + 500)
    refuse("expired", "expired", issued=NOW - 100, expires=NOW)
    accept("in its last second", issued=NOW - 100, expires=NOW + 1)
    accept("as long as the ttl", issued=NOW - 100, expires=NOW + 200)
    refuse("a second longer than the ttl", "ttl", issued=NOW - 100, expires=NOW + 201)
    refuse("expires as it is issued", "ttl", issued=NOW + 100, expires=NOW + 100)
    refuse("expires before it is issued", "ttl", issued=NOW + 100, expires=NOW + 50)
    refuse("longer than the ttl of today", "ttl", world.with_policy("prod", ttl=219))
    accept("just as long as the ttl of today", world.with_policy("prod", ttl=220))
    refuse("ttl of 0 lets nothing through", "ttl", world.with_policy("prod", ttl=0))
    refuse("unknown suite", "suite", suite="x25519")
    refuse("reserved suite", "suite", suite="mlkem768p256")
    for name, ephemeral in (
        ("off the curve", b"\x04" + bytes(64)), ("compressed", b"\x02" + bytes(32)), ("of 64 bytes", bytes(64)), ("of no bytes",
        b""),
        ("at infinity", b"\x00"),
    ):  # fmt: skip
        refuse(f"ephemeral key {name}", "ephemeral", ephemeral=b64(ephemeral))
    for name, hold, held in (
        ("subject", {"subject": "host/db-1", "until": NOW + 1}, True), ("subject, over", {"subject": "host/db-1",
        "until": NOW}, False),
        ("another subject", {"subject": "host/db-2", "until": NOW + 99}, False), ("the subject above", {"subject": "host",
        "until": NOW + 99}, False),
        ("path", {"match": KEY, "until": NOW + 1}, True), ("path, over", {"match": KEY, "until": NOW}, False),
        ("prefix", {"match": "prod/**", "until": NOW + 1}, True), ("all", {"match": "**", "until": NOW + 1}, True),
        ("another prefix", {"match": "prod/db/**", "until": NOW + 99}, False), ("the path above", {"match": "prod/api",
        "until": NOW + 99}, False),
        ("a path like the subject", {"match": "host/db-1", "until": NOW + 99}, False),
    ):  # fmt: skip
        roster = world.roster(holds=[{"subject": "host/other", "until": NOW + 9}, hold])
        if held:
            refuse(f"hold on the {name}", "hold", roster)
        else:
            accept(f"hold on {name} does not touch it", roster)
    refuse("no policy today", "no-policy", world.roster(policies=world.policies()[2:3]))


def _purpose(book: Book, world: World) -> None:
    """6: who may raise what"""

    def case(name: str, code: str, purpose: str = "reseal", roster: dict[str, Any] | None = None, **cert: Any) -> None:
        given = {"grade": "user", "host": "laptop", "key": world.person_signer.key, **cert}
        made = world.client_cert(**given)
        request = world.ask_reseal(KEY, cert=made, purpose=purpose).wrapper
        more = {"client_cert": made, "request": request, **({"roster": roster} if roster else {})}
        if code:
            book.refuse(f"purpose: {name}", "approver", code, **more)
        else:
            book.accept(f"purpose: {name}", "approver", **more)

    case("reseal by a sealer who approves too", "", subject="person/ana")
    case("reseal by a sealer alone", "", subject="person/dan")
    case("reseal by one who is no sealer", "purpose", subject="person/ben")
    case("reseal by nobody", "purpose", subject="person/zed")
    case(
        "reseal by one who was a sealer",
        "purpose",
        subject="person/dan",
        roster=world.roster(
            lambda value: (value["people"][3].update(roles=["auditor"]), value["people"][0].update(roles=["approver", "sealer"]))
        ),
    )
    case("reseal below a person", "purpose", subject="person/ana/laptop")
    case("reseal by `person` alone", "purpose", subject="person")
    case("reseal by a host", "purpose", subject="host/ana")
    case("reseal by something like a person", "purpose", subject="persons/ana")
    case("use by a person", "purpose", purpose="use", subject="person/ana")
    case("use below a person", "purpose", purpose="use", subject="person/ana/x/y")
    case("use by `person` alone", "", purpose="use", subject="person")
    case("use by something like a person", "", purpose="use", subject="persons/ana")
    case("reseal outside its scopes", "scope", subject="person/ana", scopes=["staging/**"])
    case(
        "reseal, held person",
        "hold",
        subject="person/ana",
        roster=world.roster(holds=[{"subject": "person/ana", "until": NOW + 1}]),
    )
    case("reseal, the policy of today wants two", "", subject="person/ana", roster=world.with_policy("prod", threshold=2))
    case("reseal, left the policy", "", subject="person/ana", roster=world.with_policy("prod", people=["cho"]))
    case(
        "reseal, the policy of today wants a better tier",
        "",
        subject="person/ana",
        roster=world.with_policy("prod", tier="device-bound"),
    )
    case("reseal, longer than the ttl of today", "ttl", subject="person/ana", roster=world.with_policy("prod", ttl=60))
    case("reseal, older than the floor", "version", subject="person/ana", roster=world.roster(floors=[[KEY, 3, 1]]))
    asked = world.ask_reseal().wrapper
    book.accept(
        "purpose: one's own approval counts", "approver", client_cert=world.person_cert, request=asked, own=["ana", "ana-phone"]
    )
    book.refuse("purpose: reseal, only in the policy of today", "approver", "not-approver", client_cert=world.person_cert,
    request=asked,
                own=["eve", "eve-phone"], roster=world.with_policy("prod", people=["eve"]))  # fmt: skip


def _memory(book: Book, world: World) -> None:
    """7.2 and 7.3: what this device remembers"""
    client, number = b64(oid_of(world.cert)), b64(world.secret("id-prod/api/key-")[:16])
    for name, memory, code in (
        ("decided before", {"decided": [["x", "y"], [client, number]], "secrets": {}}, "replay"),
        ("the same number of another client", {"decided": [[b64(bytes(32)), number]], "secrets": {}}, ""),
        ("another number of this client", {"decided": [[client, b64(bytes(16))]], "secrets": {}}, ""),
        ("a newer version seen", {"decided": [], "secrets": {KEY: [4, 0]}}, "version"),
        ("a newer revision seen", {"decided": [], "secrets": {KEY: [3, 1]}}, "version"),
        ("this version seen", {"decided": [], "secrets": {KEY: [3, 0]}}, ""),
        ("a newer version of another path", {"decided": [], "secrets": {"prod/api/kez": [9, 9], "prod": [9, 9]}}, ""),
    ):
        if code:
            book.refuse(f"memory: {name}", "approver", code, memory=memory)
        else:
            book.accept(f"memory: {name}", "approver", memory=memory)
    book.refuse("memory: the request wants a newer one", "approver", "version", request=world.ask(KEY, minimum=[3, 1]).wrapper)


def _secret_and_self(book: Book, world: World) -> None:
    """7.3"""

    def refuse(name: str, code: str, **given: Any) -> None:
        book.refuse(f"self: {name}", "approver", code, **given)

    refuse("secret of another path", "path-mismatch", secret=world.seal("prod/api/other").wrapper)
    refuse("secret by an approver", "sealer", secret=world.seal(device="ben-token").wrapper)
    refuse("secret of another organisation", "org", secret=world.seal(org=b64(bytes(32))).wrapper)
    refuse("secret with a stanza less", "recipients", secret=world.seal(edit=lambda value: value["stanzas"].pop()).wrapper)
    refuse("the policy of today wants two", "threshold", roster=world.with_policy("prod", threshold=2))
    refuse("left the policy", "not-approver", roster=world.with_policy("prod", people=["ana", "cho"]))
    refuse("not of the policy", "not-approver", own=["eve", "eve-phone"])
    refuse("a sealer", "not-approver", own=["dan", "dan-cli"])
    refuse("nobody", "not-approver", own=["zed", "zed-1"])
    refuse("device of another person", "device", own=["ben", "cho-phone"])
    refuse("device unknown", "device", own=["ben", "ben-2"])
    refuse("device out of date", "device", roster=world.with_device("ben-token", expires=NOW))
    refuse("device of tomorrow", "device", roster=world.with_device("ben-token", added=NOW + 1))
    refuse("tier too low", "tier", own=["cho", "cho-lab"])
    refuse(
        "the policy of today wants a better tier",
        "tier",
        own=["ana", "ana-phone"],
        roster=world.with_policy("prod", tier="device-gated"),
    )
    refuse(
        "a device that came after the seal",
        "not-recipient",
        own=["cho", "cho-lab"],
        roster=world.with_policy("prod", tier="soft"),
    )
    joined = world.with_policy("prod", people=["ana", "ben", "cho", "eve"])
    refuse("a person who came after the seal", "not-recipient", own=["eve", "eve-phone"], roster=joined)
    for own, position, index in ((["ana", "ana-laptop"], 0, 1), (["ana", "ana-phone"], 1, 1), (["cho", "cho-phone"], 3, 3)):
        book.accept(f"self: {own[1]}", "approver", own=own)
        found = book.cases[-1]["expect"]
        assert (found["position"], found["index"]) == (position, index)
    book.accept("self: position in the sealed policy, people reordered since", "approver",
                roster=world.with_policy("prod", people=["cho", "ben", "ana"]))  # fmt: skip
    for path in (MAIN, SOLO):
        book.accept(f"self: {path}", "approver", secret=world.seal(path).wrapper, request=world.ask(path).wrapper)


def _cards(book: Book, world: World) -> None:
    def ask(path: str, **changes: Any) -> dict[str, Any]:
        return world.ask(path, **changes).wrapper

    def cards(name: str, expect: list[list[int]], *requests: dict[str, Any]) -> None:
        book.accept(f"cards: {name}", "cards", {"cards": expect}, requests=list(requests))

    one, two, three = (ask(f"prod/api/{name}") for name in "abc")
    cards("none", [])
    cards("one", [[0]], one)
    cards("three of one command", [[0, 1, 2]], one, two, three)
    cards("one between two of another", [[0, 2], [1]], one, ask("prod/api/x", issued=NOW - 21), two)
    cards("order of arrival", [[0], [1, 2]], ask("prod/z", expires=NOW + 1), one, two)
    cards("ids, paths, windows and keys may differ", [[0, 1]], one, ask("prod/api/b", window=1, uses=3, minimum=[9, 9]))
    for name, change in (
        ("another client", {"client": b64(sha256(b"x"))}),
        ("another second", {"issued": NOW - 19}),
        ("another reason", {"edit": lambda value: value["claimed"].update(reason="x")}),
        ("no reason", {"edit": lambda value: value["claimed"].pop("reason")}),
        ("other words", {"edit": lambda value: value["claimed"].update(argv=["psql", "-l", ""])}),
        ("another account", {"edit": lambda value: value["observed"].update(uid=1002)}),
        ("another program", {"edit": lambda value: value["observed"].update(exe_sha256=b64(bytes(32)))}),
        ("another chain", {"edit": lambda value: value["observed"].update(chain=[])}),
        ("a container", {"edit": lambda value: value["observed"].update(container="c")}),
    ):
        cards(name, [[0], [1]], one, ask("prod/api/b", **change))
