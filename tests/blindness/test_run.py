"""A value goes through its whole life (sealed, asked for, approved, delivered, leased, used, sealed again) and is found nowhere.

Real processes over a wire that listens, watched by root: files (database, log of writes, shared memory, freed pages, backup,
homes, logs), every byte between the parties and the relay, the memory of relay, daemon, sealer and approver at the very moments
when they work with it, the arguments and environments of all processes, and every system call of daemon and front by which bytes
could leave. In each place the same scan finds a name that may be known there.  # A22 B1 L12 L13 M8 M10 R24
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blindness import scan
from tests.blindness.town import HOSTS, Hunt, Town
from tests.blindness.watching import carried, in_arguments, open_pages
from tests.world import PATIENCE, STILLVAULT, end, read_line

TO_A_PIPE = ("write(", "pwritev2(", "writev(")


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    root = Path(tempfile.mkdtemp(prefix="sv-blind-"))
    made = Town(root)
    try:
        made.start()
        made.settle()
        yield made
    finally:
        made.stop()
        shutil.rmtree(root)


def canary() -> tuple[bytes, str]:
    """A value, and a name that may be known."""
    return secrets.token_hex(20).encode(), "known-" + secrets.token_hex(12)


def sealed(town: Town, hunt: Hunt, value: bytes, path: str) -> None:
    """Alice seals; her process is looked at while it waits for the rest of the value, and while it hands over what it sealed."""
    alice = town.parties["alice"]
    seal = town.begin([STILLVAULT, "seal", path], alice, stdin=subprocess.PIPE)
    town.wire.when(b"POST /v1/secrets ", lambda: hunt.process("seal", seal.pid))
    assert seal.stdin is not None
    seal.stdin.write(value)
    seal.stdin.close()
    seal.stdin = None
    town.said += town.done(seal)


def approved(town: Town, hunt: Hunt, *options: str) -> None:
    """Bob approves; his process, the relay's and the daemon's are looked at on the way."""
    bob = town.parties["bob"]
    approve = town.begin([STILLVAULT, "approve", "--next", "--wait", "30", "--yes", *options], bob)

    def look() -> None:
        hunt.process("approve", approve.pid)
        assert town.relay is not None
        hunt.process("relay with an approval on its way", town.relay.pid)

    town.wire.when(b"POST /v1/decisions ", look)
    town.said += town.done(approve)


def asked(town: Town, hunt: Hunt, host: str, path: str, daemon: int, log: str) -> bytes:
    """A read that a person must answer. Returns what it printed."""
    read = town.asker(host, "read", f"sv://{path}", log=log)
    town.wire.when(b"POST /v1/receipts ", lambda: hunt.process("daemon with a value just opened", daemon))
    approved(town, hunt)
    printed = town.done(read)
    town.wire.settle()
    return printed


def used(town: Town, hunt: Hunt, host: str, path: str) -> None:
    """A child that was given the value in its environment has it there; nobody else has."""
    run = town.asker(host, "run", "--env", f"GIVEN=sv://{path}", "--", "sh", "-c", "echo $$; exec sleep 600",
                     start_new_session=True)
    child = int(read_line(run))
    while Path(f"/proc/{child}/comm").read_text() != "sleep\n":
        time.sleep(0.01)
    assert in_arguments(hunt.canary) == [child], "the scan sees the one process that was given it"
    os.kill(child, signal.SIGKILL)
    run.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("host", HOSTS)
def test_a_value_is_found_nowhere(town: Town, host: str) -> None:
    value, name = canary()
    path = f"prod/{host}/{name}"
    hunt = Hunt(town, value, name)
    relay = town.relay
    assert relay is not None
    sealed(town, hunt, value, path)
    daemon = town.daemon(host)
    assert asked(town, hunt, host, path, daemon.pid, "front") == value
    # Now there is a lease.
    assert town.done(town.asker(host, "read", f"sv://{path}", log="front-leased")) == value
    used(town, hunt, host, path)
    hunt.process("daemon with a lease", daemon.pid)
    hunt.process("relay", relay.pid)
    hunt.bytes("what leases prints", town.done(town.asker(host, "leases")))
    # Killed with the lease alive: nothing is left of it, and the calls of its whole life carried the value into pipes alone.
    end(daemon, signal.SIGKILL)
    calls = carried(town.logs / f"daemon-{host}", hunt.canary)
    assert len(calls) == 3, calls
    assert all(call.startswith(TO_A_PIPE) and "<pipe:" in call[:40] for call in calls), calls
    for read in ("front", "front-leased"):
        (call,) = carried(town.logs / read, hunt.canary)
        assert call.startswith("write(1<pipe:"), call
    town.said += town.parties["alice"].ok("secrets").out + town.parties["alice"].ok("audit", "export").out
    town.relay_command("backup", str(town.root / f"backup-{host}"))
    hunt.bytes("what was printed", town.said)
    hunt.bytes("what went over the wire", b"".join(town.wire.heard))
    log = town.root / "relay.log"
    assert scan.in_bytes(log.read_bytes(), hunt.plant) == [], "the relay's log names no secret"
    with log.open("ab") as written:
        written.write(b"a line that does: " + base64.b64encode(name.encode()) + b"\n")
    hunt.files(f"backup-{host}", "stillvault.db-wal", "relay.log")
    assert hunt.found == []
    assert hunt.blind == []


def test_sealed_again_by_a_sealer(town: Town) -> None:
    value, name = canary()
    path = f"prod/{name}"
    hunt = Hunt(town, value, name)
    sealed(town, hunt, value, path)
    alice = town.parties["alice"]
    reseal = town.begin([STILLVAULT, "reseal", path], alice)
    town.wire.when(b"POST /v1/secrets ", lambda: hunt.process("reseal", reseal.pid))
    town.said += town.done(reseal)
    hunt.bytes("what was printed", town.said)
    hunt.bytes("what went over the wire", b"".join(town.wire.heard))
    hunt.files("stillvault.db-wal")
    assert hunt.found == []
    assert hunt.blind == []


def leases(town: Town) -> bytes:
    return town.done(town.asker("own", "leases", "--format", "json"))


def test_a_lease_that_ended_is_wiped(town: Town) -> None:
    """The kernel is made to refuse its secret memory, so that the lease lies in pages that root's scan does see."""
    value, name = canary()
    path = f"prod/{name}"
    hunt = Hunt(town, value, name)
    sealed(town, hunt, value, path)
    daemon = town.daemon("own", "-e", "inject=memfd_secret:error=ENOSYS", "-e", "trace=memfd_secret")
    ends = {"by a purge": (), "by its window": ("--window", "2s")}
    for how, options in ends.items():
        read = town.asker("own", "read", f"sv://{path}")
        approved(town, hunt, *options)
        assert town.done(read) == value
        seen = scan.in_process(daemon.pid, hunt.canary)
        assert seen, "the scan sees a lease where it can"
        assert open_pages(daemon.pid, seen) == []
        if not options:
            town.done(town.asker("own", "leases", "purge"))
        deadline = time.monotonic() + PATIENCE
        while name.encode() in leases(town):
            assert time.monotonic() < deadline
        assert scan.in_process(daemon.pid, hunt.canary) == [], how
    assert end(daemon) == 0
    assert hunt.found == []


