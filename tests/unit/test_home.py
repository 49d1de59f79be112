"""The directory of an identity: whole writes, narrow modes, no links, one writer."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import msgspec
import pytest

from stillvault.protocol.errors import Usage
from stillvault.transport.home import Home, Organisation

RECORD = Organisation(org_id="o", relay="https://localhost", fingerprint="SHA256:x", name="n")


def test_what_is_written_is_read_and_only_the_owner_can(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.write("keys/a/b.json", RECORD)
    assert home.read("keys/a/b.json", Organisation) == RECORD
    for place, mode in (("", 0o700), ("keys", 0o700), ("keys/a", 0o700), ("keys/a/b.json", 0o600)):
        assert stat.S_IMODE(os.stat(home.path / place).st_mode) == mode
    assert home.names("keys") == ["keys/a/b.json"]
    assert [one.name for one in (home.path / "keys" / "a").iterdir()] == ["b.json"]  # no temporary file is left


def test_the_callers_umask_does_not_widen_a_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        home = Home(tmp_path / "home")
        home.write_bytes("x", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(home.path / "x").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(home.path).st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o620])
def test_a_wider_file_is_refused(tmp_path: Path, mode: int) -> None:  # C16
    home = Home(tmp_path / "home")
    home.write_bytes("x", b"1")
    os.chmod(home.path / "x", mode)
    with pytest.raises(Usage) as refused:
        home.read_bytes("x")
    assert refused.value.code == "home-mode"
    assert "chmod 600" in refused.value.remedy


def test_a_wider_directory_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.write_bytes("x", b"1")
    os.chmod(home.path, 0o755)
    with pytest.raises(Usage) as refused:
        home.read_bytes("x")
    assert refused.value.code == "home-mode"


def test_links_are_not_followed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.write_bytes("keys/x", b"1")
    secret = tmp_path / "elsewhere"
    secret.write_bytes(b"2")
    secret.chmod(0o600)
    (home.path / "link").symlink_to(secret)
    (home.path / "folder").symlink_to(home.path / "keys")
    for name in ("link", "folder/x"):
        with pytest.raises(Usage) as refused:
            home.read_bytes(name)
        assert refused.value.code == "home-link"
    home.write_bytes("link", b"3")  # replaces the link itself
    assert secret.read_bytes() == b"2"
    (tmp_path / "there").symlink_to(home.path)
    with pytest.raises(Usage):
        Home(tmp_path / "there").read_bytes("keys/x")


@pytest.mark.parametrize("name", ["../x", "a/../x", "/x", "a//b", "a/./b", "", "a\0b"])
def test_a_name_cannot_lead_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(Usage):
        Home(tmp_path / "home").read_bytes(name)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"org_id":"o"}', msgspec.json.encode({"more": 1})])
def test_a_damaged_record_is_named_not_guessed(tmp_path: Path, content: bytes) -> None:
    home = Home(tmp_path / "home")
    home.write_bytes("home.json", content)
    with pytest.raises(Usage) as refused:
        home.organisation()
    assert "home.json" in refused.value.message


def test_writers_take_turns(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.write_bytes("n", b"0")

    def add() -> None:
        own = Home(home.path)
        for _ in range(25):
            with own.lock(), own.lock():
                own.write_bytes("n", str(int(own.read_bytes("n") or b"0") + 1).encode())

    threads = [threading.Thread(target=add) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert home.read_bytes("n") == b"100"
