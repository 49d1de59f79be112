"""`stillvault scan` as a command: its report, its exit codes, hostile trees, and values that become references."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import time
from pathlib import Path

import pytest

from stillvault.protocol.text import HIDDEN
from stillvault.scan.walk import Walk
from tests.world import PATIENCE, STILLVAULT, Done, Party, World

VALUE = "hunter" + "2-Canary9"
ENV = (f"# ours\nPORT=8080\nexport DB_PASSWORD='{VALUE}' # the database\r\nAPI_TOKEN=\"{VALUE}\\n$x\"\nOTHER=sv://x/y\n"
       f"MAIL_PASSWORD={VALUE}3")


def scan(*arguments: str, cwd: Path) -> Done:
    done = subprocess.run([str(STILLVAULT), "scan", *arguments], cwd=cwd, capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=PATIENCE, check=False, env={"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8"})
    assert VALUE.encode() not in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_report_and_its_exit_codes(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("x = 1\n")
    clean = scan(cwd=tmp_path)
    assert (clean.code, clean.text) == (0, "0 found in 1 files\n")
    (tmp_path / "src" / ".env").write_text(ENV)
    (tmp_path / "src" / "b.py").write_text(f"# a\npassword = '{VALUE}'\npassword = '{VALUE}' # stillvault:allow\n")
    found = scan("--format", "json", cwd=tmp_path)
    assert found.code == 1
    assert found.json == {
        "v": 1, "left": 4, "files": 3, "allowed": 1, "binary": 0, "skipped": [],
        "findings": [
            {"file": "./src/.env", "line": 3, "kind": "assignment", "name": "DB_PASSWORD", "length": len(VALUE)},
            {"file": "./src/.env", "line": 4, "kind": "assignment", "name": "API_TOKEN", "length": len(VALUE) + 3},
            {"file": "./src/.env", "line": 6, "kind": "assignment", "name": "MAIL_PASSWORD", "length": len(VALUE) + 1},
            {"file": "./src/b.py", "line": 2, "kind": "assignment", "name": "password", "length": len(VALUE)}]}
    text = scan("src/.env", cwd=tmp_path)
    assert text.code == 1
    assert text.text.splitlines()[0] == f"src/.env:3  assignment  DB_PASSWORD    ******** ({len(VALUE)} characters)"
    assert "scan --seal" in text.said
    assert scan("missing", cwd=tmp_path).code == 2
    assert scan("--seal", "Not A Path", cwd=tmp_path).code == 2
    assert "--yes" in scan("--seal", "app", cwd=tmp_path).said
    assert scan("--exclude", "*.env", "--exclude", "src/b.py", cwd=tmp_path).code == 0
    (tmp_path / ".stillvaultignore").write_text("# tests only\nsrc/\n")
    assert scan(cwd=tmp_path).code == 0


def test_what_is_not_written_here_is_left_out(tmp_path: Path) -> None:
    for place in (".git", "node_modules/x", ".venv/lib", "target/debug", "site-packages"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / ".env").write_text(ENV)
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    (tmp_path / "target" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    (tmp_path / "binary.env").write_bytes(b"\0" + ENV.encode())
    (tmp_path / "huge.env").write_text(ENV + "x" * 5_000_000)
    done = scan("--format", "json", cwd=tmp_path)
    assert (done.code, done.json["findings"], done.json["binary"]) == (0, [], 1)
    assert done.json["skipped"] == [{"file": "./huge.env", "why": "larger than 4 MiB"}]
    (tmp_path / ".gitignore").write_text(".env\n")  # the file that git ignores is the one to find
    (tmp_path / ".env").write_text(ENV)
    assert scan(cwd=tmp_path).code == 1


def test_a_hostile_tree(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "outside.env").symlink_to("/etc/hostname")
    (tmp_path / "a" / "dangling").symlink_to("nothing")
    os.mkfifo(tmp_path / "a" / "fifo.env")
    names = ("new\nline.env", "\x1b[2J.env", "\u202egpj.env", "--seal.env", " .env", "$(id).env")
    for name in names:
        (tmp_path / name).write_text(f"A_TOKEN={VALUE}\n")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.env"))).write_text(f"A_TOKEN={VALUE}\n")
    deep = tmp_path
    for _ in range(300):
        deep = deep / "deep"
    deep.mkdir(parents=True)
    (deep / ".env").write_bytes(b"A_TOKEN=\xff\xfe" + VALUE.encode())
    done = scan("--format", "json", cwd=tmp_path)
    assert done.code == 1
    assert len(done.json["findings"]) == len(names) + 2
    for printed in (done, scan(cwd=tmp_path)):
        assert not HIDDEN.search((printed.text + printed.said).replace("\n", ""))
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0)
        assert scan("--format", "json", cwd=tmp_path).json["skipped"][0]["why"] == "Permission denied"


def test_an_ignore_file_that_is_none_holds_nothing_up(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(ENV)
    os.mkfifo(tmp_path / ".stillvaultignore")
    assert scan(cwd=tmp_path).code == 1
    (tmp_path / ".stillvaultignore").unlink()
    (tmp_path / "patterns").write_text("*\n")
    (tmp_path / ".stillvaultignore").symlink_to("patterns")
    assert scan(cwd=tmp_path).code == 1


def sealed_in(world: World) -> set[str]:
    return {one["path"] for one in world.parties["alice"].json("secrets")["secrets"]}


def test_values_become_references(small: World, tmp_path: Path) -> None:
    alice = small.parties["alice"]
    env = tmp_path / ".env"
    env.write_text(ENV)
    env.chmod(0o600)
    (tmp_path / "copy.env").write_text(f"DB_PASSWORD={VALUE}#no comment\nAPI_TOKEN=another-{VALUE}\n")
    (tmp_path / "a.py").write_text(f"password = '{VALUE}'\n")
    done = alice.run("--format", "json", "scan", str(tmp_path), "--seal", "prod/app", "--yes")
    assert done.code == 1, done.said
    became = {(Path(one["file"]).name, one["line"]): one.get("sealed", one.get("not_sealed")) for one in done.json["findings"]}
    assert became[".env", 3] == "sv://prod/app/db_password"
    assert became[".env", 4] == "sv://prod/app/api_token"
    assert became["a.py", 1] == "not the value of a NAME=value line"
    assert "another value" in became["copy.env", 2] or "another value" in became[".env", 4]
    assert env.read_bytes() == (b"# ours\nPORT=8080\nexport DB_PASSWORD=sv://prod/app/db_password # the database\r\n"
                                b"API_TOKEN=sv://prod/app/api_token\nOTHER=sv://x/y\nMAIL_PASSWORD=sv://prod/app/mail_password")
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert not [one for one in os.listdir(tmp_path) if one not in (".env", "copy.env", "a.py")]
    assert sealed_in(small) == {"prod/app/db_password", "prod/app/api_token", "prod/app/mail_password"}
    assert VALUE.encode() not in done.out + done.err + alice.ok("audit", "tail").out
    # A path that has a secret is never sealed over, and the file stays as it is.
    env.write_text(f"DB_PASSWORD={VALUE}X")
    again = alice.run("scan", str(env), "--seal", "prod/app", "--yes")
    assert (again.code, env.read_text()) == (1, f"DB_PASSWORD={VALUE}X")
    assert "has a secret already" in again.said
    # No policy: the organisation's own answer and exit code, and nothing is written.
    assert "no-policy" in alice.fails(13, "scan", str(env), "--seal", "nowhere", "--yes")
    assert env.read_text() == f"DB_PASSWORD={VALUE}X"
    assert "no-home" in small.party("nobody").fails(2, "scan", str(env), "--seal", "prod/b", "--yes")
    # What was sealed is what stood in the file, byte for byte, and `run` takes the file as it is now.
    db = small.parties["host/db-1"]
    env.write_text("API_TOKEN=sv://prod/app/api_token\n")
    with db.daemon():
        asking = db.spawn("run", "--env-file", str(env), "--no-masking", "--", "/usr/bin/printenv", "API_TOKEN")
        alice.ok("approve", "--next", "--wait", "60", "--yes")
        out, _ = asking.communicate(timeout=PATIENCE)
    assert out.decode() in (f"{VALUE}\n$x\n", f"another-{VALUE}\n")


class Terminal:
    """`stillvault` of a party on a terminal of its own."""

    def __init__(self, party: Party, *words: str) -> None:
        self.shown = b""
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execve(STILLVAULT, [str(STILLVAULT), *words], party.environment)

    def asked(self) -> None:
        """Until it has asked once more."""
        before = self.shown.count(b"[y/N]")
        deadline = time.monotonic() + PATIENCE
        while self.shown.count(b"[y/N]") == before:
            assert time.monotonic() < deadline
            self.shown += os.read(self._fd, 4096)

    def say(self, answer: bytes) -> None:
        os.write(self._fd, answer)

    def ended(self) -> int:
        """Its exit code."""
        try:
            while piece := os.read(self._fd, 4096):
                self.shown += piece
        except OSError:
            pass
        _, status = os.waitpid(self._pid, 0)
        os.close(self._fd)
        assert b"Traceback" not in self.shown
        return os.waitstatus_to_exitcode(status)


def test_each_value_is_asked_for_on_a_terminal(small: World, tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text(f"A_TOKEN={VALUE}1\nB_TOKEN={VALUE}2\n")
    terminal = Terminal(small.parties["alice"], "scan", str(env), "--seal", "prod")
    for answer in (b"n\n", b"y\n"):
        terminal.asked()
        terminal.say(answer)
    assert terminal.ended() == 1
    assert VALUE.encode() not in terminal.shown
    assert env.read_text() == f"A_TOKEN=sv://prod/a_token\nB_TOKEN={VALUE}2\n"  # from the end: B was asked about first


@pytest.mark.parametrize("what", ["link", "hard link"])
def test_a_file_that_cannot_be_replaced_is_left(small: World, tmp_path: Path, what: str) -> None:
    alice = small.parties["alice"]
    real = tmp_path / "real"
    real.write_text(f"A_TOKEN={VALUE}\n")
    env = tmp_path / ".env"
    env.symlink_to(real) if what == "link" else os.link(real, env)
    done = alice.run("--format", "json", "scan", str(env), "--seal", f"prod/{what.replace(' ', '')}", "--yes")
    assert done.code == 1
    assert "sealed" not in done.json["findings"][0]
    assert real.read_text() == env.read_text() == f"A_TOKEN={VALUE}\n"
    assert env.is_symlink() == (what == "link")


def test_a_file_that_changes_meanwhile_is_left(small: World, tmp_path: Path) -> None:
    """Somebody writes between the scan and the answer."""
    alice = small.parties["alice"]
    env = tmp_path / ".env"
    env.write_text(f"A_TOKEN={VALUE}\n")
    terminal = Terminal(alice, "scan", str(env), "--seal", "prod")
    terminal.asked()
    env.write_text(f"B=1\nA_TOKEN={VALUE}\n")
    terminal.say(b"y\n")
    assert terminal.ended() == 1
    assert env.read_text() == f"B=1\nA_TOKEN={VALUE}\n"
    assert b"changed meanwhile" in terminal.shown
    assert json.loads(alice.ok("--format", "json", "secrets", "prod").out)["secrets"]  # sealed, and said so
    assert b"is sealed as prod/a_token" in terminal.shown


def test_a_line_that_became_a_comment_is_left(small: World, tmp_path: Path) -> None:
    """The value stands where it stood, and is nobody's any more."""
    env = tmp_path / ".env"
    env.write_text(f"A_TOKEN={VALUE}4\nB_TOKEN={VALUE}5\n")
    terminal = Terminal(small.parties["alice"], "scan", str(env), "--seal", "prod/comment")
    terminal.asked()
    env.write_text(f"#_TOKEN={VALUE}4\nB_TOKEN={VALUE}5\n")
    terminal.say(b"n\n")
    assert terminal.ended() == 1
    assert b"changed meanwhile" in terminal.shown
    assert env.read_text() == f"#_TOKEN={VALUE}4\nB_TOKEN={VALUE}5\n"


