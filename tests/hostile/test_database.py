"""Somebody edits the relay's database file while it is stopped: nothing wrong comes out, and doctor names what was edited."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw
import pytest

from stillvault.approver import keyfile
from stillvault.approver.account import DEVICE_KEY
from stillvault.crypto.private import SigningKey
from stillvault.crypto.public import b64encode, encode, oid_of, payload_of
from stillvault.protocol.errors import StillvaultError
from stillvault.relay import rowcheck
from stillvault.relay.store import tree
from stillvault.transport.http import Relay
from stillvault.transport.session import sign_in
from tests.hostile import flows
from tests.hostile.town import Stage
from tests.relay.process import RelayProcess

FLIPS = 100
COLUMNS = [("roots", "version", "signed"), ("rosters", "seq", "signed"), ("certs", "oid", "signed"), ("secrets", "seq", "signed"),
           ("secrets", "seq", "ciphertext"), ("requests", "seq", "signed"), ("decisions", "oid", "signed"),
           ("reports", "oid", "signed"), ("invites", "invite", "enrol"), ("leaves", "position", "leaf")]


@contextmanager
def stopped(stage: Stage) -> Iterator[apsw.Connection]:
    """The file of a relay that does not run. Afterwards it is as it was, and the relay runs again."""
    stage.town.stop_relay()
    path = stage.town.data / "stillvault.db"
    kept = path.read_bytes()
    wal = path.with_name(path.name + "-wal")
    assert not wal.exists() or not wal.stat().st_size
    database = apsw.Connection(str(path))
    try:
        yield database
    finally:
        if stage.town.relay is not None and stage.town.relay.poll() is None:
            stage.town.stop_relay()
        database.close()
        for extra in ("-wal", "-shm"):
            path.with_name(path.name + extra).unlink(missing_ok=True)
        path.write_bytes(kept)
        stage.script.reset()
        stage.town.start()


def doctor(stage: Stage) -> dict[str, str]:
    """What doctor complains about: check and words."""
    relay = RelayProcess(stage.town.data)
    done = relay.command("doctor", "--data", str(stage.town.data), "--format", "json")
    checks = json.loads(done.stdout)["checks"]
    found = {one["check"]: one["found"] for one in checks if not one["ok"]}
    assert done.returncode == (1 if found else 0)
    return found


def ask(stage: Stage) -> flows.Outcome:
    outcome = flows.ask(stage, flows.RELEASE, [b"prod/one/db"], ["bob"])
    assert not outcome.wrong, outcome
    return outcome


@pytest.fixture
def used(stage: Stage) -> Stage:
    """A stage whose relay holds rows of every kind."""
    assert ask(stage).same
    stage.fresh()
    return stage


def test_doctor_finds_nothing_in_what_nobody_touched(used: Stage) -> None:
    used.town.stop_relay()
    try:
        assert doctor(used) == {}
    finally:
        used.town.start()


def test_flipped_bits_are_named(used: Stage) -> None:  # B2
    """One bit anywhere in a sealed or signed column: doctor names the table, each time."""
    draw = random.Random(2)
    with stopped(used) as database:
        for number in range(FLIPS):
            table, key, column = COLUMNS[number % len(COLUMNS)]
            rows = list(database.execute(f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL"))
            assert rows, table
            at, content = draw.choice(rows)
            place = draw.randrange(len(content))
            broken = content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (broken, at))
            if number < len(COLUMNS):
                found = doctor(used)
                assert found, (table, column)
                named = " ".join(found.values())
                assert table in named or (table == "leaves" and f"leaf {at}" in named), (table, found)
            else:
                assert damage(database), (table, column)
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (content, at))


def damage(database: apsw.Connection) -> list[str]:
    """What doctor's checks of rows and log find, in this process."""
    found = list(rowcheck.damaged(database, flows.clock()))
    size = tree.size(database)
    for first, leaf in enumerate(tree.leaves(database, 0, size)):
        if hashlib.sha256(b"\0" + leaf).digest() != tree.node(database, 0, first):
            found.append(f"leaf {first}")
    return found


