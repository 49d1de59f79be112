"""The offline bundle: signed as minisign signs, refused however it was changed, installed where there is no network."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from tests.appliance.engine import engine
from tests.ops import crafted
from tests.world import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
AIRGAP = ROOT / "appliance" / "airgap"
sys.path[:0] = [str(AIRGAP), str(AIRGAP.parent)]  # programs that lie side by side, as in the bundle

import bundle  # noqa: E402
import minisign  # noqa: E402
import sbom  # noqa: E402
import verify  # noqa: E402
from archive import write  # noqa: E402

ALONE = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--map-root-user", "--net"]  # loopback alone, and that is down
EPOCH = "1767225600"
COMMIT = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()  # once: somebody may commit meanwhile
SAY_NO_LICENSE = {"rich-click", "pyrage"}  # their wheels carry the text or nothing, and name none: the SBOM does not guess


def run(*words: str | Path, code: int = 0, stdin: str = "", **environment: str) -> str:
    done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, text=True, timeout=PATIENCE * 4,
                          check=False, cwd="/", env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment})
    assert done.returncode == code, f"{words} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(secret, public) of the real minisign, without a password."""
    folder = tmp_path_factory.mktemp("keys")
    run("minisign", "-G", "-W", "-s", folder / "secret", "-p", folder / "public")
    return folder / "secret", folder / "public"


# ---- minisign, both ways ----


def test_what_is_signed_here_the_real_minisign_accepts(keys: tuple[Path, Path], tmp_path: Path) -> None:
    secret, public = keys
    file = tmp_path / "file"
    file.write_bytes(b"content\n")
    (tmp_path / "file.minisig").write_text(minisign.sign(minisign.open_key(secret, b""), file.read_bytes(), "a comment, too"))
    assert "Trusted comment: a comment, too" in run("minisign", "-V", "-m", file, "-p", public)
    file.write_bytes(b"Content\n")
    run("minisign", "-V", "-m", file, "-p", public, code=1)


@pytest.mark.parametrize("form", [[], ["-l"]], ids=["hashed", "legacy"])
def test_what_the_real_minisign_signs_is_accepted_here(keys: tuple[Path, Path], tmp_path: Path, form: list[str]) -> None:
    secret, public = keys
    file = tmp_path / "file"
    file.write_bytes(os.urandom(1000))
    run("minisign", "-S", *form, "-s", secret, "-m", file, "-t", "über alles signed")
    text, key = (tmp_path / "file.minisig").read_text(), verify.read_key(public.read_text())
    assert verify.check_signature(key, text, file.read_bytes()) == "über alles signed"
    with pytest.raises(verify.Refused, match="signature is wrong"):
        verify.check_signature(key, text, file.read_bytes() + b"x")
    with pytest.raises(verify.Refused, match="signature is wrong"):
        verify.check_signature(key, text.replace("alles", "Alles"), file.read_bytes())


def test_a_key_behind_a_password(tmp_path: Path) -> None:
    """scrypt with the gigabyte that minisign asks for."""
    run("minisign", "-G", "-s", tmp_path / "secret", "-p", tmp_path / "public", stdin="pass word\npass word\n")
    assert minisign.is_locked(tmp_path / "secret")
    opened = minisign.open_key(tmp_path / "secret", b"pass word")
    assert opened.public in (tmp_path / "public").read_text()
    with pytest.raises(minisign.BadKey, match="password is wrong"):
        minisign.open_key(tmp_path / "secret", b"pass  word")
    said = made(tmp_path, tmp_path / "secret", tmp_path, code=2)
    assert "there is no terminal to ask for it: give --password-file FILE" in said and "Traceback" not in said


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_the_verification_by_hand_agrees_with_libsodium(seed: bytes, message: bytes, bit: int) -> None:
    key = SigningKey(seed)
    signature, public = key.sign(message).signature, bytes(key.verify_key)
    verify.check_ed25519(public, signature, message)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(verify.Refused):
        verify.check_ed25519(public, bytes(changed), message)


