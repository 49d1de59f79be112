"""Who has a seat: every open connection from its first byte on, by peer. Pure: it knows no socket and no clock.

A connection is quiet while nothing of it is worked on: in its TLS handshake, before its request is whole, between two requests.
Only quiet ones give way, the one that has been quiet for longest first (R11).
1. A peer has at most `each` seats. At that bound its own quiet connection gives way, or the newcomer is refused.
2. All seats are taken: those who hold most of them give quiet ones back, some at once, so that a newcomer costs little.
3. Where nobody can give way, the newcomer is refused.
So a flood from one address, or from a hundred, pushes out itself: who holds few connections keeps them and gets new ones.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

AT_ONCE = 64  # at the bound of all, this part of the seats is freed together


@dataclass(slots=True)
class _Peer:
    count: int = 0
    quiet: dict[Seat, None] = field(default_factory=dict)  # in the order in which they fell quiet


class Seat:
    """One connection's seat. `drop` ends that connection; it may come back later to `leave`, or never."""

    __slots__ = ("bounded", "drop", "peer")

    def __init__(self, peer: str, drop: Callable[[], None], *, bounded: bool = True) -> None:
        self.peer, self.drop, self.bounded = peer, drop, bounded


class Seats:
    """`most` seats in all, `each` for one peer. A seat that is not `bounded` counts among all alone: that of a trusted proxy."""

    def __init__(self, most: int, each: int) -> None:
        self.most, self.each = max(most, 1), max(min(each, most), 1)
        self._peers: dict[str, _Peer] = {}
        self._held: set[Seat] = set()

    def __len__(self) -> int:
        return len(self._held)

    def enter(self, seat: Seat) -> bool:
        """Gives a seat, quiet at first. False: there is none, and the newcomer has to go."""
        mates = self._peers.get(seat.peer)
        if seat.bounded and mates is not None and mates.count >= self.each and not self._oldest(mates):
            return False
        if len(self._held) >= self.most and not self.relieve():
            return False
        mates = self._peers.setdefault(seat.peer, _Peer())
        mates.count += 1
        mates.quiet[seat] = None
        self._held.add(seat)
        return True

    def busy(self, seat: Seat) -> None:
        """Something of this connection is being worked on: it does not give way."""
        if seat in self._held:
            self._peers[seat.peer].quiet.pop(seat, None)

    def quiet(self, seat: Seat) -> None:
        """Nothing is any more: it may give way, after all that are quiet already."""
        if seat in self._held:
            mates = self._peers[seat.peer]
            mates.quiet.pop(seat, None)
            mates.quiet[seat] = None

    def leave(self, seat: Seat) -> None:
        """The connection ended. May be said twice."""
        if seat not in self._held:
            return
        self._held.discard(seat)
        seat.drop = _nothing  # a connection and its seat hold one another no longer: neither waits for the collector
        mates = self._peers[seat.peer]
        mates.quiet.pop(seat, None)
        mates.count -= 1
        if not mates.count:
            del self._peers[seat.peer]

    def relieve(self) -> int:
        """Takes seats back from the peers that hold most. Returns how many."""
        heap = [(-one.count, number, one) for number, one in enumerate(self._peers.values()) if one.quiet]
        heapq.heapify(heap)
        freed = 0
        while heap and freed < max(self.most // AT_ONCE, 1):
            _, number, one = heap[0]
            freed += self._oldest(one)
            if one.quiet:
                heapq.heapreplace(heap, (-one.count, number, one))
            else:
                heapq.heappop(heap)
        return freed

    def _oldest(self, mates: _Peer) -> int:
        seat = next(iter(mates.quiet), None)
        if seat is None:
            return 0
        drop = seat.drop
        self.leave(seat)
        drop()
        return 1


def _nothing() -> None:
    """What ends a connection that has ended."""
