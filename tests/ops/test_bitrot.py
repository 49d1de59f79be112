"""Bits of a database file flip: whatever that did to something signed, sealed or logged, doctor complains. R6, B2."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from stillvault.relay import doctor, rowfacts
from stillvault.relay.settings import Settings
from stillvault.relay.store import schema
from stillvault.relay.store.connection import open_writer
from tests.ops.golden.make import golden
from tests.reference.world import NOW

FLIPS = int(os.environ.get("FLIPS", "600"))
# What a flip may not change without a word. Nobody signed the rest: states, sessions, feeds, counters, invitations' terms.
SIGNED = {
    "roots": "version, oid, signed",
    "rosters": "version, oid, signed",
    "certs": "oid, subject, key, signed, issued",
    "secrets": "oid, path, version, revision, signed, ciphertext",
    "requests": "oid, client, id, path, purpose, expires, signed",
    "votes": "request, person, device, verdict, decision, expires, window",
    "decisions": "oid, signed",
    "reports": "oid, request, signed",
    "invites": "invite, enrol, enrol_oid",
    "leaves": "position, leaf",
    "nodes": "level, position, hash",
}


@pytest.fixture
def settings(directory: Path) -> Settings:
    (directory / "stillvault.db").write_bytes(gzip.decompress(golden(len(schema.migrations())).read_bytes()))
    return Settings(data=str(directory))


def held(file: Path) -> dict[str, list[str]] | str:
    """Everything that must not change, or why it cannot be read."""
    try:
        with closing(apsw.Connection(str(file))) as database:
            rows = {table: database.execute(f"SELECT {columns} FROM {table}") for table, columns in SIGNED.items()}
            return {table: sorted(map(repr, found)) for table, found in rows.items()}
    except (apsw.Error, UnicodeDecodeError) as error:
        return type(error).__name__


def complaints(settings: Settings) -> str:
    return "; ".join(f"{name}: {found}" for name, well, found in doctor.look_inside(settings, NOW) if not well)


def flipped(content: bytes, draw: random.Random) -> Iterator[tuple[int, bytes]]:
    while True:
        place = draw.randrange(len(content))
        yield place, content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def test_every_harmful_flip_of_the_file_is_found(settings: Settings) -> None:
    file = settings.directory / "stillvault.db"
    whole, before = file.read_bytes(), held(file)
    assert isinstance(before, dict)
    assert complaints(settings) == ""
    missed, harmful = [], 0
    for number, (place, broken) in enumerate(flipped(whole, random.Random(6)), 1):
        for extra in ("-wal", "-shm"):
            file.with_name(file.name + extra).unlink(missing_ok=True)
        file.write_bytes(broken)
        now = held(file)
        if now != before:
            harmful += 1
            if not complaints(settings):
                changed = now if isinstance(now, str) else [table for table in SIGNED if now[table] != before[table]]
                missed.append((place, changed))
        if number == FLIPS:
            break
    print(f"\n{FLIPS} flips of {len(whole)} bytes: {harmful} harmful, {harmful - len(missed)} found")
    assert harmful > FLIPS // 10
    assert missed == []


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ("UPDATE roots SET version = 2", "roots"),
        ("UPDATE rosters SET version = 8", "rosters"),
        ("UPDATE certs SET subject = 'host/eve' WHERE subject = 'host/db-1'", "certs"),
        ("UPDATE certs SET key = randomblob(32)", "certs"),
        ("UPDATE requests SET path = 'prod/solo' WHERE seq = 1", "requests"),
        ("UPDATE requests SET expires = expires + 1 WHERE seq = 1", "requests"),
        ("UPDATE requests SET client = randomblob(32) WHERE seq = 1", "requests"),
        ("UPDATE votes SET verdict = 'approve' WHERE verdict = 'deny'", "votes"),
        ("UPDATE votes SET person = 'eve' WHERE verdict = 'deny'", "votes"),
        ("UPDATE votes SET window = 28800 WHERE verdict = 'deny'", "votes"),
        ("UPDATE votes SET decision = randomblob(32) WHERE verdict = 'deny'", "votes"),
        ("UPDATE reports SET request = (SELECT oid FROM requests WHERE seq = 1)", "reports"),
        ("DELETE FROM leaves WHERE position = 20", "log"),
        ("DELETE FROM leaves WHERE position = 7", "log"),
        ("DELETE FROM nodes WHERE level = 0 AND position = 20", "log"),
        ("UPDATE nodes SET hash = randomblob(32) WHERE level = 2 AND position = 1", "log"),
    ],
)
def test_an_edit_beside_what_was_signed_is_named(settings: Settings, edit: str, named: str) -> None:  # B4, B5
    with closing(open_writer(settings.directory / "stillvault.db")) as database:
        assert list(rowfacts.differing(database)) == []
        database.execute(edit)
        assert database.changes() > 0
    assert named in complaints(settings)
