#!/usr/bin/env python3
"""Is an offline bundle whole, and from whom it should be? With a plain Python 3.11 or newer and nothing else; no network.

    python3 verify.py BUNDLE.tar -P RWQ...          the public key as text, from wherever you trust it
    python3 verify.py BUNDLE.tar -p minisign.pub    or in a file

Never take the key from the bundle, and take this program from where you take the key: whoever changed the bundle may have changed
the copy inside. `minisign -V` and `sha256sum -c` do the same by hand (docs/operations/airgap.md).

Checks, each of which ends everything that follows:
 1. The file is a tar of one folder: plain files, plain names, no name twice; SHA256SUMS and its signature come first. All are
    root's, the two programs may be executed and nothing else: a mode is in no checksum, so there is nothing to choose.
 2. The signature over SHA256SUMS is of the key that was given (Ed25519, as minisign writes it, both of its forms).
 3. So is the signature over its comment, and the comment names the folder: a bundle cannot pass for another version.
 4. Each file has the hash that SHA256SUMS says; none is missing, none is more.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.minisig"
PROGRAMS = ("verify.py", "install.py")
FACTS = {"path", "size"}  # of an extended header: what long names and large files need
MOST_SUMS = 4 << 20  # bytes
MOST_NAME = 255  # characters
BLOCK = 1 << 20
NAME = re.compile(r"[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*(/[A-Za-z0-9_@+.-]*[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*)*")


class Refused(Exception):
    """The bundle, or the key, is not what it must be."""


# ---- Ed25519, verification alone (RFC 8032, section 5.1.7). Nothing here is secret, so nothing here needs constant time. ----

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]  # extended coordinates X, Y, Z, T
NEUTRAL: Point = (0, 1, 1, 0)


def _add(one: Point, other: Point) -> Point:
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % P, (one[1] + one[0]) * (other[1] + other[0]) % P
    c, d = 2 * one[3] * other[3] * D % P, 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(factor: int, point: Point) -> Point:
    found = NEUTRAL
    while factor:
        if factor & 1:
            found = _add(found, point)
        point, factor = _add(point, point), factor >> 1
    return found


def _decode(packed: bytes) -> Point:
    whole = int.from_bytes(packed, "little")
    sign, y = whole >> 255, whole & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    if y >= P or x * x % P != square or (x == 0 and sign):
        raise Refused("a point that is not on the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def _encode(point: Point) -> bytes:
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = _decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def check_ed25519(public: bytes, signature: bytes, message: bytes) -> None:
    """Raises `Refused` unless the signature is of that key and message. A key of small order, and an S that is not reduced, are
    refused as libsodium refuses them."""
    key = _decode(public)
    if _encode(_times(8, key)) == _encode(NEUTRAL):
        raise Refused("the public key is of small order")
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= ORDER:
        raise Refused("the signature is not of the right form")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    minus = (P - key[0], key[1], key[2], P - key[3])
    if _encode(_add(_times(s, BASE), _times(k, minus))) != signature[:32]:
        raise Refused("the signature is wrong")


# ---- minisign's formats ----


@dataclass(frozen=True)
class Key:
    """A public key with the id by which signatures name it."""

    id: bytes
    public: bytes


def read_key(text: str) -> Key:
    """The one line of `minisign -G`, or the file that it wrote."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("untrusted comment:")]
    raw = _unpacked(lines[0] if len(lines) == 1 else "", 42, "the public key")
    if raw[:2] != b"Ed":
        raise Refused("the public key is not one of minisign (Ed25519)")
    return Key(raw[2:10], raw[10:])


def check_signature(key: Key, text: str, message: bytes) -> str:
    """Checks 2 and 3: both signatures of a .minisig. Returns its trusted comment."""
    lines = text.splitlines()
    if len(lines) != 4 or not lines[0].startswith("untrusted comment: ") or not lines[2].startswith("trusted comment: "):
        raise Refused("the signature file is not of minisign's form")
    raw = _unpacked(lines[1], 74, "the signature")
    algorithm, named, signature = raw[:2], raw[2:10], raw[10:]
    if named != key.id:
        raise Refused(f"signed by the key {shown(named)}, and the one that you gave is {shown(key.id)}")
    if algorithm not in (b"Ed", b"ED"):
        raise Refused("the signature is of a form that is not known here")
    check_ed25519(key.public, signature, hashlib.blake2b(message).digest() if algorithm == b"ED" else message)
    comment = lines[2].removeprefix("trusted comment: ")
    check_ed25519(key.public, _unpacked(lines[3], 64, "the second signature"), signature + comment.encode())
    return comment


def shown(key_id: bytes) -> str:
    """As minisign prints it."""
    return key_id[::-1].hex().upper()


def _unpacked(text: str, length: int, what: str) -> bytes:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except ValueError:  # also binascii.Error, and a text that is not ASCII
        raw = b""
    if len(raw) != length:
        raise Refused(f"{what} is not {length} bytes of base64")
    return raw


