"""The log's leaves, and the roots of all complete subtrees, so that heads and proofs cost the logarithm of the size.

Belongs to the writer's thread, except for `node` and `leaves`, which only read.
"""

from __future__ import annotations

from stillvault.crypto import public
from stillvault.relay.store.connection import Connection

Mark = tuple[int, dict[int, bytes]]


class Tree:
    """Appends leaves. Keeps the right edge in memory: the complete subtrees that still wait for their right neighbour."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._size = size(connection)
        self._edge = {
            level: node(connection, level, (self._size >> level) - 1)
            for level in range(self._size.bit_length())
            if self._size >> level & 1
        }

    def mark(self) -> Mark:
        """Where the tree stands: to go back there with `reset` when the savepoint is rolled back."""
        return self._size, dict(self._edge)

    def reset(self, mark: Mark) -> None:
        self._size, self._edge = mark[0], dict(mark[1])

    def append(self, leaf: bytes) -> int:
        """Stores a leaf and every subtree that it completes. Returns its position."""
        position = at = self._size
        self._connection.execute("INSERT INTO leaves (position, leaf) VALUES (?, ?)", (position, leaf))
        level, top = 0, public.leaf_hash(leaf)
        self._put(level, at, top)
        while at & 1:
            top = public.node_hash(self._edge.pop(level), top)
            level, at = level + 1, at >> 1
            self._put(level, at, top)
        self._edge[level] = top
        self._size = position + 1
        return position

    def _put(self, level: int, position: int, root: bytes) -> None:
        self._connection.execute("INSERT INTO nodes (level, position, hash) VALUES (?, ?, ?)", (level, position, root))


def size(connection: Connection) -> int:
    number: int = connection.execute("SELECT coalesce(max(position), -1) + 1 FROM leaves").get
    return number


def node(connection: Connection, level: int, position: int) -> bytes:
    found: bytes | None = connection.execute("SELECT hash FROM nodes WHERE level = ? AND position = ?", (level, position)).get
    if found is None:
        raise LookupError("the log has no such subtree")
    return found


def leaves(connection: Connection, first: int, count: int) -> list[bytes]:
    rows = connection.execute("SELECT leaf FROM leaves WHERE position >= ? ORDER BY position LIMIT ?", (first, count))
    return [row[0] for row in rows]


def nodes_stored(connection: Connection) -> int:
    """How many there are on all levels: floor(size / 2^level) each."""
    number: int = connection.execute("SELECT count(*) FROM nodes").get
    return number


def nodes(connection: Connection, level: int, first: int, count: int) -> list[bytes]:
    query = "SELECT hash FROM nodes WHERE level = ? AND position >= ? AND position < ? ORDER BY position"
    return [row[0] for row in connection.execute(query, (level, first, first + count))]
