"""Break-glass: the relay is gone, a backup and two of three sheets of the recovery kit are left. R8, B8, A21."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stillvault.admin.recovering import SealedFile
from stillvault.approver.recoverykeys import read
from stillvault.crypto.private import KemKey, SigningKey
from stillvault.crypto.public import b64decode, b64encode
from stillvault.protocol.errors import Refused
from tests.world import PATIENCE, RELAY, STILLVAULT, Done, Party, World

VALUES = {"prod/db": b"first\n\x00value", "prod/db/replica": b"second", "two/key": b"of two people"}


@dataclass
class Paper:
    """A kit in a drawer, a file of sealed secrets, and a machine that has nothing else: no home, no relay, no network of ours."""

    root: Path
    kit: dict[str, Any]
    file: Path
    sheets: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        shared = {name: self.kit[name] for name in ("fingerprint", "name", "org_id", "relay")}
        for number, one in enumerate(self.kit["recovery_keys"], 1):
            sheet = self.root / f"sheet-{number}.json"
            sheet.write_text(json.dumps({**shared, "recovery_keys": [one], "recovery_threshold": 2}))
            self.sheets.append(sheet)

    def secret(self, number: int) -> str:
        return str(self.kit["recovery_keys"][number - 1]["secret"])

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "HOME": str(self.root),
                "STILLVAULT_HOME": str(self.root / "no-home")}

    def run(self, *arguments: str, stdin: bytes = b"") -> Done:
        done = subprocess.run([str(STILLVAULT), "recover", *arguments], input=stdin, capture_output=True, check=False,
                              env=self.environment, timeout=PATIENCE)
        assert b"Traceback" not in done.stderr
        assert not (self.root / "no-home").exists()
        return Done(done.returncode, done.stdout, done.stderr)

    def open(self, path: str, *numbers: int, file: Path | None = None, more: tuple[str, ...] = (), stdin: bytes = b"") -> Done:
        sheets = [part for number in numbers for part in ("--sheet", str(self.sheets[number - 1]))]
        return self.run(path, "--from", str(file or self.file), *sheets, *more, stdin=stdin)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What is left of alice's organisation, with policies for one and for two: the kit, and a backup. Its relay is gone."""
    world = World(tmp_path_factory.mktemp("left"))
    try:
        world.start()
        alice, kit = founded(world)
        world.person("bob", "approver")
        alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice")
        alice.ok("policy", "set", "two", "--match", "two/**", "--people", "alice,bob", "--threshold", "2")
        for path, value in VALUES.items():
            alice.ok("seal", path, stdin=value)
        alice.ok("seal", "prod/db", stdin=VALUES["prod/db"])
        world.relay_command("backup", str(world.root / "relay.backup"))
    finally:
        world.stop()
    return kit, world.root / "relay.backup"


@pytest.fixture
def paper(left: tuple[dict[str, Any], Path], tmp_path: Path) -> Paper:
    kit, backup = left
    file = tmp_path / "sealed.jsonl"
    sealed("--backup", str(backup), str(file))
    return Paper(tmp_path, kit, file)


def founded(world: World) -> tuple[Party, dict[str, Any]]:
    alice = world.party("alice")
    token = world.relay_command("setup-url").partition("#")[2]
    made = alice.json("org", "create", "Example", "--relay", world.url, "--fingerprint", world.relay_command("fingerprint"),
                      "--setup-token", token, "--person", "alice", "--no-passphrase")
    return alice, made["recovery_kit"]


def sealed(*arguments: str) -> Done:
    done = subprocess.run([str(RELAY), "sealed", *arguments], capture_output=True, check=False, timeout=PATIENCE,
                          env={"PATH": os.environ.get("PATH", "")})
    assert done.returncode == 0, done.stderr.decode()
    return Done(done.returncode, done.stdout, done.stderr)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_any_two_of_three_sheets_open_what_the_relay_left(paper: Paper) -> None:
    assert mode(paper.file) == 0o600
    for numbers in ((1, 2), (3, 1), (2, 3), (1, 2, 3)):
        done = paper.open("prod/db", *numbers)
        assert (done.code, done.out) == (0, VALUES["prod/db"]), done.said
        assert "opened prod/db 2.0, sealed by alice/" in done.said
    # A quorum of people is no matter of the paper's.
    assert paper.open("sv://two/key", 1, 3).out == VALUES["two/key"]


