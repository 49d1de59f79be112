"""The build backend: maturin, the native front, and the web console.

A wheel with PyO3 bindings silently leaves out every binary of the workspace. So the front (`native/cli`) is built here, put
where maturin takes scripts from, and a wheel that does not hold it, or that holds the feature for test vectors, is refused.
The web console (`console/`) is built into the package by npm and Vite, from what its lock names; a wheel that does not hold it
whole is refused as well. `pip install .` and `pip wheel .` both come through here, also from a source distribution.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import maturin

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", "target"))  # relative to the root, as cargo is started there
CONSOLE = "stillvault/console/"
SCRIPTS = ROOT / "build" / "stillvault.data" / "scripts"
HELPERS = ("git-credential-stillvault", "docker-credential-stillvault")  # found by their names; each becomes the front

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
    for name in HELPERS:
        shutil.copy(ROOT / "native" / "cli" / "helpers" / name, SCRIPTS / name)


def _build_console() -> None:
    try:
        subprocess.run([ROOT / "tools" / "console"], cwd=ROOT, check=True)
    except subprocess.CalledProcessError as error:
        raise Incomplete("the web console was not built: Node 20.19 or newer and npm are needed") from error


def _check_console(archive: zipfile.ZipFile, wheel: str) -> None:
    """Every file of the console, byte for byte what console.json says, and no other."""
    held = {name.removeprefix(CONSOLE) for name in archive.namelist() if name.startswith(CONSOLE) and not name.endswith("/")}
    if not {"console.json", "index.html"} <= held:
        raise Incomplete(f"{wheel}: the web console is missing")
    named = json.loads(archive.read(CONSOLE + "console.json"))["files"]
    if held - {"console.json"} != set(named) or not any(name.startswith("assets/") for name in named):
        raise Incomplete(f"{wheel}: the web console is not the one of its console.json")
    for name, file in named.items():
        if hashlib.sha256(archive.read(CONSOLE + name)).hexdigest() != file["sha256"]:
            raise Incomplete(f"{wheel}: {CONSOLE}{name} is not the file of console.json")


def check_wheel(wheel: Path) -> None:
    """Raise unless the wheel holds the front as an ELF script, one extension without test entry points, the web console, and no
    stray build."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        fronts = [name for name in names if name.endswith(".data/scripts/stillvault")]
        if len(fronts) != 1 or not archive.read(fronts[0]).startswith(b"\x7fELF"):
            raise Incomplete(f"{wheel.name}: the native front is not among the scripts")
        for helper in HELPERS:
            if not any(name.endswith(f".data/scripts/{helper}") for name in names):
                raise Incomplete(f"{wheel.name}: {helper} is not among the scripts")
        extensions = [name for name in names if name.endswith(".so")]
        if extensions != ["stillvault/_native.abi3.so"]:
            raise Incomplete(f"{wheel.name}: expected one extension, found {extensions}")
        if b"run_vector" in archive.read(extensions[0]):
            raise Incomplete(f"{wheel.name}: the extension was built with the feature `vectors`")
        if not any(name == "stillvault/_native.pyi" for name in names):
            raise Incomplete(f"{wheel.name}: the stub of the extension is missing")
        _check_console(archive, wheel.name)


def prepare_metadata_for_build_wheel(directory: str, settings: dict[str, Any] | None = None) -> str:
    """PEP 517: without it, pip would build the wheel twice."""
    SCRIPTS.mkdir(parents=True, exist_ok=True)  # maturin insists on it
    name: str = maturin.prepare_metadata_for_build_wheel(directory, settings)
    return name


def build_wheel(directory: str, settings: dict[str, Any] | None = None, metadata: str | None = None) -> str:
    """PEP 517."""
    _build_front()
    _build_console()
    name: str = maturin.build_wheel(directory, settings, metadata)
    check_wheel(Path(directory) / name)
    return name


def build_sdist(directory: str, settings: dict[str, Any] | None = None) -> str:
    """PEP 517."""
    name: str = maturin.build_sdist(directory, settings)
    _complete(Path(directory) / name)
    return name


def _complete(sdist: Path) -> None:
    """maturin packs what the extension needs and cuts the workspace down to it; the front and the console are built from here."""
    added = [ROOT / name for name in ("Cargo.toml", "tools/backend.py", "tools/console")]
    for place in ("native/cli", "console"):
        added += [path for path in sorted((ROOT / place).rglob("*")) if path.is_file() and "node_modules" not in path.parts]
    top = sdist.name.removesuffix(".tar.gz")
    names = {f"{top}/{path.relative_to(ROOT)}": path for path in added}
    fresh = sdist.with_name(sdist.name + ".new")
    with tarfile.open(sdist) as packed, tarfile.open(fresh, "w:gz") as whole:
        for member in packed:
            if member.name not in names:
                whole.addfile(member, packed.extractfile(member))
        for name, path in names.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = path.stat().st_size, path.stat().st_mode & 0o755
            with path.open("rb") as content:
                whole.addfile(member, content)
    fresh.rename(sdist)


def get_requires_for_build_wheel(settings: dict[str, Any] | None = None) -> list[str]:
    """PEP 517."""
    needs: list[str] = maturin.get_requires_for_build_wheel(settings)
    return needs


def get_requires_for_build_sdist(settings: dict[str, Any] | None = None) -> list[str]:
    """PEP 517."""
    needs: list[str] = maturin.get_requires_for_build_sdist(settings)
    return needs
