"""A relay starts, stops, dies and starts again. R1, R16, R17, R26, R29, B12, B13, B14."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import apsw
import pytest

from tests.relay.parties import Organisation
from tests.relay.process import RelayProcess

STOP_SECONDS = 5  # contract: SIGTERM ends it within


def hanging(relay: RelayProcess, path: str, token: str) -> http.client.HTTPSConnection:
    connection = relay.connection()
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    return connection


def test_sigterm_ends_streams_and_long_polls(org: Organisation) -> None:  # R17
    client = org.client()
    tokens = [(f"/v1/events?after={10**9}&wait=25", client.session)] * 5 + [("/v1/stream", org.admin.session)] * 5
    open_ones = [hanging(org.relay, path, token) for path, token in tokens]
    streams = [one.getresponse() for one in open_ones[5:]]
    assert all(stream.readline() == b": stillvault\n" for stream in streams)
    begun = time.monotonic()
    assert org.relay.stop() == 0
    assert time.monotonic() - begun < STOP_SECONDS
    for one in open_ones:
        one.close()
    assert not (org.relay.data / "stillvault.db-wal").exists(), "the log was folded"


def test_sigterm_ends_a_relay_whose_directory_is_gone(relay: RelayProcess) -> None:
    """Whatever fails on the way out, it ends."""
    assert relay.call("GET", "/livez").status == 200
    relay.data.rename(relay.data.with_name("moved"))
    shutil.rmtree(relay.data.with_name("moved"))
    time.sleep(1.5)  # the sweeper meets it
    assert relay.stop() in (0, 1)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_keeps_what_was_acknowledged(org: Organisation, how: signal.Signals) -> None:  # R16
    db, secret = org.client(), org.seal()
    ben = org.devices["ben"]
    request, _, _ = db.ask()
    assert len(ben.get("/v1/prompts").ok()["prompts"]) == 1
    leaves = org.leaves()
    before = db.state(request)
    org.relay.stop(how)
    org.relay.start()
    assert db.state(request) == before
    assert org.leaves() == leaves, "same id, same deadline, nobody prompted twice"
    assert len(ben.get("/v1/prompts").ok()["prompts"]) == 1
    assert org.leaves() == leaves
    assert org.approve(ben, db, (request, secret)).ok()["states"] == ["approved"]
    assert len(db.state(request)["releases"]) == 1


def test_a_second_relay_on_one_directory_is_refused(relay: RelayProcess) -> None:  # R29
    second = RelayProcess(relay.data)
    done = second.command("serve", "--data", str(relay.data), "--listen", "127.0.0.1:0")
    assert done.returncode == 78
    assert b"another relay runs on this directory" in done.stderr


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(relay: RelayProcess, *arguments: str) -> str:
    """`serve` must end with 78 and one line that names the place, the rule and the fix."""
    done = relay.command("serve", "--data", str(relay.data), "--listen", "127.0.0.1:0", *arguments)
    text = done.stderr.decode()
    assert done.returncode == 78, text
    assert "Traceback" not in text
    assert text.startswith("stillvault-relay: ")
    return text


def test_a_newer_schema_is_refused_and_left_as_it_is(relay: RelayProcess) -> None:  # B14
    relay.stop()
    database = relay.data / "stillvault.db"
    connection = apsw.Connection(str(database))
    connection.execute("PRAGMA user_version=99")
    connection.close()
    before = digest(database)
    assert "version 99 is newer" in refused(relay)
    assert digest(database) == before


@pytest.mark.parametrize(
    ("added", "named"),
    [
        ("CREATE TRIGGER copy AFTER INSERT ON secrets BEGIN SELECT 1; END", "trigger copy"),
        ("CREATE TRIGGER sqliteXstat_1 AFTER INSERT ON secrets BEGIN SELECT 1; END", "trigger sqliteXstat_1"),
        ("CREATE VIEW peek AS SELECT * FROM secrets", "view peek"),
        ("CREATE TABLE loot (a)", "table loot"),
        ("CREATE INDEX extra ON secrets (stored)", "index extra"),
        ("DROP TABLE seen", "table seen"),
    ],
)
def test_a_changed_schema_is_refused_by_name(relay: RelayProcess, added: str, named: str) -> None:  # B12
    relay.stop()
    connection = apsw.Connection(str(relay.data / "stillvault.db"))
    connection.execute(added)
    connection.close()
    assert named in refused(relay)


def test_a_file_that_is_no_database_is_refused(directory: Path) -> None:  # B13
    data = directory / "data"
    data.mkdir(mode=0o700)
    (data / "stillvault.db").write_bytes(b"x" * 100_000)
    (data / "stillvault.db").chmod(0o600)
    assert "not a readable database" in refused(RelayProcess(data))


@pytest.mark.parametrize("how", ["gone", "emptied"])
def test_a_database_that_was_lost_is_not_begun_anew(directory: Path, how: str) -> None:
    relay = RelayProcess(directory / "data").start()
    relay.stop()
    for file in relay.data.glob("stillvault.db*"):
        file.unlink()
    if how == "emptied":
        (relay.data / "stillvault.db").touch(0o600)
    kept = {file.name: file.read_bytes() for file in relay.data.glob("*.db*")}
    assert "its database is gone or empty" in refused(RelayProcess(relay.data))
    assert {file.name: file.read_bytes() for file in relay.data.glob("*.db*")} == kept
    (relay.data / "reserve").unlink()  # as where the first start ended before there was one
    RelayProcess(relay.data).start().stop()


def test_a_log_key_that_was_lost_is_not_made_anew(directory: Path) -> None:
    relay = RelayProcess(directory / "data").start()
    relay.stop()
    (relay.data / "log.key").unlink()
    assert "it is gone, and what it signed is not" in refused(RelayProcess(relay.data))
    assert not (relay.data / "log.key").exists()


CASES: dict[str, tuple[str, str]] = {
    # what config.toml says -> what the refusal names
    "unknown key": ('lissten = "x"', "line 1: lissten: there is no such setting. Did you mean listen?"),
    "unknown limit": ("[limits]\nprompts_per_our = 1", "line 2: limits.prompts_per_our: there is no such setting. Did you mean"),
    "wrong type": ("[limits]\nprompts_per_hour = true", "line 2: limits.prompts_per_hour: Expected"),
    "out of range": ("[limits]\nbody_bytes = 1", "line 2: limits.body_bytes: Expected `int` >= 65536"),
    "negative": ("[limits]\npending_per_org = -1", "limits.pending_per_org"),
    "text for a number": ('[limits]\nidle_seconds = "75"', "limits.idle_seconds"),
    "no TOML": ("listen = ", "it is not TOML"),
    "twice": ('listen = "a:1"\nlisten = "a:2"', "it is not TOML"),
    "no address": ('public_url = "http://localhost"', "public_url: it is not https://name[:port]"),
    "an address with a path": ('public_url = "https://localhost/x"', "public_url"),
    "key without certificate": ('tls_key = "/x"', "tls_cert: a certificate and its key come together"),
    "no certificate": ('tls_cert = "/nope"\ntls_key = "/nope"', "tls"),
    "unknown profile": ('profile = "fast"', "line 1: profile: Invalid enum value"),
    "short setup token": ('setup_token = "abc"', "setup_token: it is not 32 to 128 characters"),
    "table for a value": ("[listen]\na = 1", "listen"),
    "a table that is none": ("limits = 3", "limits: there is no such setting"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_setting_names_file_field_and_fix(directory: Path, name: str) -> None:  # R26
    data = directory / "data"
    data.mkdir(mode=0o700)
    text, named = CASES[name]
    (data / "config.toml").write_text(text)
    relay = RelayProcess(data)
    relay.settings = {}
    said = refused(relay)
    assert named in said
    assert relay.command("config", "--data", str(data), "check").returncode == 78


def test_places_that_are_refused(directory: Path) -> None:  # R26
    assert "its parent directory does not exist" in refused(RelayProcess(directory / "no" / "where"))
    (directory / "file").write_text("")
    assert "not a directory" in refused(RelayProcess(directory / "file"))
    (directory / "open").mkdir(mode=0o700)
    (directory / "open").chmod(0o777)
    assert "mode 0777 lets others write to it. Run: chmod 0700" in refused(RelayProcess(directory / "open"))
    other = directory / "other"  # named by mistake: a directory of the machine
    other.mkdir(mode=0o755)
    (other / "passwd").touch()
    assert "mode 0755 lets others look into it, and what it holds is no relay's" in refused(RelayProcess(other))
    assert (other.stat().st_mode & 0o7777, [one.name for one in other.iterdir()]) == (0o755, ["passwd"])
    data = RelayProcess(directory / "data").start()
    data.stop()
    for name in ("log.key", "stillvault.db", "tls/ca.key", "tls/relay.key"):
        (data.data / name).chmod(0o644)
        assert f"{name}: data: mode 0644 lets others read it. Run: chmod 0600" in refused(data)
        (data.data / name).chmod(0o600)
    taken = RelayProcess(directory / "second").start()
    done = taken.command("serve", "--data", str(directory / "third"), "--listen", f"127.0.0.1:{taken.port}")
    assert done.returncode == 78
    assert b"Address already in use" in done.stderr
    taken.stop()


def test_a_directory_that_cannot_be_written_is_said(directory: Path) -> None:  # R26, R30
    """A volume that was mounted read-only. Needs root, and fails without it."""
    disk = directory / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", str(disk)], check=True)
    try:
        relay = RelayProcess(disk / "data").start()
        relay.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert "data: nothing can be written there (Read-only file system). Check its mount" in refused(relay)
        for verb in ("upgrade", "setup-url"):
            done = relay.command(verb, "--data", str(relay.data))
            assert (done.returncode, b"Traceback" in done.stderr) == (78, False), done.stderr
            assert b"Check its mount, owner, mode and room." in done.stderr
        assert relay.command("fingerprint", "--data", str(relay.data)).returncode == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_refusal_writes_hidden_characters_out(directory: Path) -> None:  # X2
    (directory / "config.toml").write_text('"li\\u001b[2Jsten" = 1\n')
    assert "li\\u{1b}[2Jsten: there is no such setting" in refused(RelayProcess(directory))


def test_health_and_fingerprint(relay: RelayProcess) -> None:
    assert relay.command("health", "--url", relay.url).returncode == 0
    kept = relay.settings
    for listen in (f"127.0.0.1:{relay.port}", f"0.0.0.0:{relay.port}"):  # as in a container: its settings say where
        relay.settings = {**kept, "data": str(relay.data), "listen": listen}
        assert relay.command("health").returncode == 0
    relay.settings = kept
    text = relay.command("fingerprint", "--data", str(relay.data)).stdout.decode().strip()
    pem = relay.call("GET", "/ca.pem").body
    import base64
    import ssl

    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    assert text == "SHA256:" + base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    assert json.loads(relay.command("fingerprint", "--data", str(relay.data), "--format", "json").stdout) == {
        "v": 1,
        "fingerprint": text,
    }
    url = relay.url
    relay.stop()
    assert relay.command("health", "--url", url).returncode == 14


def test_the_public_url_stays_once_devices_sign_for_it(org: Organisation) -> None:
    org.relay.stop()
    said = refused(org.relay, "--public-url", "https://vault.example")
    assert f"Start with --public-url {org.relay.url}" in said


def test_a_serving_relay_never_loads_what_needs_a_private_key(directory: Path) -> None:
    """Every import of a `serve` from start to stop, as the interpreter itself lists them."""
    data = directory / "data"
    program = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "stillvault.relay.main",
        "serve",
        "--data",
        str(data),
        "--listen",
        "127.0.0.1:0",
    ]
    relay = RelayProcess(data)
    said = directory / "said"  # a file: a pipe holds less than so many lines
    with (
        said.open("wb") as stderr,
        subprocess.Popen(program, env=relay.environment(), stdout=subprocess.PIPE, stderr=stderr) as process,
    ):
        assert process.stdout is not None
        relay.port = int(json.loads(process.stdout.readline())["url"].rpartition(":")[2])
        org = Organisation(relay).create()
        org.seal()
        db, _ = org.client(), org.leaves()
        db.ask()[2].ok()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        for connection in relay._open:
            connection.close()
    loaded = {line.rpartition("|")[2].strip() for line in said.read_text().splitlines() if line.startswith("import time:")}
    assert {"stillvault.crypto.public", "stillvault.relay.services.asking"} <= loaded, "the scan finds what is loaded"
    forbidden = (
        "stillvault.crypto.private",
        "stillvault.crypto.leases",
        "stillvault.client",
        "stillvault.approver",
        "stillvault.transport",
    )
    assert [name for name in loaded if name.startswith(forbidden)] == []
