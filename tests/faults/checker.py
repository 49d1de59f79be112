"""A log of what was asked of a relay and what it answered, and what must hold of the relay that comes up afterwards.

Every call is noted before it is made and again when its answer came. A call without an answer may have happened or not; a
call that was
acknowledged has happened, whatever was killed since. After the run the checker asks the relay itself:

1. each acknowledged object has its leaf in the log;
2. each acknowledged request is there, in a state not behind what was acknowledged about it;
3. no request has two ends;
4. nobody was prompted twice for one request on one device and channel;
5. nothing was released without an approval in the log before it.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

ENDS = {"delivered", "failed", "denied", "expired", "cancelled"}
NOT_BEHIND = {
    "requested": {"pending", "approved", "delivered", "cancelled", "expired"},
    "approved": {"approved", "delivered"},
    "delivered": {"delivered"},
}


@dataclass
class History:
    """What the clients saw. Safe for several threads."""

    acknowledged: list[tuple[str, str, str]] = field(default_factory=list)  # kind, oid of the object, oid of its request
    unknown: int = 0
    in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def invoke(self) -> None:
        with self.lock:
            self.in_flight += 1

    def answered(self, kind: str, oid: str, request: str) -> None:
        with self.lock:
            self.in_flight -= 1
            self.acknowledged.append((kind, oid, request))

    def lost(self) -> None:
        """No answer came: it may have happened or not."""
        with self.lock:
            self.in_flight -= 1
            self.unknown += 1


def check(history: History, leaves: list[dict[str, Any]], states: dict[str, str]) -> list[str]:
    """Everything that is wrong, in words; empty when all five hold."""
    wrong = []
    logged = {(leaf["kind"], leaf.get("oid", "")) for leaf in leaves}
    for kind, oid, request in history.acknowledged:
        if (kind, oid) not in logged:
            wrong.append(f"1: {kind} {oid} was acknowledged and is not in the log")
        state = states.get(request, "missing")
        if state not in NOT_BEHIND[kind]:
            wrong.append(f"2: {kind} of request {request} was acknowledged, and the request is {state}")
    ends = Counter(leaf["request"] for leaf in leaves if leaf["kind"] in ENDS and "request" in leaf)
    wrong += [f"3: request {request} ended {times} times" for request, times in ends.items() if times > 1]
    prompts = Counter(
        (leaf["request"], leaf["detail"].get("device"), leaf["detail"].get("channel"))
        for leaf in leaves
        if leaf["kind"] == "prompted"
    )
    wrong += [f"4: {prompt} was prompted {times} times" for prompt, times in prompts.items() if times > 1]
    approved: set[str] = set()
    for leaf in leaves:
        if leaf["kind"] == "approved":
            approved.add(leaf["request"])
        elif leaf["kind"] == "released" and leaf["request"] not in approved:
            wrong.append(f"5: request {leaf['request']} was released without an approval before it")
    return wrong
