"""own-lifecycle.json: each row of the table of section 9, its edges, and section 10."""

from __future__ import annotations

from typing import Any

from tests.reference.world import World

from .book import Book

T0 = 1_900_000_000
ROW = {
    "state": "pending", "threshold": 2, "deny": "veto", "people": ["ana", "ben", "cho"], "expires": T0 + 200, "approvals": {},
    "denied": [], "seen": [], "handed": False,
}  # fmt: skip
END = ["delete-releases", "withdraw"]
PURGE = ["delete-releases", "purge"]


def at(kind: str, when: int = 10, **more: Any) -> dict[str, Any]:
    return {"at": T0 + when, "kind": kind, **more}


def yes(person: str, when: int = 10, until: int = 200, oid: str = "") -> dict[str, Any]:
    return at("approve", when, person=person, oid=oid or f"yes-{person}", expires=T0 + until)


def no(person: str, when: int = 10, oid: str = "") -> dict[str, Any]:
    return at("deny", when, person=person, oid=oid or f"no-{person}")


def freeze(person: str, when: int = 10) -> dict[str, Any]:
    return at("freeze", when, person=person, oid=f"freeze-{person}")


def receipt(result: str, when: int = 20, oid: str = "receipt") -> dict[str, Any]:
    return at("receipt", when, result=result, oid=oid)


HANDED = [yes("ana"), yes("ben")]
HANDED_STEPS = [["pending", 1, ["keep"]], ["approved", 2, ["hand-over", "withdraw"]]]
OVER = {"delivered": ["delete-releases", "lease"], "failed": ["delete-releases", "alarm"]}


def make(world: World) -> Book:
    book = Book("own-lifecycle", {"life": {"row": ROW}})
    _pending(book)
    _deny(book)
    _handed(book)
    _closed(book)
    _leases(book)
    _hits(book)
    return book


def _life(book: Book, name: str, events: list[Any], steps: list[Any], **row: Any) -> None:
    given: dict[str, Any] = {"events": events}
    if row:
        given["row"] = {**ROW, **row}
    book.accept(name, "life", {"steps": steps}, **given)


def _pending(book: Book) -> None:
    _life(book, "one of one", [yes("cho")], [["approved", 1, ["hand-over", "withdraw"]]], threshold=1)
    _life(book, "newer request", [at("newer-request")], [["cancelled", 0, ["delete-releases", "move-prompt"]]])
    _life(book, "cancel", [yes("ana"), at("cancel")], [["pending", 1, ["keep"]], ["cancelled", 1, END]])
    _life(book, "client revoked", [at("client-revoked")], [["cancelled", 0, END]])
    _life(book, "expiry", [at("tick", 199), at("tick", 200)], [["pending", 0, []], ["expired", 0, END]])
    _life(book, "expiry once", [at("tick", 200), at("tick", 201)], [["expired", 0, END], ["expired", 0, []]])
    _life(book, "a stranger approves", [yes("eve")], [["pending", 0, ["stranger"]]])
    _life(book, "a stranger denies", [no("eve")], [["pending", 0, ["stranger"]]])
    _life(book, "a stranger freezes", [freeze("eve")], [["pending", 0, ["stranger"]]])
    _life(
        book,
        "one approves twice, other oid",
        [yes("ana"), yes("ana", oid="other")],
        [["pending", 1, ["keep"]], ["pending", 1, ["late"]]],
    )
    _life(book, "an oid seen before, at the start", [yes("ana")], [["pending", 0, ["repeat"]]], seen=["yes-ana"])
    _life(
        book,
        "an approve that lapsed no longer counts",
        [yes("ana", 10, 50), yes("ben", 60)],
        [["pending", 1, ["keep"]], ["pending", 1, ["keep"]]],
    )
    _life(
        book,
        "an approve that lapsed, seen by a tick",
        [yes("ana", 10, 50), at("tick", 49), at("tick", 50)],
        [["pending", 1, ["keep"]], ["pending", 1, []], ["pending", 0, []]],
    )
    _life(
        book,
        "approve anew after a lapse",
        [yes("ana", 10, 50), yes("ana", 60, 200, "again"), yes("ben", 61)],
        [["pending", 1, ["keep"]], ["pending", 1, ["keep"]], ["approved", 2, ["hand-over", "withdraw"]]],
    )
    _life(book, "an approve that lapsed before it came", [yes("ana", 60, 50)], [["pending", 0, ["late"]]])
    _life(
        book,
        "roster drops one who approved",
        [yes("ana"), at("roster-drops", person="ana"), yes("ben"), yes("cho")],
        [["pending", 1, ["keep"]], ["pending", 0, []], ["pending", 1, ["keep"]], ["approved", 2, ["hand-over", "withdraw"]]],
    )
    _life(
        book,
        "one dropped is a stranger",
        [at("roster-drops", person="ana"), yes("ana")],
        [["pending", 0, []], ["pending", 0, ["stranger"]]],
    )
    _life(
        book,
        "newer version, both approve anew",
        [yes("ana"), at("newer-version"), yes("ana", oid="2"), yes("ben")],
        [
            ["pending", 1, ["keep"]],
            ["pending", 0, ["delete-releases", "refresh-prompt"]],
            ["pending", 1, ["keep"]],
            ["approved", 2, ["hand-over", "withdraw"]],
        ],
    )
    _life(
        book,
        "newer version, the old approve again",
        [yes("ana"), at("newer-version"), yes("ana")],
        [["pending", 1, ["keep"]], ["pending", 0, ["delete-releases", "refresh-prompt"]], ["pending", 0, ["repeat"]]],
    )
    for result in ("delivered", "failed", "discarded"):
        _life(book, f"receipt {result} of nothing", [receipt(result)], [["pending", 0, ["late"]]])