def test_ed25519_refuses_what_libsodium_refuses() -> None:
    key = SigningKey(bytes(32))
    signature, public = key.sign(b"m").signature, bytes(key.verify_key)
    again = signature[:32] + (int.from_bytes(signature[32:], "little") + verify.ORDER).to_bytes(32, "little")
    with pytest.raises(verify.Refused, match="right form"):
        verify.check_ed25519(public, again, b"m")
    for bad in ((1).to_bytes(32, "little"), b"\xff" * 32, bytes(32)):
        with pytest.raises(verify.Refused):
            verify.check_ed25519(bad, signature, b"m")


@pytest.mark.parametrize("text", ["", "RWQ", "untrusted comment: x\n", "A" * 56, "RWQ" + "é" * 53])
def test_a_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(verify.Refused, match="public key"):
        verify.read_key(text)


# ---- every way to change a bundle ----

Entries = list[tuple[tarfile.TarInfo, bytes]]
NAME = "stillvault-1.2.3-amd64"


@pytest.fixture
def small(keys: tuple[Path, Path], tmp_path: Path) -> Path:
    """A signed bundle of two little files."""
    content = bundle.Content({"bundle.json": b"{}\n", "wheels/one.whl": b"wheel" * 1000})
    bundle.written(tmp_path / "small.tar", NAME, content, minisign.open_key(keys[0], b""), int(EPOCH))
    return tmp_path / "small.tar"


def rewrite(path: Path, change: Callable[[Entries], Entries]) -> None:
    with tarfile.open(path) as archive:
        entries = [(member, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for entry, content in change(entries):
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content))


