"""Stillvault: a secret reaches a program only after a person saw who asks and said yes.

`import stillvault` is the SDK for programs (docs/guides/sdk.md). Its names are loaded when they are used, so that the relay, the
daemon and the command line pay nothing for them; their types are in `__init__.pyi`.
"""

from __future__ import annotations

__all__ = [
    "AsyncClient", "AsyncHandle", "Client", "Denied", "Expired", "Failed", "Forbidden", "Handle", "NoApprover", "RateLimited",
    "Refused", "Secret", "Secrets", "StillPending", "StillvaultError", "Unavailable", "Untrusted", "Usage", "Waiting", "aread",
    "ask", "read", "read_many", "resume",
]

_PLACES = {
    "stillvault.sdk.client": ("Client", "Handle", "ask", "read", "read_many", "resume"),
    "stillvault.sdk.aio": ("AsyncClient", "AsyncHandle", "aread"),
    "stillvault.sdk.questions": ("StillPending", "Waiting"),
    "stillvault.sdk.secret": ("Secret", "Secrets"),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'stillvault' has no attribute {name!r}")
    from importlib import import_module

    place = next((place for place, names in _PLACES.items() if name in names), "stillvault.protocol.errors")
    found: object = getattr(import_module(place), "Refused" if name == "Untrusted" else name)
    globals()[name] = found
    return found