def _deny(book: Book) -> None:
    _life(book, "veto", [no("ana")], [["denied", 0, [*END, "cool-down"]]])
    _life(
        book,
        "veto after an approve of another",
        [yes("ana"), no("ben")],
        [["pending", 1, ["keep"]], ["denied", 1, [*END, "cool-down"]]],
    )
    _life(
        book,
        "a deny replaces one's own approve",
        [yes("ana"), no("ana")],
        [["pending", 1, ["keep"]], ["denied", 0, [*END, "cool-down"]]],
    )
    _life(book, "freeze", [freeze("cho")], [["denied", 0, [*END, "cool-down", "hold"]]])
    _life(book, "freeze under count", [freeze("cho")], [["denied", 0, [*END, "cool-down", "hold"]]], deny="count")
    _life(
        book,
        "count: too few are left",
        [no("ana"), no("ben")],
        [["pending", 0, []], ["denied", 0, [*END, "cool-down"]]],
        deny="count",
    )
    _life(
        book,
        "count: own approve replaced",
        [yes("ana"), no("ana"), yes("ben"), yes("cho")],
        [["pending", 1, ["keep"]], ["pending", 0, []], ["pending", 1, ["keep"]], ["approved", 2, ["hand-over", "withdraw"]]],
        deny="count",
    )
    _life(
        book,
        "count: the same person twice is one",
        [no("ana"), no("ana", oid="again")],
        [["pending", 0, []], ["pending", 0, ["late"]]],
        deny="count",
    )
    _life(
        book,
        "count: one of one wanted",
        [no("ana"), no("ben"), yes("cho")],
        [["pending", 0, []], ["pending", 0, []], ["approved", 1, ["hand-over", "withdraw"]]],
        deny="count",
        threshold=1,
    )
    _life(book, "count: all of three wanted", [no("ana")], [["denied", 0, [*END, "cool-down"]]], deny="count", threshold=3)
    _life(
        book,
        "count: one dropped counts no more",
        [at("roster-drops", person="cho"), no("ana")],
        [["pending", 0, []], ["denied", 0, [*END, "cool-down"]]],
        deny="count",
    )
    _life(book, "deny in the second of expiry", [no("ana", 200)], [["expired", 0, [*END, "late"]]])


