"""Memory for the bodies that are on their way or being answered: a bound for all of them, and for one peer.

Without it, as many bodies of the largest size as there are connections could lie here at once. Small bodies are not counted:
honest calls are, and the connections bound them.
"""

from __future__ import annotations

from collections import Counter

from stillvault.relay.problems import ProblemError

SMALL_BODY = 65_536  # bytes of each body that nobody counts
SHARE = 4  # one peer gets this part of it


class Room:
    """At most `most` bytes above the small ones; one peer at most a quarter, and always enough for `largest`, one body."""

    def __init__(self, most: int, largest: int) -> None:
        self._most, self._each = max(most, largest), max(most // SHARE, largest)
        self._all = 0
        self._peers: Counter[str] = Counter()

    def take(self, peer: str, size: int) -> None:
        """Raises `rate-limited` where there is no room for these bytes now."""
        if self._all + size > self._most or self._peers[peer] + size > self._each:
            raise ProblemError("rate-limited", field="limits.bodies_bytes", headers={"retry-after": "5"})
        self._all += size
        self._peers[peer] += size

    def give_back(self, peer: str, size: int) -> None:
        self._all -= size
        self._peers[peer] -= size
        if not self._peers[peer]:
            del self._peers[peer]
