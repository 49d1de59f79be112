"""The build backend: maturin, and the native front.

A wheel with PyO3 bindings silently leaves out every binary of the workspace. So the front (`native/cli`) is built here, put
where maturin takes scripts from, and a wheel that does not hold it, or that holds the feature for test vectors, is refused.
`pip install .` and `pip wheel .` both come through here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import maturin

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", "target"))  # relative to the root, as cargo is started there
SCRIPTS = ROOT / "build" / "stillvault.data" / "scripts"

# Built without isolation, the maturin program lies beside the interpreter and not necessarily on PATH.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


class Incomplete(RuntimeError):
    """The wheel lacks a part, or has one too many."""


def _build_front() -> None:
    subprocess.run(["cargo", "build", "--release", "--locked", "-p", "stillvault-cli"], cwd=ROOT, check=True)
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    fresh = SCRIPTS / ".stillvault.new"
    shutil.copy2(ROOT / TARGET / "release" / "stillvault", fresh)
    fresh.chmod(0o755)
    fresh.rename(SCRIPTS / "stillvault")


def check_wheel(wheel: Path) -> None:
    """Raise unless the wheel holds the front as an ELF script, one extension without test entry points, and no stray build."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        fronts = [name for name in names if name.endswith(".data/scripts/stillvault")]
        if len(fronts) != 1 or not archive.read(fronts[0]).startswith(b"\x7fELF"):
            raise Incomplete(f"{wheel.name}: the native front is not among the scripts")
        extensions = [name for name in names if name.endswith(".so")]
        if extensions != ["stillvault/_native.abi3.so"]:
            raise Incomplete(f"{wheel.name}: expected one extension, found {extensions}")
        if b"run_vector" in archive.read(extensions[0]):
            raise Incomplete(f"{wheel.name}: the extension was built with the feature `vectors`")
        if not any(name == "stillvault/_native.pyi" for name in names):
            raise Incomplete(f"{wheel.name}: the stub of the extension is missing")


def prepare_metadata_for_build_wheel(directory: str, settings: dict[str, Any] | None = None) -> str:
    """PEP 517: without it, pip would build the wheel twice."""
    name: str = maturin.prepare_metadata_for_build_wheel(directory, settings)
    return name


def build_wheel(directory: str, settings: dict[str, Any] | None = None, metadata: str | None = None) -> str:
    """PEP 517."""
    _build_front()
    name: str = maturin.build_wheel(directory, settings, metadata)
    check_wheel(Path(directory) / name)
    return name


def build_sdist(directory: str, settings: dict[str, Any] | None = None) -> str:
    """PEP 517."""
    name: str = maturin.build_sdist(directory, settings)
    return name


def get_requires_for_build_wheel(settings: dict[str, Any] | None = None) -> list[str]:
    """PEP 517."""
    needs: list[str] = maturin.get_requires_for_build_wheel(settings)
    return needs


def get_requires_for_build_sdist(settings: dict[str, Any] | None = None) -> list[str]:
    """PEP 517."""
    needs: list[str] = maturin.get_requires_for_build_sdist(settings)
    return needs
