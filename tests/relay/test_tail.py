"""The tail of the feed: everybody gets their own, in order, once; the store is read once a wake-up; what is kept is bounded."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stillvault.relay.hub import Hub
from stillvault.relay.store import events, schema
from stillvault.relay.store.connection import Connection, open_writer
from stillvault.relay.tail import KEPT, Tail

PEOPLE = ("person/alice", "person/ben", "person/cho")


@pytest.fixture
def db(directory: Path) -> Iterator[Connection]:
    with closing(open_writer(directory / "x.db")) as connection:
        schema.migrate(connection)
        yield connection


def told(db: Connection, audience: str, count: int = 1) -> None:
    with db:
        for _ in range(count):
            events.add(db, audience, "state", 1, "", "", "", "")


@pytest.mark.parametrize("seed", range(5))
def test_everybody_gets_their_own_once_and_in_order(db: Connection, seed: int) -> None:
    """Also who comes seldom, who begins in the middle, and whoever is asked before the wake-up that belongs to a commit."""
    chance = random.Random(seed)
    hub = Hub()
    tail = Tail(db, hub)
    cursors, got = dict.fromkeys(PEOPLE, 0), {person: list[int]() for person in PEOPLE}

    def read(person: str, limit: int) -> int:
        found, cursors[person] = tail.read((person, "all"), cursors[person], limit)
        got[person] += [one.id for one in found]
        return len(found)

    for _ in range(120):
        told(db, chance.choice((*PEOPLE, "all", "person/nobody")), chance.choice((1, 2, 5, 40, KEPT // 4)))
        if chance.random() < 0.6:
            hub.wake(())
        for person, often in zip(PEOPLE, (0.9, 0.3, 0.02), strict=True):
            if chance.random() < often:
                read(person, chance.choice((3, 500)))
        assert len(tail) <= 2 * KEPT
    hub.wake(())
    for person in PEOPLE:
        while read(person, 500):
            pass
        assert got[person] == [one.id for one in events.after(db, (person, "all"), 0, 1_000_000)]
        assert cursors[person] == events.cursor(db)


def test_a_wake_up_reads_the_store_once(db: Connection) -> None:
    hub = Hub()
    tail, statements = Tail(db, hub), list[str]()
    listeners = {f"person/p{number}": tail.read((f"person/p{number}",), 0, 500)[1] for number in range(100)}
    db.exec_trace = lambda _cursor, sql, _values: statements.append(sql) or True
    for _ in range(3):
        told(db, "person/p7")
        statements.clear()
        hub.wake(())
        found = {name: tail.read((name,), cursor, 500) for name, cursor in listeners.items()}
        assert len(statements) == 1
        assert {name for name, (heard, _) in found.items() if heard} == {"person/p7"}
        listeners = {name: cursor for name, (_, cursor) in found.items()}
        assert set(listeners.values()) == {events.cursor(db)}, "who heard nothing does not look through it again"