def test_fewer_sheets_open_nothing(paper: Paper) -> None:
    for numbers, more, code, says in (
        ((1,), (), 15, "untrusted: quorum"), ((2, 2), (), 15, "untrusted: index"), ((), ("--no-input",), 2, "recovery-key"),
    ):
        done = paper.open("prod/db", *numbers, more=more)
        assert (done.code, done.out) == (code, b""), done.said
        assert says in done.said


def test_keys_of_others_open_nothing(paper: Paper) -> None:
    stranger = b64encode(KemKey.generate().secret_bytes())
    root = {**{name: paper.kit[name] for name in ("fingerprint", "name", "org_id", "relay")}, "root_key": paper.kit["root_key"]}
    other = json.loads(paper.sheets[1].read_text()) | {"org_id": b64encode(bytes(32))}
    typo = paper.secret(2)[:8] + ("A" if paper.secret(2)[8] != "A" else "B") + paper.secret(2)[9:]
    cases = {
        stranger: (15, "untrusted: not-recipient"), json.dumps(root): (2, "recovery-sheet"), json.dumps(other): (2, "org"),
        typo: (15, "one character of group 2 is wrong"), typo[:30] + "AB" + typo[32:]: (15, "not-recipient"),
        paper.secret(2)[:-1]: (2, "it has 42 characters"),
        paper.secret(2)[:6] + "é" + paper.secret(2)[7:]: (2, "group 2"), "{": (2, "recovery-sheet"), " \n": (2, "recovery-sheet"),
    }
    for text, (code, says) in cases.items():
        done = paper.open("prod/db", 1, more=("--sheet", "-"), stdin=text.encode())
        assert (done.code, done.out) == (code, b""), (text, done.said)
        assert says in done.said
        for key in (stranger, typo, paper.secret(1), paper.secret(2), paper.kit["root_key"]):
            assert key not in done.said


def test_sheets_of_another_organisation_do_not_verify_this_file(paper: Paper) -> None:
    for sheet in paper.sheets[:2]:
        sheet.write_text(json.dumps(json.loads(sheet.read_text()) | {"org_id": b64encode(bytes(32))}))
    done = paper.open("prod/db", 1, 2)
    assert (done.code, done.out) == (15, b"")
    assert "untrusted: pin" in done.said


def test_keys_are_typed_unseen_or_come_as_the_terminal_printed_them(paper: Paper) -> None:
    grouped = " ".join(paper.secret(1)[at:at + 6] for at in range(0, 43, 6))
    controller, terminal = pty.openpty()
    with open(paper.root / "typed", "wb") as out:
        process = subprocess.Popen(
            [str(STILLVAULT), "recover", "prod/db", "--from", str(paper.file), "--org", paper.kit["org_id"]], stdin=terminal,
            stdout=out, stderr=terminal, env=paper.environment, start_new_session=True)
    os.close(terminal)
    shown = b""
    for number, line in enumerate((grouped, paper.sheets[2].read_text(), ""), 1):
        while f"Recovery key {number}".encode() not in shown or not shown.endswith(b": "):
            shown += os.read(controller, 1024)
        os.write(controller, line.encode() + b"\n")
    assert process.wait(PATIENCE) == 0
    os.close(controller)
    assert (paper.root / "typed").read_bytes() == VALUES["prod/db"]
    assert grouped[:6].encode() not in shown
    assert paper.secret(3).encode() not in shown
    # Characters alone say nothing of the organisation.
    done = paper.run("prod/db", "--from", str(paper.file), "--sheet", "-", stdin=paper.secret(1).encode())
    assert done.code == 2
    assert "--org" in done.said
    # As `org create` prints a part of the kit.
    printed = paper.root / "printed.txt"
    printed.write_text("".join(
        f"---- {number} of 4 ----\norganisation  Example\norg id        {paper.kit['org_id']}\n"
        f"relay         {paper.kit['relay']}\nfingerprint   {paper.kit['fingerprint']}\n"
        f"recovery-{number}    {paper.secret(number)}\nAny 2 of the 3 recovery keys open every secret: give them to others.\n\n"
        for number in (1, 2)))
    assert paper.run("prod/db", "--from", str(paper.file), "--sheet", str(printed)).out == VALUES["prod/db"]


