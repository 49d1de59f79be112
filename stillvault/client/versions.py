"""The highest version of each secret that this home has seen, so that nobody can serve an older one (protocol 7.3, 8).

On disk before the value is delivered: a crash cannot make the host forget. No secret is in it.
"""

from __future__ import annotations

import msgspec

from stillvault.protocol.objects import Pair
from stillvault.transport.home import Home

FILE = "versions.json"


class Versions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """versions.json."""

    highest: dict[str, Pair]
    v: int = 1


class VersionMemory:
    """Safe to use from several threads and processes: each change holds the home's lock."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._highest = self._read()

    def highest(self, path: str) -> Pair | None:
        """What was seen of a path, or None."""
        return self._highest.get(path)

    def remember(self, path: str, version: Pair) -> None:
        """Raises the mark, durably. Never lowers it."""
        if (known := self._highest.get(path)) is not None and known >= version:
            return
        with self._home.lock():
            highest = self._read()
            highest[path] = max(version, highest.get(path, version))
            self._home.write(FILE, Versions(highest=highest))
            self._highest = highest

    def _read(self) -> dict[str, Pair]:
        found = self._home.read(FILE, Versions)
        return {} if found is None else dict(found.highest)
