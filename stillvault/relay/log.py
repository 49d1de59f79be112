"""The transparency log: RFC 6962 hashing, C2SP tlog-tiles, checkpoints as Ed25519 signed notes. Arithmetic and formats alone.

The tree is known by the roots of its complete subtrees: `node(level, position)` is the root of the 2^level leaves that begin
at position * 2^level. Where they are kept is the caller's business (store/tree.py). The log key signs sizes and root hashes;
it opens nothing, and a copy of it can only lie about the log, which clients and approvers find by comparing heads.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from nacl.signing import SigningKey

from stillvault.crypto import public
from stillvault.relay.problems import ProblemError
from stillvault.relay.settings import BadSetting

Node = Callable[[int, int], bytes]
TILE_HEIGHT = 8
TILE_WIDTH = 256
ED25519_NOTE = b"\x01"


def complete_subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """The (level, position) of the complete subtrees that make up the leaves [start, end), in order. `start` is aligned to
    them."""
    parts: list[tuple[int, int]] = []
    while start < end:
        level = (end - start).bit_length() - 1
        parts.append((level, start >> level))
        start += 1 << level
    return parts


def range_root(start: int, end: int, node: Node) -> bytes:
    """MTH(D[start:end]) of RFC 6962, section 2.1, for ranges as its proofs use them."""
    if start == end:
        return hashlib.sha256(b"").digest()
    parts = [node(level, position) for level, position in complete_subtrees(start, end)]
    root = parts.pop()
    while parts:
        root = public.node_hash(parts.pop(), root)
    return root


def consistency(old: int, new: int, node: Node) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 6962, section 2.1.2. Empty where there is nothing to prove."""
    if not 0 <= old <= new:
        raise ProblemError("query", "old and new must be sizes of the log, the smaller first", "old")
    return [] if old in (0, new) else _subproof(old, 0, new, True, node)


def _subproof(size: int, start: int, end: int, whole: bool, node: Node) -> list[bytes]:
    width = end - start
    if size == width:
        return [] if whole else [range_root(start, end, node)]
    split = 1 << ((width - 1).bit_length() - 1)
    if size <= split:
        return [*_subproof(size, start, start + split, whole, node), range_root(start + split, end, node)]
    return [*_subproof(size - split, start + split, end, False, node), range_root(start, start + split, node)]


# ---- checkpoints -------------------------------------------------------------------------------------------------------


class LogKey:
    """The key that signs checkpoints, and the log's name. `repr` hides it."""

    def __init__(self, seed: bytes, origin: str) -> None:
        self._key = SigningKey(seed)
        self.origin = origin
        self.public = bytes(self._key.verify_key)

    def names(self, origin: str, public_key: bytes) -> bool:
        """Whether a root that names this log names ours: our key, and our origin or one that continues it after a restore."""
        number = origin.removeprefix(self.origin)
        return public_key == self.public and (not number or re.fullmatch(r"/[1-9][0-9]{0,8}", number) is not None)

    def checkpoint(self, size: int, root: bytes, origin: str) -> str:
        """A C2SP checkpoint: origin, size, root hash, one signature."""
        hint = hashlib.sha256(origin.encode() + b"\n" + ED25519_NOTE + self.public).digest()[:4]
        body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(hint + self._key.sign(body.encode()).signature).decode()
        return f"{body}\n— {origin} {signature}\n"


def load_or_make_seed(path: Path, *, first: bool = True) -> bytes:
    """The seed of the log key from a file of mode 0600; a fresh one at the `first` start. Losing it means a new root for the
    organisation."""
    if not first and not path.exists():
        raise BadSetting(str(path), "log key", "it is gone, and what it signed is not", "Restore it from a backup.")
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        seed = path.read_bytes()
        if len(seed) != 32:
            raise BadSetting(str(path), "log key", "it is not 32 bytes", "Restore it from a backup.") from None
        return seed
    with os.fdopen(descriptor, "wb") as file:
        seed = os.urandom(32)
        file.write(seed)
        file.flush()
        os.fsync(descriptor)
    return seed


# ---- tiles -------------------------------------------------------------------------------------------------------------

_TILE = re.compile(r"(entries|[0-9]{1,2})/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


def parse_tile(text: str) -> tuple[int, int, int]:
    """(level, index, width) of `<L>/<N>[.p/<W>]`; level -1 stands for `entries`. One spelling for each tile."""
    match = _TILE.fullmatch(text)
    if not match:
        raise ProblemError("not-found")
    index = int(match[2].replace("x", "").replace("/", ""))
    width = int(match[3]) if match[3] else TILE_WIDTH
    level = -1 if match[1] == "entries" else int(match[1])
    if width > TILE_WIDTH or (match[3] and width == TILE_WIDTH) or tile_path(level, index, width) != text or index > 2**40:
        raise ProblemError("not-found")
    return level, index, width


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """The C2SP spelling: groups of three digits, all but the last with an `x`."""
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03d}")
    name = "entries" if level < 0 else str(level)
    return f"{name}/{'/'.join(groups)}" + (f".p/{width}" if width < TILE_WIDTH else "")
