"""Looking for a canary in files, in bytes that went over a wire, and in a process's memory, in every form it could take.

A canary is looked for raw, in hex (both cases), and in base64 and base64url at all three alignments: the inner part of each
alignment that does not
depend on what stands before and after it. A scan that finds nothing proves nothing by itself, so `planted` scans are part of
each test.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

CHUNK_BYTES = 4 << 20
MAPS_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+\s*(.*)")


def needles(canary: bytes) -> list[bytes]:
    """Every byte string that would betray the canary. It has at least 16 bytes, so that no needle is short enough to occur by
    chance."""
    if len(canary) < 16:
        raise ValueError("a canary has at least 16 bytes")
    found = [canary, canary.hex().encode(), canary.hex().upper().encode()]
    for shift in range(3):
        padded = b"\0" * shift + canary
        whole = base64.b64encode(padded)
        first = -(-shift * 8 // 6)  # characters that depend on what stands before
        last = len(padded) * 8 // 6  # and after
        inner = whole[first:last]
        found += [inner, inner.translate(bytes.maketrans(b"+/", b"-_"))]
    return sorted(set(found))


def in_bytes(blob: bytes, wanted: Iterable[bytes]) -> list[bytes]:
    return [needle for needle in wanted if needle in blob]


def in_files(root: Path, wanted: list[bytes]) -> list[str]:
    """Files below `root` that hold a needle."""
    hits = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink() and in_bytes(path.read_bytes(), wanted):
                hits.append(str(path))
    return hits


def _regions(pid: int) -> Iterator[tuple[int, int, str]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = MAPS_LINE.match(line)
        if match and match[3].startswith("r") and match[4] not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
            yield int(match[1], 16), int(match[2], 16), match[4]


def in_process(pid: int, wanted: list[bytes]) -> list[str]:
    """Regions of a process's memory that hold a needle, as root sees them.

    Pages that the kernel refuses to everybody (secret memory) are passed over.
    """
    overlap = max(len(needle) for needle in wanted) - 1
    hits = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, name in _regions(pid):
            tail, at = b"", start
            while at < end:
                try:
                    memory.seek(at)
                    block = memory.read(min(CHUNK_BYTES, end - at))
                except (OSError, ValueError, OverflowError):
                    break
                if not block:
                    break
                if in_bytes(tail + block, wanted):
                    hits.append(f"{start:x}-{end:x} {name}")
                    break
                tail, at = block[-overlap:], at + len(block)
    return hits