def test_all_of_them_into_a_new_directory_and_into_a_new_organisation(paper: Paper, small: World) -> None:
    folder = paper.root / "opened"
    sheets = ("--sheet", str(paper.sheets[0]), "--sheet", str(paper.sheets[2]))
    done = paper.run("--all", "--to", str(folder), "--from", str(paper.file), *sheets, "--format", "json")
    assert done.code == 0, done.said
    assert done.json["refused"] == []
    found = {one["path"]: Path(one["file"]) for one in done.json["opened"]}
    assert {path: file.read_bytes() for path, file in found.items()} == VALUES
    assert {mode(file) for file in found.values()} == {0o600}
    assert mode(folder) == 0o700
    assert {file.parent for file in found.values()} == {folder}  # `prod/db` and `prod/db/replica` do not meet
    assert "cannot be made" in paper.run("--all", "--to", str(folder), "--from", str(paper.file), *sheets).said
    # A file is never written over, and neither is JSON mixed with a value.
    target = next(iter(found.values()))
    assert paper.open("two/key", 1, 2, more=("--out-file", str(target))).code == 2
    assert target.read_bytes() in VALUES.values()
    assert paper.open("two/key", 1, 2, more=("--format", "json")).code == 2
    # The usual next step: the value goes from one program into the other.
    alice, db = small.parties["alice"], small.parties["host/db-1"]
    alice.ok("seal", "prod/db", stdin=paper.open("prod/db", 1, 2).out)
    with db.daemon():
        process = db.spawn("read", "sv://prod/db", "-n")
        alice.ok("approve", "--next", "--wait", "30", "--yes")
        assert process.communicate(timeout=PATIENCE)[0] == VALUES["prod/db"]


