"""The native front as it is installed now, by device and inode; looked at again, for an update may put another in its place.

An inode that is no longer at the path is nobody's: it may be given to another file, whose callers would then speak for their
parents. A front of before an update that still runs counts as itself.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

ELF = b"\x7fELF"


class Front:
    """What stands at a path. Costs one look at the path a call, and one at the file for each that was put there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()
        self._native = False

    def __call__(self) -> tuple[int, int] | None:
        """(device, inode), or None where nothing there can be told from other programs: a script runs as its interpreter."""
        try:
            status = os.stat(self._path)
            seen = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
            if seen != self._seen:
                with self._path.open("rb") as file:
                    self._native = file.read(len(ELF)) == ELF
                self._seen = seen
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if self._native else None


def installed() -> Front:
    """The front beside this interpreter's scripts. A daemon that is not root may be told another."""
    named = os.environ.get("STILLVAULT_FRONT") if os.geteuid() != 0 else None
    return Front(Path(named) if named else Path(sysconfig.get_path("scripts")) / "stillvault")