def test_flipped_bits_are_refused_by_the_parties(used: Stage) -> None:  # B2
    """What is served from a damaged row is refused, by the relay or by whoever gets it, or is not of this request at all."""
    draw = random.Random(3)
    for table, key, column, where in [("secrets", "seq", "ciphertext", "path = 'prod/one/db'"),
                                      ("secrets", "seq", "signed", "path = 'prod/one/db'"),
                                      ("certs", "oid", "signed", "subject = 'host/db-1'")]:
        with stopped(used) as database:
            for at, content in list(database.execute(f"SELECT {key}, {column} FROM {table} WHERE {where}")):
                place = draw.randrange(len(content) // 2, len(content) - 8)
                broken = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
                database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (broken, at))
            database.close()
            used.town.start()
            assert not ask(used).same
        used.fresh()


def test_swapped_secrets(used: Stage) -> None:  # B3
    """Every pairwise swap of the seals of some paths, whole rows and ciphertexts alone: no wrong value, and doctor names both."""
    paths = ["prod/one/db", *(f"prod/one/swap-{n}" for n in range(6))]
    for path in paths[1:]:
        used.seal(path, path.encode())
        used.secrets[path] = flows.newest(used, path)
    used.script.reset()
    for columns in (["ciphertext"], ["oid", "signed", "ciphertext"]):
        with stopped(used) as database:
            held = {path: row for path, *row in database.execute(
                f"SELECT path, seq, {', '.join(columns)} FROM secrets WHERE newest = 1 AND path LIKE 'prod/one/%'")}
            order = sorted(set(held) & set(paths))
            turned = order[1:] + order[:1]
            for path in order:  # first out of the way: an oid stands once
                if "oid" in columns:
                    away = hashlib.sha256(path.encode()).digest()
                    database.execute("UPDATE secrets SET oid = ? WHERE seq = ?", (away, held[path][0]))
            for path, other in zip(order, turned, strict=True):
                sets = ", ".join(f"{column} = ?" for column in columns)
                database.execute(f"UPDATE secrets SET {sets} WHERE seq = ?", (*held[other][1:], held[path][0]))
            named = " ".join(damage(database))
            assert all(path in named for path in order), named
            database.close()
            used.town.start()
            for path in order[:3]:
                outcome = flows.ask(used, [path], [path.encode()], ["bob"])
                assert not outcome.wrong, outcome
                assert not outcome.same
                used.fresh()
                used.script.reset()


def test_a_renamed_secret(used: Stage) -> None:  # B3, A4
    with stopped(used) as database:
        database.execute("UPDATE secrets SET path = 'prod/one/other' WHERE path = 'prod/one/db'")
        assert "secrets" in doctor(used)["objects"]
        database.close()
        used.town.start()
        used.secrets["prod/one/other"] = used.secrets["prod/one/db"]
        outcome = flows.Outcome()
        with used.daemon.running():
            caller = used.daemon.call()
            (end,) = caller.get(["prod/one/other"])
            caller.sock.settimeout(flows.ANSWER)
            caller.event()
            with outcome.by("bob"), used.account("bob") as bob:
                found = flows.prompts.waiting(bob)
                assert found.cards == []
                assert {one.code for one in found.refused} <= {"path-mismatch"}
            assert flows.read_now(end) == b""
            flows.os.close(end)
            caller.sock.close()
        del used.secrets["prod/one/other"]


def edited(signed: bytes, name: str, change: Any, key: SigningKey | None = None) -> bytes:
    """The object with another payload: under the old signatures, or under an attacker's."""
    payload = json.loads(payload_of(name, signed))
    change(payload)
    if key is not None:
        return key.sign(name, encode(payload))
    wrapper = json.loads(signed)
    return encode({**wrapper, "payload": b64encode(encode(payload))})