def _handed(book: Book) -> None:
    for result, effects in OVER.items():
        _life(book, f"receipt {result}", [*HANDED, receipt(result)], [*HANDED_STEPS, [result, 2, effects]])
        _life(
            book,
            f"receipt {result} after expiry",
            [*HANDED, receipt(result, 300)],
            [*HANDED_STEPS, [result, 2, [*END, *effects]]],
        )
    _life(
        book,
        "receipt discarded after expiry",
        [*HANDED, receipt("discarded", 300)],
        [*HANDED_STEPS, ["failed", 2, [*END, "delete-releases"]]],
    )
    delivered = [*HANDED_STEPS, ["delivered", 2, OVER["delivered"]]]
    later = {
        "deny": no("cho", 30), "freeze": freeze("cho", 30), "newer version": at("newer-version", 30),
        "client revoked": at("client-revoked", 30), "approver dropped": at("roster-drops", 30, person="ben"),
        "deny of one who approved": no("ana", 30),
    }  # fmt: skip
    for name, event in later.items():
        _life(book, f"handed over: {name}", [*HANDED, event], [*HANDED_STEPS, ["revoked", 2, PURGE]])
        _life(book, f"delivered: {name}", [*HANDED, receipt("delivered"), event], [*delivered, ["revoked", 2, PURGE]])
        past = {**event, "at": T0 + 300}
        _life(book, f"expired after the hand-over: {name}", [*HANDED, past], [*HANDED_STEPS, ["revoked", 2, [*END, *PURGE]]])
    quiet = {"another person dropped": at("roster-drops", 30, person="cho"), "cancel": at("cancel", 30),
             "newer request": at("newer-request", 30), "tick": at("tick", 30)}  # fmt: skip
    for name, event in quiet.items():
        _life(book, f"handed over: {name} changes nothing", [*HANDED, event], [*HANDED_STEPS, ["approved", 2, []]])
        _life(
            book, f"delivered: {name} changes nothing", [*HANDED, receipt("delivered"), event], [*delivered, ["delivered", 2, []]]
        )
    _life(book, "handed over: an approve is late", [*HANDED, yes("cho")], [*HANDED_STEPS, ["approved", 2, ["late"]]])
    _life(book, "handed over: a repeated approve", [*HANDED, yes("ben")], [*HANDED_STEPS, ["approved", 2, ["repeat"]]])
    _life(book, "handed over: a stranger's deny", [*HANDED, no("eve")], [*HANDED_STEPS, ["approved", 2, ["stranger"]]])
    _life(book, "delivered does not expire", [*HANDED, receipt("delivered"), at("tick", 300)], [*delivered, ["delivered", 2, []]])
    _life(
        book,
        "delivered: a second receipt is late",
        [*HANDED, receipt("delivered"), receipt("failed", oid="r2")],
        [*delivered, ["delivered", 2, ["late"]]],
    )
    _life(
        book,
        "count: one deny revokes",
        [no("cho"), *HANDED, freeze("ana", 30)],
        [["pending", 0, []], *HANDED_STEPS, ["revoked", 2, PURGE]],
        deny="count",
    )


def _closed(book: Book) -> None:
    """From a state of no return nothing leads on."""
    for state in ("denied", "cancelled", "failed", "revoked", "expired"):
        for event, effects in (
            (yes("ana"), ["late"]), (no("ana"), ["late"]), (freeze("ana"), ["late"]), (receipt("delivered"), ["late"]),
            (at("cancel"), []), (at("newer-version"), []), (at("client-revoked"), []), (at("roster-drops", person="ana"), []),
            (at("newer-request"), []), (at("tick", 500), []),
        ):  # fmt: skip
            _life(book, f"{state}: {event['kind']} leads nowhere", [event], [[state, 0, effects]], state=state)


