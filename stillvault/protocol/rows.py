"""A row of the audit log: a leaf (section 12) with its `detail` laid flat beside `index`. Laying flat loses nothing. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from stillvault.protocol.errors import Refused

TOP = ("kind", "oid", "actor", "request", "time", "detail")

Row = dict[str, Any]


def row_of(index: int, leaf: str | bytes) -> Row:
    """A leaf as a row. Raises `Refused` where the leaf is not of the form it must have."""
    raw = leaf.encode() if isinstance(leaf, str) else leaf
    try:
        found = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused("log-leaf", f"row {index} of the log is not of the form it must have") from None
    row = {"index": index, **found.get("detail", {})}
    row |= {name: value for name, value in found.items() if name != "detail"}
    if leaf_of(row) != raw:
        raise Refused("log-leaf", f"row {index} of the log is not of the form it must have")
    return row


def leaf_of(row: Row) -> bytes:
    """The exact bytes of the leaf that a row was made of."""
    leaf = {name: row[name] for name in TOP if name in row and name != "detail"}
    leaf["detail"] = {name: value for name, value in row.items() if name not in TOP and name != "index"}
    return msgspec.json.encode(leaf, order="sorted")
