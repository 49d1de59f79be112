"""Backup while it runs, restore elsewhere, and what is refused. R7, R8, B1."""

from __future__ import annotations

import tarfile
import threading
from pathlib import Path

from stillvault.crypto.public import b64encode, oid_of
from tests.relay.parties import Organisation, wire
from tests.relay.process import RelayProcess


def test_a_backup_under_load_restores_whole(org: Organisation, directory: Path) -> None:
    db, secret = org.client(), org.seal()
    stop = threading.Event()

    def load() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            db.post("/v1/requests", {"requests": wire(db.request(exe=f"/bin/{number}")[0])}).ok()

    session = db.session
    worker = threading.Thread(target=load)
    worker.start()
    target = directory / "relay.backup"
    done = org.relay.command("backup", "--data", str(org.relay.data), str(target))
    stop.set()
    worker.join()
    assert done.returncode == 0, done.stderr
    assert target.stat().st_mode & 0o777 == 0o600
    assert session.encode() not in target.read_bytes()
    elsewhere = RelayProcess(directory / "elsewhere")
    assert elsewhere.command("restore", "--data", str(elsewhere.data), str(target)).returncode == 0
    report = elsewhere.command("doctor", "--data", str(elsewhere.data))
    assert report.returncode == 0, report.stdout
    port = org.relay.port
    org.relay.stop()
    # The same name and keys, so that nobody enrols anew; nobody's session goes on.
    elsewhere.port = port
    elsewhere.start()
    org.relay, old = elsewhere, org.relay
    assert db.get("/v1/trust").code == "sign-in"
    db.token = org.admin.token = ""
    assert db.get("/v1/secrets/latest?path=prod/db").ok()["secret"] == wire(secret)[0]
    assert org.leaves()[-1]["kind"] in ("signed-in", "restored")
    assert len(org.leaves("restored")) == 1
    elsewhere.stop()
    org.relay = old.start()
    assert b64encode(oid_of(org.root)) == org.pin


def test_a_restore_takes_no_other_archive_and_no_directory_in_use(org: Organisation, directory: Path) -> None:
    target = directory / "relay.backup"
    assert org.relay.command("backup", "--data", str(org.relay.data), str(target)).returncode == 0
    in_use = org.relay.command("restore", "--data", str(org.relay.data), str(target))
    assert in_use.returncode == 78
    assert b"another relay runs" in in_use.stderr
    (directory / "passwd").write_text("x")
    evil = directory / "evil.backup"
    for name in ("../passwd", "/etc/passwd", "manifest.json"):
        with tarfile.open(evil, "w") as archive:
            archive.add(directory / "passwd", name)
        done = org.relay.command("restore", "--data", str(directory / "new"), str(evil))
        assert done.returncode == 78
        assert b"not a backup of a relay" in done.stderr
    cut = directory / "cut.backup"
    cut.write_bytes(target.read_bytes()[:50_000])
    done = org.relay.command("restore", "--data", str(directory / "new"), str(cut))
    assert done.returncode == 78
    assert b"Traceback" not in done.stderr
