"""What a process calls itself must not change what the kernel says about it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillvault.client.executable import SETTLED, Hasher, shown_path
from stillvault.client.process import Process, has_pidfs
from stillvault.client.procfs import parse_euid, parse_pidfd, parse_place, parse_stat

PR_SET_NAME = 15
ID = "0123456789abcdef" * 4


@settings(max_examples=2000, deadline=None)
@given(st.binary(min_size=1, max_size=15).filter(lambda name: b"\0" not in name))
def test_a_hostile_name_changes_nothing(name):  # L10
    """The kernel itself writes the line: this process takes the name, and the facts stay those that the pidfd gives."""
    libc = ctypes.CDLL(None)
    before = Path("/proc/self/comm").read_bytes().rstrip(b"\n")
    process = Process(os.pidfd_open(os.getpid()))
    try:
        plain = process.stat()
        libc.prctl(PR_SET_NAME, ctypes.c_char_p(name), 0, 0, 0)
        stat = parse_stat(Path("/proc/self/stat").read_bytes())
        assert stat.comm == name
        assert process.stat() == plain._replace(comm=stat.comm)
        assert (stat.pid, stat.ppid, stat.session) == (process.pid, os.getppid(), os.getsid(0))
        assert process.euid() == os.geteuid()
    finally:
        libc.prctl(PR_SET_NAME, ctypes.c_char_p(before), 0, 0, 0)
        process.close()


@pytest.mark.parametrize("by_inode", [True, False])
def test_pidfds_of_two_processes_are_told_apart(by_inode):  # L4
    assert has_pidfs()
    child = subprocess.Popen(["/bin/sleep", "1000"])
    own, other = Process(os.pidfd_open(os.getpid())), os.pidfd_open(child.pid)
    again = os.pidfd_open(os.getpid())
    try:
        assert own.is_behind(again, by_inode=by_inode)
        assert not own.is_behind(other, by_inode=by_inode)
    finally:
        own.close()
        os.close(again)
        os.close(other)
        child.kill()
        child.wait()


NUMBERS = " ".join(["S 7 8 9", *["0"] * 15, "4242 0 0 0 11 0 13", *["0"] * 18, "17 1 2 3 4"])


@settings(max_examples=10000, deadline=None)
@given(st.binary(max_size=64))
def test_stat_is_read_from_the_last_bracket(comm):  # L10
    stat = parse_stat(b"12 (" + comm + b") " + NUMBERS.encode())
    assert stat[:5] == (12, comm, 7, 9, 4242)
    assert stat.image == (11, 13, 17)
    assert stat.arguments == (1, 2, 3, 4)


def test_a_digest_is_kept_only_once_the_file_is_settled(tmp_path):  # two writes within one tick have one ctime
    program, hasher = tmp_path / "program", Hasher()
    program.write_bytes(b"one")
    with program.open("rb") as file:
        key, digest, _ = hasher.digest(file.fileno())
        assert hasher.known(key) is None
        while time.time_ns() - key.ctime < SETTLED:
            time.sleep(0.05)
        assert hasher.digest(file.fileno())[:2] == (key, digest)
    assert hasher.known(key) == digest


@settings(max_examples=2000, deadline=None)
@given(st.binary(max_size=200))
def test_parsers_give_facts_or_a_value_error(raw):
    for parse in (parse_stat, parse_euid, parse_pidfd):
        try:
            parse(raw)
        except ValueError:
            continue
    parse_place(raw)


@pytest.mark.parametrize(("text", "unit", "container"), [
    ("0::/system.slice/nginx.service", "nginx.service", ""),
    ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service", "user@1000.service/nginx.service", ""),
    ("0::/system.slice/a.service/b.service", "a.service", ""),
    (f"0::/system.slice/docker-{ID}.scope", f"docker-{ID}.scope", ID),
    (f"0::/machine.slice/libpod-{ID}.scope/container", f"libpod-{ID}.scope", ID),
    (f"12:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}", "", ID),
    ("1:name=systemd:/system.slice/cron.service\n0::/", "cron.service", ""),
    ("0::/", "", ""),
    ("", "", ""),
])
def test_unit_and_container(text, unit, container):
    assert parse_place(text.encode()) == (unit, container)


@pytest.mark.parametrize(("link", "links", "shown"), [
    (b"/usr/bin/claude", 1, "/usr/bin/claude"),
    (b"/usr/bin/claude (deleted)", 0, "/usr/bin/claude (deleted)"),
    (b"/usr/bin/claude (deleted)", 1, r"/usr/bin/claude \u{28}deleted)"),
    (b"/tmp/a\nb\x1b[2J\xe2\x80\xae\xff\\", 1, r"/tmp/a\u{a}b\u{1b}[2J\u{202e}\x{ff}\u{5c}"),
])
def test_names_are_shown_on_one_line_and_facts_are_facts(link, links, shown):  # L9
    assert shown_path(link, links, foreign=False) == shown


def test_a_foreign_mount_namespace_is_said():
    assert shown_path(b"/usr/bin/x", 1, foreign=True) == "(in a mount namespace of its own) /usr/bin/x"
