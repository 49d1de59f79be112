"""Sign-in nonces, in memory: single use, short-lived. A relay that starts anew knows none, so a captured login stays worthless
(N5), and asking for nonces writes nothing to the disk."""

from __future__ import annotations

import secrets as randomness

from stillvault.crypto import public
from stillvault.relay.problems import ProblemError

NONCE_BYTES = 32
MOST = 50_000  # that wait at once, over all peers


class Nonces:
    """Given and taken by their text. Belongs to the loop. Oldest first, as a dict keeps them."""

    def __init__(self) -> None:
        self._waiting: dict[str, int] = {}

    def give(self, expires: int, now: int) -> str:
        """A fresh nonce. Raises `rate-limited` while too many wait."""
        for old, ends in list(self._waiting.items()):
            if ends > now:
                break
            del self._waiting[old]
        if len(self._waiting) >= MOST:
            raise ProblemError("rate-limited", field="limits.nonces_per_minute", headers={"retry-after": "60"})
        made = public.b64encode(randomness.token_bytes(NONCE_BYTES))
        self._waiting[made] = expires
        return made

    def take(self, nonce: str, now: int) -> bool:
        """True for exactly one caller, and only in time."""
        return self._waiting.pop(nonce, 0) > now
