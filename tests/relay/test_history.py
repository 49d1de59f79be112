"""What a use case costs does not grow with all that was asked before: its statements take as many steps of SQLite with 2,000 old
requests of the same client as with 100. Steps are counted, not timed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from stillvault.relay.services import limits as prompts
from stillvault.relay.settings import Limits
from stillvault.relay.store import counting, events, limits, requests, schema, secrets, targets
from stillvault.relay.store.connection import Connection, open_writer
from stillvault.relay.store.requests import StoredRequest
from stillvault.relay.store.secrets import StoredSecret
from stillvault.relay.store.transaction import Transaction
from stillvault.relay.store.tree import Tree
from tests.relay.parties import now

KEY = bytes(32)
NOW, LONG_AGO = now(), now() - 3 * 86_400
FEW, MANY = 100, 2000


def kept(db: Connection, number: int, state: str = "delivered", **changes: object) -> None:
    """A request of the one client, for the one secret."""
    oid = number.to_bytes(32, "big")
    row: dict[str, object] = {
        "oid": oid, "client": KEY, "key": KEY, "subject": "host/db-1", "host": "db-1", "id": str(number), "path": "prod/db",
        "purpose": "use", "identity": KEY, "observed": KEY, "card": oid, "secret": KEY, "state": state, "threshold": 1,
        "deny": "veto", "people": ["alice"], "asked": ["alice"], "handed": 1, "created": LONG_AGO, "expires": LONG_AGO + 120,
        "lease_ends": 0, "signed": b"signed",
    }  # fmt: skip
    assert requests.add(db, StoredRequest(**(row | changes)))  # type: ignore[arg-type]


def history(directory: Path, count: int) -> Connection:
    """A database with so many requests of days ago, delivered or lost; one that waits, one that is lost, one with a lease."""
    db = open_writer(directory / f"{count}.db")
    schema.migrate(db)
    with db:
        for number in range(count):
            kept(db, number, "expired" if number % 4 == 0 else "delivered")
            events.add(db, "person/alice", "prompt", NOW - 100, "", "", "prod/db", "")
        kept(db, count, "pending", expires=NOW + 100)
        kept(db, count + 1, "expired", expires=NOW - 100)
        kept(db, count + 2, lease_ends=NOW + 100)
    return db


def steps(db: Connection, work: Callable[[Connection], object]) -> tuple[int, object]:
    """The steps of all statements of `work`, and what it gave."""
    taken = 0

    def ended(event: dict[str, object]) -> None:
        nonlocal taken
        status = event["stmt_status"]
        assert isinstance(status, dict)
        taken += status["SQLITE_STMTSTATUS_VM_STEP"]

    db.trace_v2(apsw.SQLITE_TRACE_PROFILE, ended)
    try:
        with db:
            found = work(db)
    finally:
        db.trace_v2(0)
    return taken, found


def asked(db: Connection) -> object:
    """Whether one more card may reach people, and what it replaces."""
    tx = Transaction(db, Tree(db))
    card = prompts.Card(bytes(31) + b"c", KEY, KEY, "host/db-1", "use", ["prod/other"], trusted=True)
    prompts.check(tx, Limits(), card, NOW)
    people = prompts.askable(tx, Limits(), ["alice"], card, 1, NOW)
    return people, len(requests.same(db, KEY, "prod/db", "use", KEY)), limits.pending_of_client(db, KEY)


def tended(db: Connection) -> object:
    """The rounds that time asks for."""
    found = [len(requests.due(db, NOW)), len(requests.ended_leases(db, NOW)), targets.next_due(db)]
    events.sweep(db, NOW - 1000)
    return found, events.cursor(db) == db.execute("SELECT count(*) FROM events").get


USE_CASES: dict[str, tuple[Callable[[Connection], object], object]] = {
    "a request": (asked, (["alice"], 1, 1)),
    "what waits": (lambda db: (len(requests.pending(db)), counting.waiting(db)), (1, 1)),
    "the list of leases": (lambda db: (len(requests.all_leased(db, NOW, 10)), requests.granted_by(db, NOW, 10)), (1, {})),
    "how many leases": (lambda db: counting.leases(db, NOW), 1),
    "a freeze": (lambda db: len(requests.leased(db, KEY, NOW)), 1),
    "a newer version": (lambda db: len(requests.touched_by_path(db, "prod/db", NOW)), 3),
    "a new roster": (lambda db: len(requests.touched_by_roster(db, NOW)), 3),
    "the sweeper": (tended, ([0, 0, None], True)),
}


@pytest.mark.parametrize("name", USE_CASES)
def test_the_past_costs_nothing(directory: Path, name: str) -> None:
    work, wanted = USE_CASES[name]
    with closing(history(directory, FEW)) as few, closing(history(directory, MANY)) as many:
        less, found = steps(few, work)
        more, found_too = steps(many, work)
    assert found == found_too == wanted
    assert 0 < more <= less * 1.1 + 20, f"{less} steps became {more}"


@pytest.mark.parametrize(("prefix", "after", "first"), [
    ("", "", "p/000/0"), ("", "p/004/9", "p/005/0"), ("p", "", "p/000/0"), ("p", "p/004/9", "p/005/0"), ("p/005", "", "p/005/0"),
    ("p/005", "p/005/3", "p/005/4"), ("p/005", "a", "p/005/0"), ("p/005", "z", None), ("p/005/3", "", "p/005/3"),
    ("p/0", "", None),
])  # fmt: skip
def test_a_page_of_secrets_costs_a_page(directory: Path, prefix: str, after: str, first: str | None) -> None:
    """However many secrets there are before, behind and beside it."""

    def page(db: Connection) -> object:
        return [one.path for one in secrets.listed(db, prefix, after, 5)]

    taken = []
    for count in (FEW, MANY):
        with closing(open_writer(directory / f"{count}.db")) as db:
            schema.migrate(db)
            with db:
                for number in range(count):
                    path = f"p/{number // 10:03d}/{number % 10}"
                    secrets.add(db, StoredSecret(number.to_bytes(32, "big"), path, 1, 0, b"signed"), b"", NOW)
            used, found = steps(db, page)
            assert next(iter(found), None) == first  # type: ignore[call-overload]
            taken.append(used)
    assert 0 < taken[1] <= taken[0] * 1.1 + 20, taken


def test_old_events_go_and_the_others_stay(directory: Path) -> None:
    """Also when the clock was set back in between, and when all are old."""
    with closing(history(directory, 0)) as db:
        for at in (10, 20, 30, 15, 40):
            events.add(db, "all", "state", at, "", "", "", "")
        left = []
        for before in (10, 21, 41):
            events.sweep(db, before)
            left.append([one.id for one in events.after(db, ["all"], 0, 10)])
        assert left == [[1, 2, 3, 4, 5], [3, 4, 5], []]
        assert events.cursor(db) == 5
