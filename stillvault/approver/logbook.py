"""The whole log, read and verified: every leaf hashed to the root of a checkpoint that continues what this home saw before.

`verified_leaves` is what `audit verify` says yes to; a removal reads the secrets that exist from it, because a list that the
relay makes up on the spot can leave one out, and the log cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from stillvault.approver.account import Account
from stillvault.crypto.public import leaf_hash, node_hash, sha256
from stillvault.protocol import messages
from stillvault.protocol.errors import Refused

PAGE = 500


class _Detail(msgspec.Struct):
    """What a `sealed` row says."""

    secret: str
    version: int


def pages(account: Account, after: int) -> Iterator[messages.Leaves]:
    """Leaves from index `after` on, page by page, until there are no more. The last page is empty."""
    while True:
        page = account.call("GET", f"/v1/audit?after={after}&limit={PAGE}", returns=messages.Leaves)
        if page.leaves and page.first != after:
            raise Refused("log-leaf", f"row {after} of the log is missing", "the relay hides a row: ask an administrator")
        yield page
        if not page.leaves:
            return
        after += len(page.leaves)


def verified_leaves(account: Account) -> tuple[list[bytes], bytes]:
    """Every leaf of the log that the newest checkpoint covers, and the root. Raises `Refused` where they do not belong together,
    or where the log is not the one that this home knows."""
    trust = account.trust()
    leaves: list[bytes] = []
    checkpoint = ""
    for page in pages(account, 0):
        checkpoint = page.checkpoint
        leaves += [leaf.encode() for leaf in page.leaves]
    size, root = account.store.check(account.relay, account.token(), trust, checkpoint)
    check_root(leaves, size, root)
    return leaves[:size], root


def check_root(leaves: Sequence[bytes], size: int, root: bytes) -> None:
    """Raises `Refused` unless the first `size` leaves are those of the root."""
    if len(leaves) < size:
        raise Refused("log-leaf", f"the log has {size} rows, {len(leaves)} are here", "rows are missing")
    if tree_root(leaves[:size]) != root:
        raise Refused("log-root", "the rows are not those of the signed checkpoint",
                      "a row was changed, moved, added or taken out")


def sealed_secrets(leaves: Sequence[bytes]) -> dict[str, int]:
    """Every path that was ever sealed, with its highest version."""
    found: dict[str, int] = {}
    for raw in leaves:
        if b'"sealed"' not in raw:
            continue
        leaf = msgspec.json.decode(raw, type=dict[str, Any])
        if leaf.get("kind") == "sealed":
            detail = msgspec.convert(leaf["detail"], _Detail)
            found[detail.secret] = max(found.get(detail.secret, 0), detail.version)
    return found


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle root of RFC 6962 over these leaves: a stack of whole subtrees, joined as they become equal in size."""
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        height, node = 0, leaf_hash(leaf)
        while stack and stack[-1][0] == height:
            node = node_hash(stack.pop()[1], node)
            height += 1
        stack.append((height, node))
    if not stack:
        return sha256(b"")
    node = stack.pop()[1]
    while stack:
        node = node_hash(stack.pop()[1], node)
    return node
