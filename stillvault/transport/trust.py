"""What this home knows of its organisation: the root chain, the roster and the log head, verified and never going back.

`TrustStore` hands out nothing but a `Trust` that the core verified against the pin and against what was seen before
(protocol section 8: rollback, fork, fast-forward). What was seen is on disk, fsynced, *before* the caller may use it, so a
crash cannot make a home forget. The log head is treated alike: a checkpoint must be signed by the log key of the root and be
consistent with the last head (RFC 6962), else the relay shows different histories to different parties.

Left to the caller: asking at the right time, and the session.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from stillvault.crypto.public import Trust, b64decode, b64encode, node_hash, payload_of
from stillvault.protocol import messages
from stillvault.protocol.errors import Refused, Usage
from stillvault.transport.home import Home
from stillvault.transport.http import Relay

ED25519_NOTE = b"\x01"  # the algorithm byte of a C2SP signed note
MAX_SIZE = 2**53 - 1
RESTORED = "ask whoever runs the relay: after a restore an owner ends this (stillvault org accept-restore); else do not go on"


class Seen(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The roster last accepted: its pair and its oid."""

    pair: tuple[int, int]
    oid: str


class Known(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """trust.json."""

    roots: list[msgspec.Raw]
    roster: msgspec.Raw
    seen: Seen
    log_head: tuple[int, str] | None = None
    v: int = 1


class TrustStore:
    """The trust of one home. Safe to use from several threads and processes: each change holds the home's lock."""

    def __init__(self, home: Home) -> None:
        self._home = home

    @property
    def pin(self) -> bytes:
        """The org_id, 32 bytes."""
        return b64decode(self._home.organisation().org_id)

    def refresh(self, relay: Relay, token: str, now: int) -> Trust:
        """Fetches root chain and roster, verifies them and remembers them. Raises `Refused` with the check that failed."""
        return self.accept(relay.call("GET", "/v1/trust", returns=messages.Trust, token=token), now)

    def accept(self, given: messages.Trust, now: int) -> Trust:
        """As `refresh`, for a root chain and roster that came by another way."""
        with self._home.lock():
            known = self._home.read("trust.json", Known)
            seen = None if known is None else (known.seen.pair, b64decode(known.seen.oid))
            try:
                trust = Trust.verify(self.pin, [bytes(one) for one in given.roots], bytes(given.roster), now, seen)
            except Refused as error:
                if error.code in ("rollback", "fork"):
                    error.remedy = RESTORED
                raise
            if known is None or known.seen.pair != trust.pair:
                # A root that names another log begins it anew: heads of two logs are not compared (section 12).
                same = known is not None and _log_of(known.roots[-1]) == _log_of(given.roots[-1])
                head = known.log_head if known is not None and same else None
                self._home.write("trust.json", Known(roots=given.roots, roster=given.roster, log_head=head,
                                                     seen=Seen(pair=trust.pair, oid=b64encode(trust.oid))))
            return trust

    def current(self, now: int) -> Trust:
        """What was accepted last, verified again: its dates may have run out since."""
        known = self._known()
        return Trust.verify(self.pin, [bytes(one) for one in known.roots], bytes(known.roster), now,
                            (known.seen.pair, b64decode(known.seen.oid)))

    def stored(self) -> messages.Trust:
        """The bytes last accepted, for whoever must name what a new roster follows. Not verified again."""
        known = self._known()
        return messages.Trust(roots=known.roots, roster=known.roster)

    def log_head(self) -> tuple[int, bytes] | None:
        """Size and root hash of the log as last seen: what requests and decisions carry as `log_head`."""
        known = self._home.read("trust.json", Known)
        return None if known is None or known.log_head is None else (known.log_head[0], b64decode(known.log_head[1]))

    def check(self, relay: Relay, token: str, trust: Trust, checkpoint: str = "") -> tuple[int, bytes]:
        """Verifies a checkpoint (fetched where none is given) against the log key and the head seen before; remembers it.

        Raises `Refused`: `log-signature`, `log-rollback` (shorter than seen) or `log-fork` (another history).
        """
        if not checkpoint:
            checkpoint = relay.call("GET", "/v1/log/checkpoint", returns=messages.Checkpoint, token=token).checkpoint
        size, root = open_checkpoint(checkpoint, *log_key(trust))
        head = self.log_head()
        while True:
            if head is not None:
                verify_consistency(*head, size, root, _proof(relay, token, head[0], size))
            with self._home.lock():  # never held while the relay answers
                known, now = self._known(), self.log_head()
                if now == head:
                    if head is None or head[0] != size:
                        self._home.write("trust.json", msgspec.structs.replace(known, log_head=(size, b64encode(root))))
                    return size, root
            if now is not None and now[0] > size:
                # Another command of this home saw a longer log meanwhile; ours was right when it was asked for.
                verify_consistency(size, root, *now, _proof(relay, token, size, now[0]))
                return size, root
            head = now

    def agree(self, relay: Relay, token: str, trust: Trust, heads: Sequence[tuple[int, bytes]]) -> tuple[int, bytes]:
        """Compares the heads that others carried inside signed objects with our own, fetched now (A14). Raises `log-fork`.

        A relay that shows two parties two histories can satisfy only one of them.
        """
        size, root = self.check(relay, token, trust)
        for other, other_root in set(heads):
            if other > size:
                raise Refused("log-rollback", f"somebody saw {other} rows of the log, the relay shows us {size}",
                              "the relay hides rows from somebody: stop, and compare with another person")
            verify_consistency(other, other_root, size, root, _proof(relay, token, other, size))
        return size, root

    def _known(self) -> Known:
        known = self._home.read("trust.json", Known)
        if known is None:
            raise Usage("no-trust", f"{self._home.path} knows no roster yet", "join the organisation anew")
        return known


def _proof(relay: Relay, token: str, old: int, new: int) -> list[bytes]:
    """The relay's proof that one head continues the other; none is needed from nothing, or to itself."""
    if not 0 < old < new:
        return []
    found = relay.call("GET", f"/v1/log/consistency?old={old}&new={new}", returns=messages.Consistency, token=token)
    return [b64decode(one) for one in found.proof]


class _Log(msgspec.Struct):
    origin: str
    public: str


class _Root(msgspec.Struct):
    log: _Log
    name: str


def _log_of(root: msgspec.Raw) -> tuple[str, str]:
    """Which log a root that was verified names."""
    log = msgspec.json.decode(payload_of("root", bytes(root)), type=_Root).log
    return log.origin, log.public


def log_key(trust: Trust) -> tuple[str, bytes]:
    """Origin and Ed25519 key of the log, as the newest root names them."""
    log = msgspec.json.decode(trust.root, type=_Root).log
    return log.origin, b64decode(log.public)


def root_name(trust: Trust) -> str:
    """The organisation's name: a label, for people alone."""
    return msgspec.json.decode(trust.root, type=_Root).name


def open_checkpoint(note: str, origin: str, public: bytes) -> tuple[int, bytes]:
    """Size and root hash of a C2SP checkpoint whose signature by the log key verifies. Refuses with `log-signature`."""
    refused = Refused("log-signature", "the log's checkpoint is not signed by the log key of the organisation's root",
                      "the relay's log may have been replaced: ask an administrator")
    text, separator, signatures = note.partition("\n\n")
    text += "\n"
    lines = text.split("\n")
    # 1. The note is about this log, in the form `origin, size, root hash`.
    if not separator or len(lines) < 4 or lines[0] != origin or not lines[1].isascii() or not lines[1].isdigit():
        raise refused
    if str(int(lines[1][:20])) != lines[1] or int(lines[1]) > MAX_SIZE:
        raise refused
    # 2. One of its signature lines is by the log key: key name, then base64 of a 4-byte key id and the signature.
    key_id = hashlib.sha256(origin.encode() + b"\n" + ED25519_NOTE + public).digest()[:4]
    for line in signatures.split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—" or parts[1] != origin:
            continue
        try:
            raw = base64.b64decode(parts[2], validate=True)
            root = base64.b64decode(lines[2], validate=True)
            if len(raw) == 68 and raw[:4] == key_id and len(root) == 32:
                VerifyKey(public).verify(text.encode(), raw[4:])
                return int(lines[1]), root
        except (binascii.Error, ValueError, BadSignatureError):
            continue
    raise refused


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> None:
    """RFC 9162 section 2.1.4.2: the tree of `new` leaves begins with the tree of `old`. Raises `Refused`."""
    if new < old:
        raise Refused("log-rollback", f"the log went back from {old} to {new} rows",
                      RESTORED)
    fork = Refused("log-fork", "the log that the relay shows does not continue the log seen before",
                   f"stop, and compare with another person; {RESTORED}")
    if old == new or old == 0:
        if (old == new and old_root != new_root) or proof:
            raise fork
        return
    path = list(proof)
    if old & (old - 1) == 0:  # a whole subtree: its own root begins the path
        path.insert(0, old_root)
    if not path or any(len(one) != 32 for one in path):
        raise fork
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    left = right = path[0]
    for step in path[1:]:
        if last == 0:
            raise fork
        if first & 1 or first == last:
            left, right = node_hash(step, left), node_hash(step, right)
            while first != 0 and first & 1 == 0:
                first, last = first >> 1, last >> 1
        else:
            right = node_hash(right, step)
        first, last = first >> 1, last >> 1
    if last != 0 or left != old_root or right != new_root:
        raise fork