def test_a_changed_file_opens_nothing_of_what_was_changed(paper: Paper) -> None:
    lines = paper.file.read_bytes().splitlines(keepends=True)
    rows = [json.loads(line) for line in lines]
    assert [row["kind"] for row in rows] == ["stillvault-sealed", "secret", "secret", "secret", "end"]
    assert [row["path"] for row in rows[1:-1]] == sorted(VALUES)

    def changed(*rows: Any) -> bytes:
        return b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" if isinstance(row, dict) else row for row in rows)

    ciphertext = b64decode(rows[1]["ciphertext"])
    flipped = {**rows[1], "ciphertext": b64encode(bytes([ciphertext[0] ^ 1]) + ciphertext[1:])}
    forged = SigningKey.generate("ed25519").sign("secret", b64decode(rows[1]["secret"]["payload"]))
    file = paper.root / "changed.jsonl"
    for content, code, says in (
        (changed(lines[0], flipped, *lines[2:]), 15, "ciphertext"),
        (changed(lines[0], {**rows[1], "ciphertext": rows[2]["ciphertext"]}, *lines[2:]), 15, "ciphertext"),
        (changed(lines[0], {**rows[2], "path": "prod/db"}, lines[3], {"kind": "end", "secrets": 2}), 15, "path-mismatch"),
        (changed(lines[0], {**rows[1], "secret": json.loads(forged)}, *lines[2:]), 15, "signature"),
        (changed({**rows[0], "roster": rows[0]["roots"][0]}, *lines[1:]), 15, "type"),
        (changed(*lines[:-1]), 2, "cut short"), (changed(*lines[:2], lines[-1]), 2, "cut short"),
        (changed(lines[0], lines[1], lines[1], lines[3], lines[4]), 2, "ascend"), (changed(*lines[1:]), 2, "begin"),
        (changed(*lines, lines[0]), 2, "line 6"),
        (changed(lines[0], {**rows[1], "extra": 1}, *lines[2:]), 2, "none of such a file"),
        (b"\xff\n", 2, "none of such a file"), (b"", 2, "begin"),
        (changed(lines[0], b'{"kind":"secret","path":"a","secret":' + b"[" * 9000 + b"\n"), 2, "none of such a file"),
    ):
        file.write_bytes(content)
        done = paper.open("prod/db", 1, 2, file=file)
        assert (done.code, done.out) == (code, b""), (says, done.said)
        assert says in done.said
    other = {**rows[0]["roster"], "payload": b64encode(b'{"expires":"never"}')}
    file.write_bytes(changed({**rows[0], "roster": other}, *lines[1:]))
    assert "untrusted: field" in paper.open("prod/db", 1, 2, file=file, more=("--expired",)).said
    assert "cannot be read" in paper.open("prod/db", 1, 2, file=paper.root / "missing").said
    assert "no-secret" in paper.open("prod/none", 1, 2).said
    # One that is spoilt does not keep the others closed, and is named.
    file.write_bytes(changed(lines[0], flipped, *lines[2:]))
    sheets = ("--sheet", str(paper.sheets[0]), "--sheet", str(paper.sheets[1]))
    done = paper.run("--all", "--to", str(paper.root / "rest"), "--from", str(file), *sheets, "--format", "json")
    assert done.code == 15
    assert done.json["refused"] == [{"path": "prod/db", "code": "ciphertext"}]
    assert {one["path"] for one in done.json["opened"]} == {"prod/db/replica", "two/key"}
    # With too few keys nothing is left behind.
    done = paper.run("--all", "--to", str(paper.root / "none"), "--from", str(paper.file), *sheets[:2])
    assert "untrusted: quorum" in done.said
    assert not (paper.root / "none").exists()
    typo = paper.secret(2)[:8] + ("A" if paper.secret(2)[8] != "A" else "B") + paper.secret(2)[9:]
    done = paper.run("--all", "--to", str(paper.root / "none"), "--from", str(paper.file), *sheets[:2], "--sheet", "-",
                     stdin=typo.encode())
    assert "one character of group 2 is wrong" in done.said
    assert done.code == 15


def test_an_old_file_is_opened_only_when_somebody_says_so(paper: Paper) -> None:
    pin, later = b64decode(paper.kit["org_id"]), int(time.time()) + 91 * 86_400
    with pytest.raises(Refused, match="expired") as refused:
        SealedFile(paper.file, pin, later)
    assert "--expired" in refused.value.remedy
    keys = [key for sheet in paper.sheets[:2] for key in read(sheet.read_bytes(), "a sheet")]
    old = SealedFile(paper.file, pin, later, expired=True)
    assert [old.open(one, keys).value.reveal() for one in old.secrets()] == [VALUES[path] for path in sorted(VALUES)]
    with pytest.raises(Refused, match="pin"):  # nothing else is waived
        SealedFile(paper.file, bytes(32), later, expired=True)


def test_a_relay_that_runs_gives_the_same_file_and_a_policy_without_recovery_keys_is_said(world: World) -> None:
    alice = world.create("alice", "--no-recovery")
    alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice")
    alice.ok("seal", "prod/db", stdin=b"value")
    file = world.root / "sealed.jsonl"
    assert json.loads(sealed(str(file), "--data", str(world.data), "--format", "json").out)["secrets"] == 1
    stranger = b64encode(KemKey.generate().secret_bytes())
    org = alice.json("org", "show")["org_id"]
    done = alice.run("recover", "prod/db", "--from", str(file), "--org", org, "--sheet", "-", stdin=stranger.encode())
    assert (done.code, done.out) == (15, b"")
    assert "untrusted: not-recipient" in done.said
    again = subprocess.run([str(RELAY), "sealed", str(file), "--data", str(world.data)], capture_output=True, check=False,
                           env={"PATH": os.environ.get("PATH", "")})
    assert again.returncode == 78
    assert b"there already" in again.stderr