def weaker(roster: Any) -> None:
    for policy in roster["policies"]:
        policy.update(threshold=1, ttl=3600, window=28800, people=["bob"])


def another_approver(roster: Any) -> None:
    eve = json.loads(json.dumps(roster["people"][0]))
    eve["id"] = "eve"
    eve["devices"][0]["id"] = "eve-1"
    roster["people"].append(eve)
    for policy in roster["policies"]:
        policy["people"].append("eve")


@pytest.mark.parametrize("change", [weaker, another_approver])
@pytest.mark.parametrize("forged", [False, True])
def test_an_edited_roster(used: Stage, change: Any, forged: bool) -> None:  # B4, B5
    """Policy, approvers and administrators in the row of the newest roster, with its oid and columns made to fit."""
    with stopped(used) as database:
        ((seq, signed),) = database.execute("SELECT seq, signed FROM rosters ORDER BY seq DESC LIMIT 1")
        broken = edited(signed, "roster", change, SigningKey.generate("ed25519") if forged else None)
        database.execute("UPDATE rosters SET signed = ?, oid = ? WHERE seq = ?", (broken, oid_of(broken), seq))
        assert "rosters" in doctor(used)["objects"]
        database.close()
        # The relay itself does not start on it; what it would serve, nobody believes (test_people.py, test_client.py).
        with pytest.raises(AssertionError, match=r"(?s)ended with 78.*does not verify"):
            used.town.start()


def test_an_inserted_client_and_an_edited_threshold(used: Stage) -> None:  # B4, B5
    key = SigningKey.generate("ed25519")
    with stopped(used) as database:
        ((signed,),) = database.execute("SELECT signed FROM certs WHERE subject = 'host/db-1' LIMIT 1")

        def change(cert: Any) -> None:
            cert.update(subject="host/eve", scopes=["**"], key={"alg": "ed25519", "public": b64encode(key.public)})

        forged = edited(signed, "client-cert", change, key)
        database.execute("INSERT INTO certs (oid, subject, key, signed, issued, stored) VALUES (?, 'host/eve', ?, ?, 1, 1)",
                         (oid_of(forged), hashlib.sha256(key.public).digest(), forged))
        assert "certs" in doctor(used)["objects"]
        database.close()
        used.town.start()
        relay = flows.Home(used.path("bob"))
        line = Relay(relay.organisation().relay, relay.ca())
        with pytest.raises(StillvaultError) as refused:
            sign_in(line, lambda payload: key.sign("login", payload), org=used.trust.pin, client=b64encode(oid_of(forged)),
                    now=flows.clock())
        assert refused.value.code in ("sign-in", "cert-threshold")
        line.close()


def test_the_files_of_a_relay_open_nothing(used: Stage) -> None:  # B1
    """No value that was sealed, no private key of any home, in any file of the data directory."""
    used.town.stop_relay()
    try:
        found = b"".join(one.read_bytes() for one in used.town.data.rglob("*") if one.is_file())
    finally:
        used.town.start()
    secrets = [b"prod/one/db-never", b"second", b"kept"]
    canary = b"a value that stands nowhere else 7f3c"
    used.seal("prod/one/canary-b1", canary)
    found += b"".join(one.read_bytes() for one in used.town.data.rglob("*") if one.is_file())
    for name in ("alice", "bob", "cleo"):
        held = keyfile.unlock(flows.Home(used.path(name)).read_bytes(DEVICE_KEY) or b"", "device", None)
        secrets += [base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in (held.auth, held.kem) if text]
    assert b"prod/one/canary-b1" in found  # names are not hidden from the relay: the search finds what is there
    for secret in [canary, *(one for one in secrets if len(one) >= 32)]:
        texts = (base64.b64encode(secret), base64.urlsafe_b64encode(secret))
        for form in (secret, secret.hex().encode(), *(text.rstrip(b"=") for text in texts)):
            assert form not in found
