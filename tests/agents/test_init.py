"""`stillvault init`: what it writes, that it may be run again, and that nothing of anybody else is overwritten."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest

from stillvault.agents.project import block
from tests.world import PATIENCE, STILLVAULT, Done


def init(folder: Path, *arguments: str) -> Done:
    done = subprocess.run([str(STILLVAULT), "init", "--format", "json", *arguments], cwd=folder, capture_output=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE, env={"PATH": os.environ["PATH"], "HOME": str(folder)})
    assert b"Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def states(done: Done) -> dict[str, str]:
    return {one["file"]: one["state"] for one in done.json["files"]}


def test_a_project_is_set_up_once(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("# Mine\n\nUse tabs.")
    (tmp_path / ".env").write_text("PORT=1\nAPI_TOKEN=sv://app/api#token\nSECRET=plain-value-7\n")
    done = init(tmp_path, "DB_PASSWORD=sv://app/db")
    assert done.code == 0
    assert states(done) == {".env.stillvault": "written", "AGENTS.md": "written", "CLAUDE.md": "changed"}
    env = (tmp_path / ".env.stillvault").read_text()
    assert env.splitlines()[2:] == ["API_TOKEN=sv://app/api#token", "DB_PASSWORD=sv://app/db"]
    assert "plain-value" not in env
    agents = (tmp_path / "AGENTS.md").read_text()
    assert agents == block()
    assert len(agents.splitlines()) == 8
    assert (tmp_path / "CLAUDE.md").read_text() == "# Mine\n\nUse tabs.\n\n" + block()
    before = {path: (path.read_bytes(), path.stat().st_ino) for path in tmp_path.iterdir()}
    again = init(tmp_path)
    assert set(states(again).values()) == {"current"}
    assert {path: (path.read_bytes(), path.stat().st_ino) for path in tmp_path.iterdir()} == before
    more = init(tmp_path, "MAIL=sv://app/mail")
    assert states(more)[".env.stillvault"] == "changed"
    assert (tmp_path / ".env.stillvault").read_text() == env + "MAIL=sv://app/mail\n"
    assert stat.S_IMODE((tmp_path / "AGENTS.md").stat().st_mode) & 0o077 == 0o044


def test_what_somebody_changed_is_left(tmp_path: Path) -> None:
    init(tmp_path, "DB=sv://app/db")
    agents = tmp_path / "AGENTS.md"
    edited = agents.read_text().replace("wait for it", "wait a day")
    agents.write_text(edited)
    done = init(tmp_path, "DB=sv://app/other")
    assert done.code == 1
    assert states(done) == {".env.stillvault": "left", "AGENTS.md": "left"}
    assert agents.read_text() == edited
    assert "DB=sv://app/db\n" in (tmp_path / ".env.stillvault").read_text()
    for broken in ("<!-- stillvault:begin -->\nx\n", block() + block(), "<!-- stillvault:end -->\n",
                   block().replace("sha256", "sha1")):
        agents.write_text(broken)
        assert states(init(tmp_path))["AGENTS.md"] == "left"
        assert agents.read_text() == broken
    old = f"<!-- stillvault:begin sha256={hashlib.sha256(b'x').hexdigest()[:16]} -->\nx<!-- stillvault:end -->\n"
    agents.write_text("before\n" + old + "after\n")  # an older block of ours, untouched: replaced in its place
    assert states(init(tmp_path))["AGENTS.md"] == "changed"
    assert agents.read_text() == "before\n" + block() + "after\n"
    agents.write_bytes(b"one\r\ntwo \xff\r\n")
    init(tmp_path)
    assert agents.read_bytes() == b"one\r\ntwo \xff\r\n\r\n" + block().replace("\n", "\r\n").encode()
    assert states(init(tmp_path))["AGENTS.md"] == "current"


def test_one_file_under_two_names_is_written_once(tmp_path: Path) -> None:
    for real, link in (("AGENTS.md", "CLAUDE.md"), ("CLAUDE.md", "AGENTS.md")):
        (tmp_path / real).write_text("x\n")
        (tmp_path / link).symlink_to(real)
        assert init(tmp_path).code == 0
        assert (tmp_path / real).read_text() == "x\n\n" + block()
        assert (tmp_path / link).is_symlink()
        (tmp_path / real).unlink()
        (tmp_path / link).unlink()
    (tmp_path / "CLAUDE.md").write_text("Read @AGENTS.md first\n")
    init(tmp_path)
    assert (tmp_path / "CLAUDE.md").read_text() == "Read @AGENTS.md first\n"


def test_a_hostile_project(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "project"
    outside.write_text("mine")
    folder.mkdir()
    for name in ("AGENTS.md", ".env.stillvault", "CLAUDE.md", ".env"):
        (folder / name).symlink_to(outside)
    done = init(folder, "A=sv://a/b")
    assert done.code == 1
    assert set(states(done).values()) == {"left"}
    assert outside.read_text() == "mine"
    for name in ("AGENTS.md", ".env.stillvault", "CLAUDE.md"):
        (folder / name).unlink()
    (folder / "AGENTS.md").mkdir()
    os.mkfifo(folder / ".env.stillvault")
    assert states(init(folder)) == {"AGENTS.md": "left", ".env.stillvault": "left"}
    (folder / ".env.stillvault").unlink()
    (folder / ".env.stillvault").write_text("A_TOKEN=hunter" + "22\n")
    done = init(folder)
    assert "plaintext credential" in done.text
    assert "hunter" not in done.text + done.said


@pytest.mark.parametrize("text", ["A", "A=b", "A=sv://", "=sv://a", "A=sv://A", "A=sv://a/../b", "A=sv://a b", "A=sv://a\nB=c", "1=sv://a",
                                  "A=sv://" + "a" * 201, "\x1b[2J=sv://a", "A=sv://a#", "A=sv://a# b", "A=sv://a#b#c"])
def test_what_is_no_reference(tmp_path: Path, text: str) -> None:
    done = init(tmp_path, "--", text)
    assert done.code == 2
    assert "\x1b" not in done.said
    assert list(tmp_path.iterdir()) == []