# ---- the bundle ----


@dataclass(frozen=True)
class Bundle:
    """What passed: the folder's name, the signed comment, the files."""

    name: str
    comment: str
    files: tuple[str, ...]


def verify(path: Path, key: Key, into: Path | None = None) -> Bundle:
    """All checks, in one reading of the file. With `into`, an empty directory, each file is written there as it is read: what is
    there afterwards is what was checked, and is to be thrown away when this raises."""
    try:
        with tarfile.open(path, "r:") as archive:
            return _verify(archive, key, into)
    except (tarfile.TarError, OSError, EOFError, ValueError, MemoryError, RecursionError) as error:
        raise Refused(f"{path} cannot be read as a tar: {error}") from None


def _verify(archive: tarfile.TarFile, key: Key, into: Path | None) -> Bundle:
    members = _members(archive)
    folder, sums = _small(archive, next(members, None), SUMS)  # 1
    same, signature = _small(archive, next(members, None), SIGNATURE)
    comment = check_signature(key, signature.decode("utf-8", "replace"), sums)  # 2, 3
    if folder != same or folder not in comment.split():
        raise Refused(f"the signature is of another bundle: {comment}")
    wanted = dict(_entries(sums))
    seen: list[str] = []
    for inner, name, member in members:  # 4
        content = archive.extractfile(member)
        if inner != folder or name not in wanted or content is None:
            raise Refused(f"{inner}/{name} is in no list of what was signed")
        if _hash(content, into / name if into else None, mode_of(name)) != wanted[name]:
            raise Refused(f"{name} is not the file that was signed")
        seen.append(name)
    if missing := set(wanted) - set(seen):
        raise Refused(f"missing: {', '.join(sorted(missing)[:5])}")
    return Bundle(folder, comment, tuple(seen))


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    """Check 1: (folder, name in it, entry)."""
    names = set()
    for member in archive:
        folder, _, name = member.name.partition("/")
        # A sparse file is larger than what it comes in; a name without end would keep the expression busy for as long.
        plain = member.isreg() and not member.issparse() and len(member.name) <= MOST_NAME and NAME.fullmatch(member.name)
        if not plain or not name or member.name in names:
            raise Refused(f"{member.name[:MOST_NAME]!r} is no plain file with a plain name, or there twice")
        if (member.mode, member.uid, member.gid) != (mode_of(name), 0, 0) or {*member.pax_headers, *archive.pax_headers} - FACTS:
            raise Refused(f"{member.name!r} has an owner or a mode that no bundle has")
        names.add(member.name)
        yield folder, name, member


def mode_of(name: str) -> int:
    """The mode of a file, by its name in the bundle."""
    return 0o755 if name in PROGRAMS else 0o644


def _small(archive: tarfile.TarFile, found: tuple[str, str, tarfile.TarInfo] | None, wanted: str) -> tuple[str, bytes]:
    if found is None or found[1] != wanted or found[2].size > MOST_SUMS:
        raise Refused(f"{wanted} is not where it must be: this is no bundle of Stillvault")
    content = archive.extractfile(found[2])
    return found[0], content.read() if content else b""


def _entries(sums: bytes) -> Iterator[tuple[str, str]]:
    for line in sums.decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        if not re.fullmatch("[0-9a-f]{64}", digest) or not NAME.fullmatch(name):
            raise Refused(f"{SUMS} has a line that is none of sha256sum")
        yield name, digest


def _hash(content: IO[bytes], target: Path | None, mode: int) -> str:
    digest = hashlib.sha256()
    if target is None:
        while block := content.read(BLOCK):
            digest.update(block)
        return digest.hexdigest()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        while block := content.read(BLOCK):
            digest.update(block)
            file.write(block)
    target.chmod(mode)
    return digest.hexdigest()


def key_options(parser: argparse.ArgumentParser) -> None:
    """-P and -p, as minisign has them."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("-P", metavar="KEY", help="the public key: one line that begins with RW")
    given.add_argument("-p", metavar="FILE", type=Path, help="a file with it")


def given_key(arguments: argparse.Namespace) -> Key:
    """What the options name."""
    try:
        return read_key(arguments.P if arguments.P else arguments.p.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{arguments.p} cannot be read: {error}") from None


def main() -> int:
    """0 when everything holds, 1 when something does not, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Verify an offline bundle of Stillvault; no network.")
    parser.add_argument("bundle", type=Path)
    key_options(parser)
    arguments = parser.parse_args()
    try:
        found = verify(arguments.bundle, given_key(arguments))
    except Refused as error:
        print(f"REFUSED: {error}. Do not use this bundle; fetch it again, and ask who gave you the key.", file=sys.stderr)
        return 1
    print(f"good: {found.name}, {len(found.files)} files. Signed comment: {found.comment}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
