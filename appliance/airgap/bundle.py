"""One file for a place without a network: image, wheels, console's manifest, skill, docs, units, SBOMs, checksums, signature.

    appliance/airgap/bundle --key minisign.key --image build/image/stillvault.tar --wheels build/image/wheels [--out DIR]

Prints the file, its SHA-256 and the public key. The same wheels, image, commit, key and SOURCE_DATE_EPOCH (default: the
commit's) give the same bytes. `--arch arm64` names a bundle whose wheels and image somebody made on such a machine: this
program looks at the tags of the wheels and at nothing else; nobody has tried one. `--wheels` may be given again, with wheels
for another Python.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import minisign
import sbom
from verify import SIGNATURE, SUMS, mode_of

ROOT = Path(__file__).resolve().parents[2]
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
CARRIED = ("docs", "appliance/quadlet", "appliance/systemd", "appliance/monitoring", "appliance/proxy", "appliance/compose.yaml",
           "appliance/kube.yaml", "loadtests/README.md", "LICENSE", "README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")
PROGRAMS = ("appliance/airgap/verify.py", "appliance/airgap/install.py")


class Unfit(Exception):
    """What was given makes no bundle."""


@dataclass
class Content:
    """Files by their names in the bundle: bytes, or the path that they are read from."""

    files: dict[str, bytes | Path] = field(default_factory=dict)

    def digest(self, name: str) -> str:
        one = self.files[name]
        if isinstance(one, bytes):
            return hashlib.sha256(one).hexdigest()
        with one.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def committed(commit: str, names: Iterable[str]) -> dict[str, bytes | Path]:
    """What a commit has below these names, so that nothing that lies around is carried along."""
    done = subprocess.run(["git", "archive", "--format=tar", commit, "--", *names], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return {member.name: content.read() for member in archive if (content := archive.extractfile(member))}


def chosen_wheels(folders: Iterable[Path], arch: str) -> dict[str, Path]:
    """By file name. Refuses what does not fit the machine, and two different files of one name."""
    found: dict[str, Path] = {}
    for path in sorted(path for folder in folders for path in folder.glob("*.whl")):
        platform = path.stem.rpartition("-")[2]
        if platform != "any" and not platform.endswith(MACHINES[arch]):
            raise Unfit(f"{path.name} is not for {arch}")
        if path.name in found and found[path.name].read_bytes() != path.read_bytes():
            raise Unfit(f"there are two wheels {path.name}, and they differ")
        found[path.name] = path
    for name in ("stillvault", "pip"):
        if sum(one.startswith(f"{name}-") for one in found) != 1:
            raise Unfit(f"the wheels must hold {name} once: appliance/wheelhouse.py makes such a folder")
    return found


def pythons(wheels: Iterable[str]) -> list[str]:
    """The versions of Python for which every wheel is there: those named by the wheels of one version alone."""
    named = sorted({match[1] for wheel in wheels if (match := re.search(r"-cp3(\d+)-cp3\1-", wheel))}, key=int)
    return [f"3.{minor}" for minor in named]


def requirements(content: Content, wheels: dict[str, Path]) -> bytes:
    """Every wheel by version and hash, for pip's --require-hashes. pip itself is not installed."""
    hashes: dict[str, list[str]] = {}
    for file, path in sorted(wheels.items()):
        said = sbom.metadata(path)
        if said["Name"] != "pip":
            hashes.setdefault(f"{sbom.canonical(said['Name'])}=={said['Version']}", []).append(content.digest(f"wheels/{file}"))
    lines = [" ".join([name, *(f"--hash=sha256:{one}" for one in found)]) for name, found in sorted(hashes.items())]
    return ("\n".join(lines) + "\n").encode()


