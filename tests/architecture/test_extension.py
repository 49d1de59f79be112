"""The stub of the extension against the built extension: every name, every parameter, every default."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stillvault.crypto import leases, private, public
from stillvault.crypto.public import features

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = Path(__file__).with_name("stub-allowed.txt")


def test_the_stub_is_complete() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "--allowlist", str(ALLOWED), "stillvault._native"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_ring_hands_on_every_name_of_the_extension_once() -> None:
    import stillvault._native as core

    native = {name for name in dir(core) if not name.startswith("_")} - {"run_vector"}
    handed = [name for module in (public, private, leases) for name in module.__all__]
    assert sorted(handed) == sorted(native)


def test_this_is_the_build_for_tests() -> None:
    assert features() == ["vectors"]
