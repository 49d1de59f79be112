#!/usr/bin/env python3
"""Installs from an offline bundle, after every check of verify.py. No network, no program but Python 3.11 or newer.

    python3 install.py BUNDLE.tar -P RWQ... host [--prefix /opt/stillvault]     the commands, for a host, a person or a relay
    python3 install.py BUNDLE.tar -P RWQ... image [--engine podman]             the relay's image, into podman or docker
    python3 install.py BUNDLE.tar -P RWQ... files DIR                           everything else: docs, skill, units, SBOMs

`host` makes PREFIX/VERSION, a virtual environment of the bundle's wheels by their hashes, and points the link PREFIX/current at
it when it is whole; PREFIX/bin is current/bin, where the systemd units look. An older version stays where it is: point the link
back, or remove it.

A bundle that is older than what is in place is refused without --older: its signature is as good as ever, and so may be what is
known against it by now.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from verify import Refused, given_key, key_options, verify

ENGINES = ("podman", "docker")


def forward(version: str, there: Iterable[str], older: bool) -> None:
    """Raises `Refused` where one of the versions that are there is newer, unless that is meant."""
    newer = [one for one in there if order(one) > order(version)]
    if newer and not older:
        raise Refused(f"it is {version}, and {max(newer, key=order)} is here, which is newer; add --older if you mean to go back")


def order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Versions compare by this: 0.9.0, 0.10.0rc1, 0.10.0."""
    numbers, rest = re.findall(r"^([0-9.]*)(.*)", version)[0]
    return tuple(int(one) for one in numbers.split(".") if one), not rest, rest


def host(folder: Path, facts: dict[str, Any], prefix: Path, older: bool) -> str:
    """The wheels, by hash, into an environment of this version."""
    current = prefix / "current"
    forward(facts["version"], [Path(os.readlink(current)).name] if current.is_symlink() else [], older)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python not in facts["pythons"]:
        raise Refused(f"its wheels are for Python {', '.join(facts['pythons'])} and this is {python}; use one of those")
    target = prefix.absolute() / facts["version"]
    if target.exists():
        raise Refused(f"{target} is there already; remove it, or leave it as it is")
    prefix.mkdir(parents=True, exist_ok=True, mode=0o755)
    wheels = folder / "wheels"
    (pip,) = wheels.glob("pip-*.whl")
    try:
        venv.create(target, with_pip=False, symlinks=True)
        command = [str(target / "bin" / "python"), "-I", "-c", PIP, str(pip), "install", "-q", "--no-index", "--no-deps",
                   "--no-cache-dir", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:", "--find-links",
                   str(wheels), "-r", str(wheels / "requirements.txt")]
        # Nothing of the account's own settings for pip counts: an index of theirs, say.
        path = os.environ.get("PATH", os.defpath)
        subprocess.run(command, check=True, env={"PATH": path, "HOME": str(folder), "PIP_CONFIG_FILE": os.devnull})
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    fresh = prefix / ".current.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(facts["version"])
    fresh.rename(prefix / "current")
    if not os.path.lexists(prefix / "bin"):  # an environment that was made here by hand keeps its own
        (prefix / "bin").symlink_to("current/bin")
    return f"{prefix / 'current' / 'bin'} has stillvault and stillvault-relay {facts['version']}; put it on PATH"


PIP = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = 'pip'; runpy.run_module('pip', run_name='__main__')"


def image(folder: Path, facts: dict[str, Any], engine: str | None, older: bool) -> str:
    """By the engine's own load; the name is the one that the archive gives."""
    if not facts["image"]:
        raise Refused("this bundle has no image")
    engine = engine or next((name for name in ENGINES if shutil.which(name)), None)
    if engine is None:
        raise Refused("podman or docker is needed to load the image")
    archive = folder / facts["image"]
    with tarfile.open(archive) as content:
        manifest = content.extractfile("manifest.json")
        tags = json.load(manifest)[0]["RepoTags"] if manifest else []
    for tag in tags or []:
        name, _, version = tag.rpartition(":")
        forward(version, _said(engine, "images", "--format", "{{.Tag}}", name).split(), older)
    return _said(engine, "load", "-q", "-i", str(archive)).strip()


def _said(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def files(folder: Path, target: Path) -> str:
    """A copy of what was checked, into a directory that is not there yet."""
    if target.exists():
        raise Refused(f"{target} is there already")
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("wheels", "image"))
    return f"{target} has docs, skill, units and SBOMs"


def main() -> int:
    """0 when it is installed, 1 when something was refused or failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="install.py", description="Install from an offline bundle of Stillvault; no network.")
    parser.add_argument("bundle", type=Path)
    key_options(parser)
    what = parser.add_subparsers(dest="what", required=True)
    for_host, for_image = what.add_parser("host"), what.add_parser("image")
    for_host.add_argument("--prefix", type=Path, default=Path("/opt/stillvault"))
    for_image.add_argument("--engine", choices=ENGINES)
    for one in (for_host, for_image):
        one.add_argument("--older", action="store_true", help="also where what is in place is newer")
    what.add_parser("files").add_argument("target", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stillvault-bundle-") as place:
        folder = Path(place) / "bundle"
        folder.mkdir()
        try:
            verify(arguments.bundle, given_key(arguments), folder)
            facts = json.loads((folder / "bundle.json").read_bytes())
            if arguments.what == "host":
                said = host(folder, facts, arguments.prefix, arguments.older)
            elif arguments.what == "image":
                said = image(folder, facts, arguments.engine, arguments.older)
            else:
                said = files(folder, arguments.target)
        except Refused as error:
            print(f"REFUSED: {error}.", file=sys.stderr)
            return 1
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"install.py: it did not work: {error}. {getattr(error, 'stderr', '') or ''}".rstrip(), file=sys.stderr)
            return 1
    print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
