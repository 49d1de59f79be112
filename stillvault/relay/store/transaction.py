"""What a use case may do inside its one transaction: run SQL by the modules of this package, append a leaf, emit an event."""

from __future__ import annotations

from typing import Any

from stillvault.crypto import public
from stillvault.protocol.text import whole
from stillvault.relay.store import events
from stillvault.relay.store.connection import Connection
from stillvault.relay.store.tree import Tree

LOG_TOPIC = "log"  # woken whenever the audit log grew
LONGEST = {"exe": 1024, "user": 256, "chain": 256}  # characters of a name that a host gave; the signed object has all of it
Mark = tuple[str, str, int]  # what happened, in which of its kinds, how many or how long in seconds


class Transaction:
    """Alive while its use case runs. `topics` are who must be woken once it is durable, `marks` what the metrics then count."""

    def __init__(self, connection: Connection, tree: Tree) -> None:
        self.connection = connection
        self.topics: set[str] = set()
        self.marks: list[Mark] = []
        self._tree = tree

    def leaf(self, kind: str, actor: str, time: int, *, oid: bytes = b"", request: bytes = b"", **detail: Any) -> None:
        """Appends a row of the audit log (section 12): it is durable when the use case is. Holds no secret value.

        Details that say nothing (empty text, nothing measured) are left out, and names that a host gave are cut: a page of rows
        is read into memory, here and by whoever asks for it.
        """
        leaf: dict[str, Any] = {"kind": kind, "actor": actor, "time": time}
        said = {name: value for name, value in detail.items() if value is not None and value not in ("", [])}
        leaf["detail"] = said | {name: _cut(said[name], most) for name, most in LONGEST.items() if name in said}
        if oid:
            leaf["oid"] = public.b64encode(oid)
        if request:
            leaf["request"] = public.b64encode(request)
        self._tree.append(public.encode(leaf))
        self.topics.add(LOG_TOPIC)
        self._mark_row(kind, detail)

    def mark(self, what: str, label: str = "", number: int = 1) -> None:
        """Something for the metrics: words of this program, and a number. Never a name."""
        self.marks.append((what, label, number))

    def _mark_row(self, kind: str, detail: dict[str, Any]) -> None:
        self.mark("row", kind)
        match kind:
            case "requested":
                self.mark("asked")
            case "released":
                self.mark("release")
            case "lease-used":
                self.mark("uses", number=int(detail.get("count") or 1))
            case "prompted":
                outcome = str(detail.get("outcome") or "sent").partition(":")[0]
                self.mark("prompt", f"{detail['channel']} {outcome}")

    def event(
        self, audience: str, kind: str, at: int, *, oid: bytes = b"", request: bytes = b"", path: str = "", state: str = ""
    ) -> None:
        """Puts an event into the feed of `audience`."""
        text = public.b64encode
        events.add(self.connection, audience, kind, at, text(oid) if oid else "", text(request) if request else "", path, state)
        self.topics.add(audience)

    def wake(self, topic: str) -> None:
        """Wakes who waits for `topic`, without an event."""
        self.topics.add(topic)


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, list):
        return [_cut(one, most) for one in value]
    return value if len(value) <= most else value[: whole(value, most - 1)] + "\u2026"