def test_freed_pages_and_old_rows(town: Town) -> None:
    """Rows that went leave their pages in the file: those are read too, and hold no value."""
    assert town.stop_relay() == 0
    plant = secrets.token_hex(16)
    copy = town.root / "copy.db"
    shutil.copy(town.data / "stillvault.db", copy)
    with sqlite3.connect(copy) as base:
        base.execute("PRAGMA secure_delete=OFF")
        base.execute("CREATE TABLE gone (text TEXT)")
        base.executemany("INSERT INTO gone VALUES (?)", [(plant,)] * 1000)
        base.commit()
        base.execute("DROP TABLE gone")
        base.commit()
        assert base.execute("PRAGMA freelist_count").fetchone()[0] > 0
    base.close()
    assert str(copy) in scan.in_files(town.root, scan.needles(plant.encode()))
    copy.unlink()
    town.start()


def test_the_relay_never_loads_what_opens_anything(town: Town) -> None:
    """Every module that the relay loaded while it served all of the above is in its log. The same look finds a client's."""
    town.stop_relay()
    loaded = modules((town.root / "relay.log").read_text())
    assert "stillvault.crypto.public" in loaded
    assert loaded.isdisjoint({"stillvault.crypto.private", "stillvault.crypto.leases"}), loaded
    assert not [name for name in loaded if name.startswith(("stillvault.client", "stillvault.approver", "stillvault.admin"))]
    alice = town.parties["alice"]
    alice.extra = {"PYTHONPROFILEIMPORTTIME": "1"}
    assert "stillvault.crypto.private" in modules(alice.run("secrets").said)
    alice.extra = {}
    town.start()


def modules(log: str) -> set[str]:
    """The modules in a log of PYTHONPROFILEIMPORTTIME."""
    return {line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")}
