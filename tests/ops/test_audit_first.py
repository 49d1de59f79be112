"""Nothing is released whose row in the log could not be written, and a full disk with backups due still takes denials. R4, R5."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from pathlib import Path

import apsw

from tests.relay.parties import Organisation
from tests.relay.process import PATIENCE, RelayProcess

ROUNDS = 25


def test_no_release_without_its_row(org: Organisation) -> None:  # R5
    """The log refuses each row while an approval comes in: the request waits on, and nothing is handed out.

    The places of the rows to come are taken: no trigger of the file would run.
    """
    db, secret, ben = org.client(), org.seal(), org.devices["ben"]
    assert db.session
    assert ben.session
    with closing(apsw.Connection(str(org.relay.data / "stillvault.db"))) as other:
        other.set_busy_timeout(5000)
        for number in range(ROUNDS):
            request, _, asked = db.ask(exe=f"/bin/{number}")
            asked.ok()
            leaves = len(org.leaves())
            for place in range(leaves, leaves + 8):
                other.execute("INSERT INTO nodes (level, position, hash) VALUES (0, ?, zeroblob(32))", (place,))
            answer = org.approve(ben, db, (request, secret))
            state = db.state(request)
            other.execute("DELETE FROM nodes WHERE level = 0 AND position >= ?", (leaves,))
            assert answer.status >= 500, answer.body
            assert b"nodes" not in answer.body
            assert (state["state"], state.get("releases", [])) == ("pending", [])
            assert len(org.leaves()) == leaves
            assert org.approve(ben, db, (request, secret)).ok()["states"] == ["approved"]
            assert len(db.state(request)["releases"]) == 1


def test_a_full_disk_with_backups_due_takes_denials(small_disk: Path) -> None:  # R4
    relay = RelayProcess(small_disk / "data", **{"backup.every_seconds": "1", "backup.keep": "1"}).start()
    org = Organisation(relay).create()
    ben, db, secret = org.person("ben", "approver"), org.client(), org.seal()
    request = db.ask()[0]
    with open(small_disk / "filler", "wb") as file:
        file.write(b"x" * (shutil.disk_usage(small_disk).free - 200_000))
    until = time.monotonic() + PATIENCE
    while not any("there is no room" in one["detail"]["outcome"] for one in org.leaves("config")) and time.monotonic() < until:
        assert db.ask(exe="/bin/new")[2].status in (201, 429, 507)
    assert any(one["detail"]["outcome"].startswith("backup failed: there is no room") for one in org.leaves("config"))
    assert org.deny(ben, (request, secret), session=False).ok()["states"] == ["denied"]
    assert len(org.leaves("denied")) == 1
    assert relay.stop() == 0
    assert not list(relay.data.glob(".backup-*"))
    assert not list((relay.data / "backups").glob("*.part"))
