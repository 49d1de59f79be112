"""Makes the golden databases: one for each migration, as a relay of that schema would have left it.

    python -m tests.ops.golden.make        writes those that are missing; a golden that stands is never made anew

What is in them follows from the seed of the reference's world, so everything that is signed verifies at its moment `NOW`. Whoever
adds a migration adds rows for its tables and columns to `rows`, runs this, and commits the file with the migration.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from stillvault.relay.store import schema, tree
from stillvault.relay.store.connection import Connection, open_writer
from stillvault.relay.store.transaction import Transaction
from tests.reference import signed
from tests.reference.encoding import b64, encode, parse_json, sha256, unb64
from tests.reference.world import NOW, Asked, Sealed, World, sign

HERE = Path(__file__).parent
ORIGIN = "https://vault.example.org"
Row = tuple[str, dict[str, Any]]


def golden(number: int) -> Path:
    """The golden database of a schema, packed."""
    return HERE / f"{number:04}.db.gz"


def rows() -> Iterator[Row]:
    """(table, columns) of everything that the newest schema can hold. An older one takes the tables and columns that it has."""
    world = World()
    root, roster = encode(world.roots[0]), encode(world.roster_wrapper)
    yield "meta", {"name": "origin", "value": ORIGIN}
    yield "roots", {"version": 1, "oid": signed.oid_of(world.roots[0]), "signed": root}
    yield "rosters", {"seq": 1, "root": 1, "version": 7, "oid": signed.oid_of(world.roster_wrapper), "signed": roster,
                      "stored": NOW}
    key = sha256(unb64(world.client_signer.key["public"]))
    certs = (world.cert, "host/db-1", world.client_signer), (world.person_cert, "person/ana", world.person_signer)
    for cert, subject, signer in certs:
        yield "certs", {"oid": signed.oid_of(cert), "subject": subject, "key": sha256(unb64(signer.key["public"])),
                        "signed": encode(cert), "issued": NOW - 9 * 86_400, "stored": NOW, "last_seen": NOW, "trusted": 1}
    for seq, path in enumerate(("prod/api/key", "prod/db/main", "prod/db/root", "prod/solo"), 1):
        sealed = world.seal(path, path.encode())
        yield "secrets", {"seq": seq, "oid": sealed.oid, "path": path, "version": 3, "revision": 0, "newest": 1, "stored": NOW,
                          "signed": encode(sealed.wrapper), "ciphertext": sealed.ciphertext}
        asked = world.ask(path)
        yield from _request(world, key, seq, asked, sealed)
    yield from _around(world, key)


def _request(world: World, key: bytes, seq: int, asked: Asked, sealed: Sealed) -> Iterator[Row]:
    """A request in each state that counts, with what was said about it."""
    payload = parse_json(unb64(asked.wrapper["payload"]))
    state = ("pending", "delivered", "denied", "approved")[seq - 1]
    core = sealed.core
    yield "requests", {"seq": seq, "oid": asked.oid, "client": signed.oid_of(world.cert), "key": key, "subject": "host/db-1",
                       "host": "db-1.example.org", "id": payload["id"], "path": core["path"], "purpose": "use",
                       "identity": sha256(b"identity"), "observed": encode(payload["observed"]), "card": sha256(b"card%d" % seq),
                       "secret": sealed.oid, "state": state, "threshold": core["policy"]["threshold"], "deny": "veto",
                       "people": '["ana","ben","cho"]', "asked": '["ana"]', "handed": int(state == "delivered"), "created": NOW,
                       "expires": NOW + 200, "lease_ends": NOW + 900 if state == "delivered" else 0, "used": 2,
                       "signed": encode(asked.wrapper)}
    yield "cards", {"card": sha256(b"card%d" % seq), "key": key, "identity": sha256(b"identity"), "purpose": "use", "at": NOW}
    yield "asks", {"person": "ana", "at": NOW, "card": sha256(b"card%d" % seq)}
    yield "prompted", {"request": asked.oid, "person": "ana", "device": "ana-phone", "channel": "sse"}
    if state == "pending":
        return
    device = next(entry for entry in core["recipients"] if entry[1] != "recovery")
    verdict = "deny" if state == "denied" else "approve"
    decision = world.decide(device[2], [(asked, sealed)], verdict=verdict)
    oid = signed.oid_of(decision)
    yield "decisions", {"oid": oid, "signed": encode(decision), "stored": NOW}
    yield "votes", {"request": asked.oid, "person": device[1], "device": device[2], "verdict": verdict, "decision": oid,
                    "expires": NOW + 200, "window": 700, "enc": "enc" if state == "approved" else ""}
    yield "seen", {"request": asked.oid, "oid": oid}
    if state == "denied":
        yield "denials", {"request": asked.oid, "key": key, "identity": sha256(b"identity"), "path": core["path"], "at": NOW}
        yield "holds", {"subject": "host/db-2", "until": NOW + 3600, "decision": oid}
    if state == "delivered":
        said = {"org": world.pin, "request": b64(asked.oid), "secret": b64(sealed.oid), "result": "delivered", "issued": NOW}
        receipt = sign("receipt", said, world.client_signer)
        yield "reports", {"oid": signed.oid_of(receipt), "request": asked.oid, "signed": encode(receipt), "stored": NOW}


def _around(world: World, key: bytes) -> Iterator[Row]:
    """What stands around the signed objects: bearers, invites, feeds, notification targets."""
    nonce = sha256(b"nonce")
    enrol = world.enrol(nonce, world.signer("new-device", "ed25519"))
    payload = parse_json(unb64(enrol["payload"]))
    yield "invites", {"invite": unb64(payload["invite"]), "bearer": sha256(b"bearer"), "kind": "person", "subject": "gus",
                      "roles": '["approver"]', "scopes": "[]", "host": "", "grade": "", "created": NOW, "expires": NOW + 1800,
                      "created_by": "ana", "state": "joined", "enrol": encode(enrol), "enrol_oid": signed.oid_of(enrol),
                      "ticket": sha256(b"ticket"), "device": ""}
    yield "setup_tokens", {"hash": sha256(b"token"), "expires": NOW + 1800}
    yield "sessions", {"hash": sha256(b"session"), "person": "ana", "device": "ana-phone", "client": b"", "expires": NOW + 900,
                       "created": NOW, "last_seen": NOW, "label": "Firefox", "signer": ""}
    yield "wrapped", {"person": "ana", "device": "ana-phone", "credential": "c", "kind": "client", "public": b64(key),
                      "blob": "x", "stored": NOW}
    yield "events", {"at": NOW, "audience": "people", "kind": "request", "oid": "", "request": "", "path": "prod/db",
                     "state": "pending"}
    yield "targets", {"id": "t", "person": "ana", "name": "phone", "kind": "ntfy", "device": "ana-phone", "address": "{}",
                      "created": NOW}
    yield "notices", {"target": "t", "card": sha256(b"card1"), "requests": "[]", "due": NOW, "expires": NOW + 200}


def make(number: int, path: Path) -> None:
    """A database of the schema `number`, closed."""
    with closing(open_writer(path)) as database:
        for text in schema.migrations()[:number]:
            database.execute(text)
        database.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
        database.execute(f"PRAGMA user_version={number}")
        with database:
            for table, columns in rows():
                _insert(database, table, columns)
            log = Transaction(database, tree.Tree(database))
            for position in range(21):
                log.leaf("sealed", "ana", NOW + position, oid=sha256(b"%d" % position), secret=f"prod/{position}")


def _insert(database: Connection, table: str, columns: dict[str, Any]) -> None:
    has = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    given = {name: value for name, value in columns.items() if name in has}
    if given:
        marks = ", ".join("?" for _ in given)
        database.execute(f"INSERT INTO {table} ({', '.join(given)}) VALUES ({marks})", tuple(given.values()))


def main() -> None:
    for number in range(1, len(schema.migrations()) + 1):
        if golden(number).exists():
            continue
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "stillvault.db"
            make(number, path)
            golden(number).write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
        print(f"made {golden(number)}", file=sys.stderr)


if __name__ == "__main__":
    main()
