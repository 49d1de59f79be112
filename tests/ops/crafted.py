"""Tar files that lie in their headers: about depth, lengths, numbers, and about how much a file holds."""

from __future__ import annotations

import tarfile


def head(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def records(**facts: str) -> bytes:
    """Facts of an extended header, as PAX writes them."""
    member = tarfile.TarInfo("manifest.json")
    member.pax_headers = {name.replace("_", "."): value for name, value in facts.items()}
    return member.tobuf(tarfile.PAX_FORMAT)


def sparse(name: str, size: int) -> bytes:
    """A file of one hole: nothing in the archive, `size` bytes where it is unpacked."""
    raw = bytearray(head(name, 0, tarfile.GNUTYPE_SPARSE))
    raw[386:398] = raw[398:410] = b"%011o\0" % 0
    raw[483:495] = b"%011o\0" % size
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


END = bytes(1024)
LIES = {
    "extended headers without end": (head("x", 10, tarfile.XHDTYPE) + b"10 path=a\n".ljust(512, b"\0")) * 3000 + END,
    "more files than a backup has": head("manifest.json", 0) * 20_000 + END,
    "a header of an exbibyte": head("x", 1 << 60, tarfile.XHDTYPE) + END,
    "a name of a tebibyte": head("x", 1 << 40, tarfile.GNUTYPE_LONGNAME) + END,
    "a size that no number holds": records(size="9" * 25) + END,
    "holes that are no numbers": records(GNU_sparse_map="x,y", GNU_sparse_size="5") + END,
    "a name without end": records(path="a/" + "a" * 200_000 + "!") + END,
}