def test_a_folder_that_becomes_a_link_leads_nowhere(small: World, tmp_path: Path) -> None:
    """Somebody who can write in the tree swaps a folder: first while it is read, then between the question and the answer."""
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    for folder in (tree / "b", outside):
        folder.mkdir(parents=True)
        (folder / ".env").write_text(f"A_TOKEN={VALUE}6\n")
    (tree / "a.txt").touch()
    walk = Walk()
    files = walk.files(str(tree))
    assert next(files)[0].endswith("a.txt")
    swap(tree / "b", outside)
    assert list(files) == []
    assert [one.file for one in walk.skipped] == [str(tree / "b")]
    swap(tree / "b", tmp_path / "b-before")
    terminal = Terminal(small.parties["alice"], "scan", str(tree), "--seal", "prod/swapped")
    terminal.asked()
    swap(tree / "b", outside)
    terminal.say(b"y\n")
    assert terminal.ended() == 1
    assert b"a folder on the way to it is a symbolic link" in terminal.shown
    assert (outside / ".env").read_text() == f"A_TOKEN={VALUE}6\n"
    assert os.listdir(outside) == [".env"]


def swap(folder: Path, other: Path) -> None:
    """A folder gives its name to a link; a link to the folder that it stood for."""
    kept = folder.parent.parent / f"{folder.name}-before"
    if folder.is_symlink():
        folder.unlink()
        other.rename(folder)
    else:
        folder.rename(kept)
        folder.symlink_to(other)
