"""How often one peer may come: new connections by address, before their handshakes cost anything. Pure: the clock is an argument.

Each peer has a minute's worth in hand, and what it takes comes back evenly: many at once are served, for ever as many are not. At
the bound the newcomer is closed at once, unanswered, like one for whom there is no seat.
"""

from __future__ import annotations

MINUTE = 60.0  # seconds
MOST_PEERS = 10_000  # that are remembered


class Arrivals:
    """`each` new connections of one peer in a minute."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._peers: dict[str, tuple[float, float]] = {}  # what it had in hand, and when

    def admits(self, peer: str, now: float) -> bool:
        """Counts one more. `now`: seconds of a clock that never goes back."""
        held, at = self._peers.get(peer, (float(self._each), now))
        held = min(held + (now - at) * self._each / MINUTE, self._each)
        if held < 1:
            return False
        if peer not in self._peers and len(self._peers) >= MOST_PEERS:
            self._forget(now)
        self._peers[peer] = held - 1, now
        return True

    def _forget(self, now: float) -> None:
        """Those who have everything in hand again; where all are new, all: a crowd of that size is no matter of one address."""
        self._peers = {peer: (held, at) for peer, (held, at) in self._peers.items() if now - at < MINUTE}
        if len(self._peers) >= MOST_PEERS:
            self._peers.clear()
