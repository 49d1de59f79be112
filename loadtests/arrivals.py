"""When callers come: drawn beforehand, at random as callers who know nothing of one another are (Poisson). Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How callers arrive: `rate` a second for `seconds`, and `burst` more at once every `every` seconds."""

    rate: float
    seconds: float
    seed: int
    burst: int = 0
    every: float = 0.0

    def starts(self) -> Iterator[float]:
        """Seconds after the beginning, rising. The same plan gives the same starts."""
        drawn = random.Random(self.seed)  # when callers come, not a secret
        bursts = 1
        at = drawn.expovariate(self.rate)
        while at < self.seconds:
            while self.burst and bursts * self.every <= at:
                yield from [bursts * self.every] * self.burst
                bursts += 1
            yield at
            at += drawn.expovariate(self.rate)
