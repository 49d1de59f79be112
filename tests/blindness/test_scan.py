"""The scanner itself: what it must find, it finds."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.blindness import scan


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("length", [16, 17, 18, 31, 32, 33])
def test_finds_each_form_at_each_alignment(before: int, length: int) -> None:
    canary = os.urandom(length)
    wanted = scan.needles(canary)
    around = os.urandom(before) + canary + os.urandom(9)
    digits = around.hex().encode()
    for form in (around, digits, digits.upper(), base64.b64encode(around), base64.urlsafe_b64encode(around)):
        assert scan.in_bytes(b"x" * 100 + form + b"y" * 100, wanted)


def test_finds_nothing_in_noise() -> None:
    wanted = scan.needles(os.urandom(24))
    assert not scan.in_bytes(os.urandom(1 << 20), wanted)


def test_finds_a_planted_value_in_a_process_and_in_a_file(tmp_path: Path) -> None:
    canary = os.urandom(24)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0" * 5000 + base64.b64encode(b"?" + canary))
    assert scan.in_files(tmp_path, scan.needles(canary))
    code = "import sys; kept = bytes.fromhex(sys.stdin.readline()); print(len(kept), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(canary.hex() + "\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == "24"
        assert scan.in_process(process.pid, scan.needles(canary))
        assert not scan.in_process(process.pid, scan.needles(os.urandom(24)))
        process.stdin.close()
