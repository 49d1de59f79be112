"""What a device must never forget: which requests it answered, and the highest version it saw of each secret.

`memory.json` in the home, fsynced before anything is signed (protocol 7.2 and 7.3, A7, A11): a crash between the two costs an
answer, never a second signature. Answers are forgotten when the request can no longer be replayed, versions never.
The pure part is `Memory`; `remembered` and `remember` are the disk.
"""

from __future__ import annotations

import msgspec

from stillvault.protocol.objects import Item, Pair
from stillvault.transport.home import Home

CLOCK_MARGIN = 600  # seconds that an answer is kept beyond its request's end: clocks may differ


class Answer(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One answered request. `item` lets a person take an own approval back."""

    client: str  # oid of the certificate
    request_id: str
    verdict: str
    expires: int
    card: str
    item: Item


class Shown(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One card that was put before the person (see `budget`)."""

    card: str
    at: int
    approved: bool = False


class Memory(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """memory.json."""

    answers: list[Answer] = []
    highest: dict[str, Pair] = {}
    shown: list[Shown] = []
    approvals: list[int] = []  # times of the last approvals: the typed-code ramp
    wrong_codes: list[int] = []
    v: int = 1

    def decided(self, client: str, request_id: str) -> bool:
        """7.2: whether (client, id) was decided before."""
        return any(one.client == client and one.request_id == request_id for one in self.answers)

    def with_answers(self, answers: list[Answer], now: int) -> Memory:
        """Adds answers, and drops those whose requests are long over."""
        fresh = {(one.client, one.request_id) for one in answers}
        kept = [one for one in self.answers
                if now < one.expires + CLOCK_MARGIN and (one.client, one.request_id) not in fresh]
        return msgspec.structs.replace(self, answers=kept + answers)

    def with_highest(self, seen: list[tuple[str, Pair]]) -> Memory:
        """Raises the highest version of each path, never lowers one."""
        highest = dict(self.highest)
        for path, pair in seen:
            highest[path] = max(highest.get(path, (0, 0)), pair)
        return msgspec.structs.replace(self, highest=highest)


def remembered(home: Home) -> Memory:
    """The memory of this home's device."""
    return home.read("memory.json", Memory) or Memory()


def remember(home: Home, memory: Memory) -> None:
    """Writes it durably. The caller holds `home.lock()` from reading on."""
    home.write("memory.json", memory)