def entry(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, "/etc/passwd" if kind != tarfile.REGTYPE else ""
    return made


def dressed(entries: Entries, **facts: object) -> Entries:
    """The last file with another mode, owner or extended header."""
    for name, value in facts.items():
        setattr(entries[-1][0], name, value)
    return entries


def renamed(entries: Entries, name: str) -> Entries:
    for member, _ in entries:
        member.name = member.name.replace(NAME, name)
    return entries


CHANGES: dict[str, Callable[[Entries], Entries]] = {
    "another byte in a file": lambda all_: [*all_[:-1], (all_[-1][0], b"W" + all_[-1][1][1:])],
    "another byte in the sums": lambda all_: [(all_[0][0], b"0" + all_[0][1][1:]), *all_[1:]],
    "a file is missing": lambda all_: all_[:-1],
    "a file more": lambda all_: [*all_, (entry(f"{NAME}/evil.py"), b"import os")],
    "a file twice": lambda all_: [*all_, all_[-1]],
    "a file of another folder": lambda all_: [*all_, (entry("other/evil.py"), b"x")],
    "a path upwards": lambda all_: [*all_, (entry(f"{NAME}/../../etc/cron.d/evil"), b"x")],
    "an absolute path": lambda all_: [*all_, (entry("/etc/cron.d/evil"), b"x")],
    "a link": lambda all_: [*all_, (entry(f"{NAME}/wheels/link", tarfile.SYMTYPE), b"")],
    "a hard link": lambda all_: [*all_, (entry(f"{NAME}/wheels/link", tarfile.LNKTYPE), b"")],
    "a device": lambda all_: [*all_, (entry(f"{NAME}/null", tarfile.CHRTYPE), b"")],
    "another version's name": lambda all_: renamed(all_, "stillvault-1.2.4-amd64"),
    "a program where there was none": lambda all_: dressed(all_, mode=0o755),
    "a mode that gives away root": lambda all_: dressed(all_, mode=0o4755),
    "somebody else's file": lambda all_: dressed(all_, uid=1000),
    "another group's file": lambda all_: dressed(all_, gid=1000),
    "a capability beside a file": lambda all_: dressed(all_, pax_headers={"SCHILY.xattr.security.capability": "x"}),
    "another order": lambda all_: all_[::-1],
    "no signature": lambda all_: [all_[0], *all_[2:]],
    "nothing": lambda _all: [],
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_bundle_that_was_changed_is_refused(small: Path, keys: tuple[Path, Path], how: str) -> None:
    run(sys.executable, AIRGAP / "verify.py", small, "-p", keys[1])
    rewrite(small, CHANGES[how])
    said = run(sys.executable, AIRGAP / "verify.py", small, "-p", keys[1], code=1)
    assert said.startswith("REFUSED: ") and "Traceback" not in said
    assert not Path("/etc/cron.d/evil").exists()


@pytest.mark.parametrize("lie", crafted.LIES)
def test_headers_that_lie_are_refused(keys: tuple[Path, Path], tmp_path: Path, lie: str) -> None:
    (tmp_path / "lie.tar").write_bytes(crafted.LIES[lie])
    said = run(sys.executable, AIRGAP / "verify.py", tmp_path / "lie.tar", "-p", keys[1], code=1)
    assert said.startswith("REFUSED: ") and "Traceback" not in said


def test_a_header_for_all_files_is_refused(small: Path, keys: tuple[Path, Path]) -> None:
    small.write_bytes(tarfile.TarInfo.create_pax_global_header({"SCHILY.xattr.user.x": "y"}) + small.read_bytes())
    assert "an owner or a mode that no bundle has" in run(sys.executable, AIRGAP / "verify.py", small, "-p", keys[1], code=1)


def test_a_hole_is_no_file(small: Path, keys: tuple[Path, Path]) -> None:
    """One of the signed files as a hole: refused for what it is, before anything of it is read or written."""
    with tarfile.open(small) as archive:
        start = archive.getmembers()[2].offset
    raw = small.read_bytes()[:start] + crafted.sparse(f"{NAME}/bundle.json", 1 << 32) + crafted.END
    small.write_bytes(raw)
    assert "no plain file" in run(sys.executable, AIRGAP / "verify.py", small, "-p", keys[1], code=1)


def test_a_bundle_of_another_key_is_refused(small: Path, tmp_path: Path) -> None:
    run("minisign", "-G", "-W", "-s", tmp_path / "other", "-p", tmp_path / "other.pub")
    said = run(sys.executable, AIRGAP / "verify.py", small, "-p", tmp_path / "other.pub", code=1)
    assert "and the one that you gave is" in said


def test_a_signature_of_another_comment_is_refused(small: Path, keys: tuple[Path, Path]) -> None:
    def change(entries: Entries) -> Entries:
        signature = minisign.sign(minisign.open_key(keys[0], b""), entries[0][1], "another thing of the same key")
        return [entries[0], (entries[1][0], signature.encode()), *entries[2:]]

    rewrite(small, change)
    assert "of another bundle" in run(sys.executable, AIRGAP / "verify.py", small, "-p", keys[1], code=1)


@pytest.mark.parametrize("cut", [0, 100, 5000])
def test_a_bundle_that_was_cut_off_is_refused(small: Path, keys: tuple[Path, Path], cut: int) -> None:
    small.write_bytes(small.read_bytes()[:cut])
    assert "REFUSED" in run(sys.executable, AIRGAP / "verify.py", small, "-p", keys[1], code=1)


# ---- a whole one ----


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What appliance/wheelhouse.py collects, of the wheel in dist/."""
    if not list((ROOT / "dist").glob("stillvault-*.whl")):
        subprocess.run(["make", "--no-print-directory", "wheel"], cwd=ROOT, check=True)
    folder = tmp_path_factory.mktemp("house") / "wheels"
    subprocess.run([sys.executable, ROOT / "appliance" / "wheelhouse.py", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def whole(keys: tuple[Path, Path], wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    made(folder, keys[0], wheels)
    (path,) = folder.iterdir()
    return path


def made(folder: Path, secret: Path, wheels: Path, *more: str, code: int = 0) -> str:
    given = ["--key", secret, "--wheels", wheels, "--out", folder, "--commit", COMMIT]
    command = [sys.executable, AIRGAP / "bundle.py", *given, *more]
    return run(*command, code=code, SOURCE_DATE_EPOCH=EPOCH, HOME=os.environ.get("HOME", "/"))


@pytest.fixture(scope="module")
def unpacked(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("unpacked")
    run("tar", "-xf", whole, "-C", folder)
    yield folder / "stillvault-0.1.0-amd64"
    shutil.rmtree(folder)


def test_the_same_inputs_are_the_same_bundle(whole: Path, keys: tuple[Path, Path], wheels: Path, tmp_path: Path) -> None:
    said = made(tmp_path, keys[0], wheels)
    assert (tmp_path / whole.name).read_bytes() == whole.read_bytes()
    assert hashlib.sha256(whole.read_bytes()).hexdigest() in said and "verify with -P RW" in said


def test_by_hand_with_minisign_and_sha256sum(unpacked: Path, keys: tuple[Path, Path]) -> None:
    run("minisign", "-V", "-m", unpacked / "SHA256SUMS", "-p", keys[1])
    run("sh", "-c", f"cd '{unpacked}' && sha256sum --check --strict --quiet SHA256SUMS")


def test_what_is_in_it(unpacked: Path, wheels: Path) -> None:
    (own,) = wheels.glob("stillvault-*.whl")
    with zipfile.ZipFile(own) as archive:
        assert (unpacked / "console" / "console.json").read_bytes() == archive.read("stillvault/console/console.json")
    for name in ("skill/.claude-plugin/plugin.json", "docs/protocol.md", "README.md", "LICENSE", "verify.py", "install.py"):
        assert (unpacked / name).is_file(), name
    assert {path.name for path in (unpacked / "wheels").glob("*.whl")} == {path.name for path in wheels.glob("*.whl")}


def test_what_its_pages_name_is_in_it_too(unpacked: Path) -> None:
    pages = [path for path in unpacked.rglob("*.md") if "skill" not in path.parts]
    assert len(pages) > 20
    missing = [f"{page.name}: {link}" for page in pages for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
               if not (page.parent / link).exists()]  # fmt: skip
    assert missing == []
    for name in ("monitoring/alerts.yml", "monitoring/dashboard.json", "proxy/nginx.conf", "quadlet/stillvault.volume"):
        assert (unpacked / "appliance" / name).is_file(), name


def test_the_sboms_name_what_is_in_it(unpacked: Path) -> None:
    for kind in ("python", "rust", "npm"):
        found = json.loads((unpacked / "sbom" / f"{kind}.cdx.json").read_bytes())
        assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
        refs = [one["bom-ref"] for one in found["components"]]
        assert len(refs) == len(set(refs))
        known = {*refs, found["metadata"]["component"]["bom-ref"]}
        assert all({one["ref"], *one["dependsOn"]} <= known for one in found["dependencies"])
        hashed = {one["name"] for one in found["components"] if one.get("hashes")}
        assert {one["name"] for one in found["components"]} - hashed <= {"stillvault-core", "stillvault-python", "stillvault-cli"}
        assert {one["name"] for one in found["components"] if "licenses" not in one} <= SAY_NO_LICENSE
    python = json.loads((unpacked / "sbom" / "python.cdx.json").read_bytes())
    hashes = {one["hashes"][0]["content"] for one in python["components"]}
    assert hashes == {hashlib.sha256(path.read_bytes()).hexdigest() for path in (unpacked / "wheels").glob("*.whl")}
    rust = {one["name"] for one in json.loads((unpacked / "sbom" / "rust.cdx.json").read_bytes())["components"]}
    assert {"stillvault-core", "pyo3", "aws-lc-rs"} <= rust and "criterion" not in rust
    npm = {one["name"] for one in json.loads((unpacked / "sbom" / "npm.cdx.json").read_bytes())["components"]}
    assert {"preact", "@hpke/core"} <= npm and "vite" not in npm


def test_a_host_is_installed_without_a_network(whole: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    prefix = tmp_path / "stillvault"
    command = [*ALONE, sys.executable, AIRGAP / "install.py", whole, "-p", keys[1], "host", "--prefix", prefix]
    assert "has stillvault and stillvault-relay 0.1.0" in run(*command, PIP_INDEX_URL="https://example.invalid/")
    assert run(*ALONE, prefix / "current" / "bin" / "stillvault", "--version") == "stillvault 0.1.0\n"
    run(*ALONE, prefix / "current" / "bin" / "stillvault-relay", "--version")
    run(*ALONE, prefix / "current" / "bin" / "stillvault", "org", "create", "--help")
    assert os.readlink(prefix / "current") == "0.1.0"
    for unit in ("stillvault.service", "stillvault-relay.service"):  # they begin what was installed
        text = (ROOT / "appliance" / "systemd" / unit).read_text()
        (begun,) = re.findall(r"^ExecStart=/opt/stillvault/(\S+)", text, re.MULTILINE)
        run(*ALONE, prefix / begun, "--version")
    assert "is there already" in run(*command, code=1)
    run(*ALONE, prefix / "current" / "bin" / "stillvault", "--version")  # and was left as it is


def test_the_rest_is_copied_and_a_changed_bundle_installs_nothing(whole: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    install = [*ALONE, sys.executable, AIRGAP / "install.py"]
    run(*install, whole, "-p", keys[1], "files", tmp_path / "files")
    assert (tmp_path / "files" / "sbom" / "rust.cdx.json").is_file() and not (tmp_path / "files" / "wheels").exists()
    bad = tmp_path / "bad.tar"
    raw = bytearray(whole.read_bytes())
    raw[len(raw) // 2] ^= 1
    bad.write_bytes(raw)
    for what in (["host", "--prefix", tmp_path / "none"], ["files", tmp_path / "none"], ["image"]):
        assert "REFUSED" in run(*install, bad, "-p", keys[1], *what, code=1)
    assert not (tmp_path / "none").exists()
    assert "this bundle has no image" in run(*install, whole, "-p", keys[1], "image", code=1)


def test_a_python_without_wheels_is_told_so(keys: tuple[Path, Path], tmp_path: Path) -> None:
    facts = {"v": 1, "version": "9.9.9", "arch": "amd64", "pythons": ["3.99"], "created": "", "image": ""}
    content = bundle.Content({"bundle.json": json.dumps(facts).encode()})
    bundle.written(tmp_path / "b.tar", "stillvault-9.9.9-amd64", content, minisign.open_key(keys[0], b""), int(EPOCH))
    command = [sys.executable, AIRGAP / "install.py", tmp_path / "b.tar", "-p", keys[1], "host", "--prefix", tmp_path / "p"]
    said = run(*command, code=1)
    assert "its wheels are for Python 3.99" in said and not (tmp_path / "p" / "9.9.9").exists()


def test_a_bundle_that_is_older_than_what_is_in_place_is_refused(keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Signed as it ever was, and perhaps with what is known against it by now."""
    facts = {"v": 1, "version": "0.9.0", "arch": "amd64", "pythons": ["3.99"], "created": "", "image": ""}
    content = bundle.Content({"bundle.json": json.dumps(facts).encode()})
    bundle.written(tmp_path / "b.tar", "stillvault-0.9.0-amd64", content, minisign.open_key(keys[0], b""), int(EPOCH))
    prefix = tmp_path / "p"
    prefix.mkdir()
    command = [sys.executable, AIRGAP / "install.py", tmp_path / "b.tar", "-p", keys[1], "host", "--prefix", prefix]
    for version in ("0.10.0rc1", "0.9.1", "1"):
        (prefix / "current").unlink(missing_ok=True)
        (prefix / "current").symlink_to(version)
        assert f"it is 0.9.0, and {version} is here, which is newer; add --older" in run(*command, code=1)
    assert "its wheels are for Python 3.99" in run(*command, "--older", code=1), "it would go on"
    for version in ("0.9.0", "0.9.0rc2", "0.8.10"):
        (prefix / "current").unlink()
        (prefix / "current").symlink_to(version)
        assert "its wheels are for Python 3.99" in run(*command, code=1)


def saved(path: Path, version: str, files: dict[str, bytes]) -> str:
    """An image of one layer in an archive as `make image` writes it; the layer's digest."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for name, content in files.items():
            member = entry(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    layer.seek(0)
    layers = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": layers}
    write(path, config, [(digest, layer, len(layer.getvalue()))], f"localhost/little:{version}")
    return digest


DPKG = b"""Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10

Package: bash
Status: install ok installed
Architecture: amd64
Version: 1:5.2.15-2+b7
Depends: base-files (>= 2.1.12) | nothing, debianutils
Pre-Depends: libc6 (>= 2.36)

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""


def test_the_packages_of_the_image_s_base_are_in_an_sbom(keys: tuple[Path, Path], wheels: Path, tmp_path: Path) -> None:
    release = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
    saved(tmp_path / "image.tar", "1", {"./var/lib/dpkg/status": DPKG, "./usr/lib/os-release": release})
    made(tmp_path / "out", keys[0], wheels, "--image", str(tmp_path / "image.tar"))
    run("tar", "-xf", tmp_path / "out" / "stillvault-0.1.0-amd64.tar", "-C", tmp_path)
    told = json.loads((tmp_path / "stillvault-0.1.0-amd64" / "sbom" / "debian.cdx.json").read_bytes())
    found = {one["name"]: one["purl"] for one in told["components"]}
    assert found == {"libc6": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12",
                     "bash": "pkg:deb/debian/bash@1%3A5.2.15-2%2Bb7?arch=amd64&distro=debian-12"}  # fmt: skip
    assert {one["ref"]: one["dependsOn"] for one in told["dependencies"]}[found["bash"]] == [found["libc6"]]
    saved(tmp_path / "other.tar", "1", {"file": b""})
    assert sbom.debs(tmp_path / "other.tar") == []


def test_wheels_that_do_not_fit_are_refused(keys: tuple[Path, Path], wheels: Path, tmp_path: Path) -> None:
    assert "is not for arm64" in made(tmp_path, keys[0], wheels, "--arch", "arm64", code=2)
    (tmp_path / "empty").mkdir()
    assert "must hold stillvault once" in made(tmp_path, keys[0], tmp_path / "empty", code=2)
    (tmp_path / "nokey").write_text("untrusted comment: x\n" + base64.b64encode(bytes(158)).decode() + "\n")
    assert "not known here" in made(tmp_path, tmp_path / "nokey", wheels, code=2)


def test_a_wheel_s_license_is_one_line() -> None:
    parts = {part.name: part for part in sbom.packages(ROOT / "console" / "package-lock.json")}
    assert parts["preact"].license == "MIT" and parts["preact"].purl == f"pkg:npm/preact@{parts['preact'].version}"


def test_an_image_is_loaded_without_a_network(keys: tuple[Path, Path], tmp_path: Path) -> None:
    """By a real podman: an image of one small file, in an archive as `make image` writes it."""
    digests = {}
    for version in ("1.10.0", "1.9.0"):
        digests[version] = saved(tmp_path / "image.tar", version, {"file": version.encode()})
        facts = {"v": 1, "version": "1.2.3", "arch": "amd64", "pythons": [], "created": "", "image": "image/stillvault.tar"}
        content = bundle.Content({"bundle.json": json.dumps(facts).encode(), "image/stillvault.tar": tmp_path / "image.tar"})
        bundle.written(tmp_path / f"{version}.tar", NAME, content, minisign.open_key(keys[0], b""), int(EPOCH))
    with engine() as podman:

        def install(version: str, *words: str, code: int = 0) -> str:
            command = [*ALONE, sys.executable, AIRGAP / "install.py", tmp_path / f"{version}.tar", "-p", keys[1], "image", *words]
            return podman.run(*map(str, command), code=code)

        for _ in range(2):  # the same again is no step back
            assert "localhost/little:1.10.0" in install("1.10.0")
        install("1.9.0", code=1)
        podman.podman("image", "exists", "localhost/little:1.9.0", code=1)
        install("1.9.0", "--older")
        for version, digest in digests.items():
            assert podman.inspect(f"localhost/little:{version}")["RootFS"]["Layers"] == [f"sha256:{digest}"]
