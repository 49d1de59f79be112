"""Reading the log: leaves, checkpoints, proofs, tiles. Anybody with a session may read all of it; it holds no secret value."""

from __future__ import annotations

from stillvault.crypto import public
from stillvault.protocol.messages import Checkpoint, Consistency, Leaves
from stillvault.relay import log
from stillvault.relay.context import Relay
from stillvault.relay.problems import ProblemError
from stillvault.relay.store import tree
from stillvault.relay.store.connection import Connection


def _node(db: Connection) -> log.Node:
    return lambda level, position: tree.node(db, level, position)


def checkpoint(relay: Relay) -> Checkpoint:
    """The present head. Its leaves are durable: it is read from what was committed."""
    size, standing = tree.size(relay.reader), relay.organisation.standing
    origin = standing.root.log.origin if standing else relay.log_key.origin
    return Checkpoint(relay.log_key.checkpoint(size, log.range_root(0, size, _node(relay.reader)), origin))


def leaves(relay: Relay, after: int, limit: int) -> Leaves:
    """Up to `limit` leaves from position `after` (the number of leaves that the caller has)."""
    found = tree.leaves(relay.reader, after, limit)
    return Leaves(after, [leaf.decode() for leaf in found], checkpoint(relay).checkpoint)


def consistency(relay: Relay, old: int, new: int) -> Consistency:
    if new > tree.size(relay.reader):
        raise ProblemError("query", "the log is not that long", "new")
    return Consistency([public.b64encode(one) for one in log.consistency(old, new, _node(relay.reader))])


def tile(relay: Relay, text: str) -> bytes:
    """A C2SP tile: 256 hashes, or 256 entries with their lengths; a partial one holds as many as it says."""
    level, index, width = log.parse_tile(text)
    size = tree.size(relay.reader)
    first = index * log.TILE_WIDTH
    height = max(level, 0) * log.TILE_HEIGHT
    if first + width > size >> height:
        raise ProblemError("not-found")
    if level >= 0:
        return b"".join(tree.nodes(relay.reader, height, first, width))
    entries = tree.leaves(relay.reader, first, width)
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