def inside(wheel: Path, place: str, under: str) -> dict[str, bytes | Path]:
    """Files of a folder of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {under + name.removeprefix(place): archive.read(name) for name in archive.namelist()
                if name.startswith(place) and not name.endswith("/")}


def collected(given: argparse.Namespace, epoch: int) -> tuple[str, Content]:
    """(the bundle's name, everything that is signed)."""
    content = Content()
    wheels = chosen_wheels(given.wheels, given.arch)
    (own,) = (path for name, path in wheels.items() if name.startswith("stillvault-"))
    version = own.name.split("-")[1]
    for name, path in wheels.items():
        content.files[f"wheels/{name}"] = path
    content.files["wheels/requirements.txt"] = requirements(content, wheels)
    content.files |= committed(given.commit, CARRIED)
    content.files |= {Path(name).name: one for name, one in committed(given.commit, PROGRAMS).items()}
    content.files |= inside(own, "stillvault/console/console.json", "console/console.json")
    content.files |= inside(own, "stillvault/agents/plugin/", "skill/")
    if given.image:
        content.files["image/stillvault.tar"] = given.image
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    parts = {"python": sbom.wheels(wheels.values()), "rust": sbom.crates(ROOT, f"{MACHINES[given.arch]}-unknown-linux-gnu"),
             "npm": sbom.packages(ROOT / "console" / "package-lock.json")}
    if given.image and (found := sbom.debs(given.image)):
        parts["debian"] = found
    for kind, found in parts.items():
        content.files[f"sbom/{kind}.cdx.json"] = sbom.bom(f"stillvault-{kind}", version, found, created)
    facts = {"v": 1, "version": version, "commit": given.commit, "created": created, "arch": given.arch,
             "pythons": pythons(wheels), "image": "image/stillvault.tar" if given.image else ""}
    content.files["bundle.json"] = (json.dumps(facts, sort_keys=True, indent=1) + "\n").encode()
    return f"stillvault-{version}-{given.arch}", content


def written(target: Path, name: str, content: Content, key: minisign.SecretKey, epoch: int) -> str:
    """Writes the tar; returns its SHA-256. Replaces `target` at the end."""
    sums = "".join(f"{content.digest(one)}  {one}\n" for one in sorted(content.files)).encode()
    signature = minisign.sign(key, sums, f"{name} created {epoch}").encode()
    fresh = target.with_name(target.name + ".new")
    with tarfile.open(fresh, "w", format=tarfile.PAX_FORMAT) as archive:
        for inner, one in ((SUMS, sums), (SIGNATURE, signature), *sorted(content.files.items())):
            entry = tarfile.TarInfo(f"{name}/{inner}")
            entry.mtime, entry.mode = epoch, mode_of(inner)
            if isinstance(one, bytes):
                entry.size = len(one)
                archive.addfile(entry, io.BytesIO(one))
            else:
                entry.size = one.stat().st_size
                with one.open("rb") as file:
                    archive.addfile(entry, file)
    with fresh.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    fresh.rename(target)
    return digest


def opened(path: Path, password_file: Path | None) -> minisign.SecretKey:
    """The signing key; asks for its password on the terminal where it has one and no file is named."""
    if not minisign.is_locked(path):
        return minisign.open_key(path, b"")
    if password_file:
        return minisign.open_key(path, password_file.read_bytes().rstrip(b"\n"))
    if not sys.stdin.isatty():
        raise Unfit(f"{path} has a password, and there is no terminal to ask for it: give --password-file FILE.")
    return minisign.open_key(path, getpass.getpass(f"password of {path}: ").encode())


def main() -> int:
    """0, or 2 with what does not fit."""
    parser = argparse.ArgumentParser(prog="appliance/airgap/bundle", description="Make an offline bundle of Stillvault.")
    add = parser.add_argument
    add("--key", type=Path, required=True, help="the secret key that signs, as `minisign -G` makes it")
    add("--password-file", type=Path, help="a file with its password (default: asked for)")
    add("--wheels", type=Path, action="append", required=True, help="a folder of wheels (appliance/wheelhouse.py)")
    add("--image", type=Path, help="the image, as `make image` saves it")
    add("--arch", choices=sorted(MACHINES), default="amd64", help="the machine (default: amd64; others are untried)")
    add("--commit", default="HEAD", help="whose docs, units and programs it carries (default: HEAD)")
    add("--out", type=Path, default=Path("dist"), help="the folder for the file (default: dist)")
    given = parser.parse_args()
    last = ["git", "log", "-1", "--format=%H %ct", given.commit, "--"]
    try:
        given.commit, time_of_it = subprocess.check_output(last, cwd=ROOT, text=True).split()
        epoch = os.environ.get("SOURCE_DATE_EPOCH") or time_of_it
        key = opened(given.key, given.password_file)
        name, content = collected(given, int(epoch))
        given.out.mkdir(parents=True, exist_ok=True)
        target = given.out / f"{name}.tar"
        digest = written(target, name, content, key, int(epoch))
    except (Unfit, minisign.BadKey, OSError, subprocess.CalledProcessError) as error:
        print(f"appliance/airgap/bundle: {error}", file=sys.stderr)
        return 2
    print(f"{target}: {target.stat().st_size / 1e6:.0f} MB, {len(content.files)} files, sha256 {digest}")
    print(f"verify with -P {key.public}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
