"""The wheels of the appliance in one folder: the one in dist/, what it needs with the versions and hashes of requirements.lock,
and pip, by which the image installs them.

    .venv/bin/python appliance/wheelhouse.py DIR

They are for the Python and the machine that this runs on; the base of the image must have that Python.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PIP = "pip==26.3 --hash=sha256:f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"

EXTRAS = {"backup"}  # of the package, in the image: a relay encrypts its own backups


def declared(wheel: Path) -> list[str]:
    """What a wheel says that it needs."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])


def closure(lines: list[str], extras: set[str], found: dict[str, set[str]]) -> dict[str, set[str]]:
    """The names of everything that is needed here, with the extras that were asked for."""
    for line in lines:
        one = Requirement(line)
        if one.marker is not None and not any(one.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            continue
        name = canonicalize_name(one.name)
        if name not in found or not one.extras <= found[name]:
            found[name] = found.get(name, set()) | one.extras
            closure(distribution(name).requires or [], found[name], found)
    return found


def locked(names: set[str]) -> str:
    """Their entries in requirements.lock."""
    entries = re.split(r"^(?=[A-Za-z0-9])", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    chosen = {canonicalize_name(entry.partition("==")[0]): entry for entry in entries if "==" in entry and entry[0] != "#"}
    return "".join(chosen[name] for name in sorted(names))


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: .venv/bin/python appliance/wheelhouse.py DIR")
    wheels = sorted((ROOT / "dist").glob("stillvault-*.whl"))
    if len(wheels) != 1:
        sys.exit(f"appliance/wheelhouse.py: dist/ holds {len(wheels)} wheels of stillvault and not one: run `make clean wheel`.")
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(wheels[0], folder)
    wanted = folder.with_name(folder.name + ".lock")
    wanted.write_text(locked(set(closure(declared(wheels[0]), EXTRAS, {}))) + PIP + "\n")
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--require-hashes", "-r", str(wanted), "-d", str(folder)], check=True)


if __name__ == "__main__":
    main()
