"""Where a value goes and where it does not: seen from outside, by the kernel."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.blindness.scan import in_bytes, in_files, needles
from tests.front.conftest import FRONT, Front
from tests.front.standin import Call

NOBODY = 65534
# Everything by which bytes leave a process for a file, another process or its arguments.
CALLS = "execve,execveat,write,pwrite64,writev,pwritev,sendto,sendmsg,sendfile,splice,openat,open,creat,link,linkat,renameat2"


def traced(front: Front, *words: str) -> list[str]:
    """The calls that carried a form of the value, with the kind of file each went to."""
    log = front.place / "strace"
    subprocess.run(["strace", "-f", "-qq", "-y", "-s", "200000", "-xx", "-e", f"trace={CALLS}", "-o", log, FRONT, *words],
                   env=front.env, cwd=front.place, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120)
    lines = log.read_text().splitlines()
    log.unlink()
    hits = []
    for line in lines:
        said = b"".join(bytes.fromhex(text.replace("\\x", "")) for text in re.findall(r'"((?:\\x[0-9a-f]{2})+)"', line))
        if in_bytes(said, needles(VALUE)):
            shown = re.sub(r'"(?:\\x[0-9a-f]{2})+"', "..", line.partition(" ")[2])
            hits.append(re.sub(r"\\x([0-9a-f]{2})", lambda digits: chr(int(digits[1], 16)), shown)[:60].strip())
    return hits


VALUE = os.urandom(32).hex().encode()


def test_no_argument_and_no_file_holds_it(front: Front) -> None:  # L13
    with front.holding(a=VALUE):
        # Standard output alone; the child uses the value, prints nothing.
        (only,) = traced(front, "read", "sv://a")
        assert only.startswith("write(1<"), only
        assert traced(front, "run", "--env", "A=sv://a", "--", "sh", "-c", 'test ${#A} -eq 64') == []
        assert traced(front, "run", "--no-masking", "--env", "A=sv://a", "--", "sh", "-c", 'test ${#A} -eq 64') == []
        assert in_files(front.place, needles(VALUE)) == []
        # What the child prints reaches us through a pipe, and goes nowhere else.
        printed = traced(front, "run", "--env", "A=sv://a", "--", "sh", "-c", 'echo "$A"')
        assert len(printed) == 1 and re.match(r"write\(1<pipe:", printed[0]), printed
        # The same watch sees a value that does go to a file.
        assert any("/.stillvault-" in hit for hit in traced(front, "read", "sv://a", "--out-file", "asked-for"))
        assert in_files(front.place, needles(VALUE)) == [str(front.place / "asked-for")]


def test_the_value_is_in_no_frame(front: Front) -> None:
    with front.holding(a=VALUE) as daemon:
        assert front("run", "--env", "A=sv://a", "--", "sh", "-c", "echo $A").exit == 0
    assert in_bytes(bytes(daemon.traffic), needles(VALUE)) == []


def peer(call: Call) -> int:
    return int.from_bytes(call.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)


def test_others_of_the_account_cannot_look_inside(front: Front) -> None:  # L11
    """With a daemon of root the front is closed before it asks; from then on its /proc belongs to root."""
    owners: list[int] = []

    def script(call: Call) -> None:
        owners.append(Path(f"/proc/{peer(call)}/mem").stat().st_uid)
        call.deliver({"a": VALUE})

    front.place.chmod(0o755)
    nobody: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    with front.daemon(script):
        front.socket.chmod(0o666)
        words = ["run", "--env", "A=sv://a", "--", "sh", "-c", "echo ready; read x"]
        with front.start(*words, stdin=subprocess.PIPE, **nobody) as process:
            assert process.stdout is not None and process.stdin is not None
            assert process.stdout.readline() == b"ready\n"
            for name in ("mem", "environ", "maps"):
                look = ["sh", "-c", f"cat /proc/{process.pid}/{name} 2>&1 >/dev/null"]
                seen = subprocess.run(look, capture_output=True, check=False, **nobody)
                assert b"ermission denied" in seen.stdout, name
            # A process that hides nothing can be read the same way.
            with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **nobody) as open_:
                assert open_.stdin is not None and open_.stdout is not None
                open_.stdin.write(b"here\n")
                open_.stdin.flush()
                assert open_.stdout.readline() == b"here\n"  # it is another program by now
                look = ["cat", f"/proc/{open_.pid}/maps"]
                assert subprocess.run(look, capture_output=True, check=False, **nobody).returncode == 0
            process.stdin.close()
    assert owners == [0]


@pytest.mark.parametrize("words", [["read", "sv://a"], ["run", "--env", "A=sv://a", "--", "cat"]], ids=["read", "run"])
def test_killed_while_it_waits_it_leaves_nothing(front: Front, words: list[str]) -> None:
    asked = threading.Event()
    withdrawn: list[bool] = []

    def script(call: Call) -> None:
        call.pending()
        asked.set()
        withdrawn.append(call.ended())

    with front.daemon(script), front.start(*words) as process:
        assert asked.wait(30)
        process.kill()
    assert withdrawn == [True]
    assert list(front.place.iterdir()) == []