def _leases(book: Book) -> None:
    wide = {"window": 900, "uses": 0, "scope": "process"}
    plain = {
        "policy": wide,
        "sealed_policy": wide,
        "items": [{"window": 900, "uses": 0}],
        "request": {"window": 900, "uses": 0, "purpose": "use"},
    }

    def lease(name: str, expect: tuple[int, int, str], **changes: Any) -> None:
        given = {**plain, **changes}
        book.accept(f"lease: {name}", "lease", dict(zip(("window", "uses", "scope"), expect, strict=True)), **given)

    lease("all alike", (900, 0, "process"))
    lease("least by the policy", (10, 0, "process"), policy={**wide, "window": 10})
    lease("least by the sealed policy", (11, 0, "process"), sealed_policy={**wide, "window": 11})
    lease("least by one of two decisions", (12, 0, "process"), items=[{"window": 900, "uses": 0}, {"window": 12, "uses": 0}])
    lease("least by the request", (13, 0, "process"), request={"window": 13, "uses": 0, "purpose": "use"})
    lease(
        "ceiling of eight hours",
        (28800, 0, "process"),
        policy={**wide, "window": 90000},
        sealed_policy={**wide, "window": 90000},
        items=[{"window": 90000, "uses": 0}],
        request={"window": 90000, "uses": 0, "purpose": "use"},
    )
    lease("uses: the least that is not 0", (900, 2, "process"), policy={**wide, "uses": 5}, items=[{"window": 900, "uses": 2}])
    lease("uses of the sealed policy", (900, 4, "process"), sealed_policy={**wide, "uses": 4})
    lease("uses of the request", (900, 3, "process"), request={"window": 900, "uses": 3, "purpose": "use"})
    lease("uses 1 is the delivery", (900, 1, "process"), request={"window": 900, "uses": 1, "purpose": "use"})
    lease("window 0 is given with uses 1", (0, 1, "process"), policy={**wide, "window": 0, "uses": 7})
    lease(
        "scope of the current policy", (900, 0, "unit"), policy={**wide, "scope": "unit"}, sealed_policy={**wide, "scope": "exe"}
    )
    lease(
        "a reseal makes none",
        (0, 1, "task"),
        policy={**wide, "scope": "task"},
        request={"window": 900, "uses": 9, "purpose": "reseal"},
    )


def _hits(book: Book) -> None:
    mine = {"uid": 1001, "exe": [8, 77, 5, "abc"]}
    lease = {"window": 600, "uses": 3, "scope": "exe", "id": mine}
    book.defaults["hit"] = {"lease": lease, "start": 1000, "used": 1, "boot": 1100, "before": mine, "after": mine}
    for name, given in (
        ("first second", {"boot": 1000}), ("last second", {"boot": 1599}), ("last use", {"used": 2}),
        ("no limit of uses", {"used": 10_000, "lease": {**lease, "uses": 0}}),
    ):  # fmt: skip
        book.accept(f"hit: {name}", "hit", {}, **given)
    for name, code, given in (
        ("the second that it ends", "lease-window", {"boot": 1600}), ("long after", "lease-window", {"boot": 99_999}),
        ("clock before the start", "lease-window", {"boot": 999}), ("no window", "lease-window", {"lease": {**lease,
        "window": 0}, "boot": 1000}),
        ("uses spent", "lease-uses", {"used": 3}), ("more than spent", "lease-uses", {"used": 4}),
        ("one use is the delivery", "lease-uses", {"lease": {**lease, "uses": 1}}),
        ("another account before", "lease-scope", {"before": {**mine, "uid": 1002}}),
        ("another account after", "lease-scope", {"after": {**mine, "uid": 1002}}),
        ("another program in both", "lease-scope", {"before": {**mine, "exe": [8, 77, 6, "abc"]}, "after": {**mine,
        "exe": [8, 77, 6, "abc"]}}),
        ("a digest changed after", "lease-scope", {"after": {**mine, "exe": [8, 77, 5, "abd"]}}),
        ("nothing known before", "lease-scope", {"before": {}}), ("more known after", "lease-scope", {"after": {**mine,
        "unit": "x"}}),
    ):  # fmt: skip
        book.refuse(f"hit: {name}", "hit", code, **given)
