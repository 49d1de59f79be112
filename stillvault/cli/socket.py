"""The daemon's socket for the few verbs of this command line that need it; none of them carries a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stillvault.transport import local


def socket_path() -> Path:
    """STILLVAULT_SOCKET, else the user's daemon where it runs, else the system's."""
    return Path(local.socket_path())


def ask(verb: str, **fields: Any) -> dict[str, Any]:
    """One question and its answer. An error event becomes the error that it names."""
    return local.ask(verb, **fields)
