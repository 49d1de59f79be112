"""The types of what `__init__.py` loads when it is used."""

from stillvault.protocol.errors import (
    Denied,
    Expired,
    Failed,
    Forbidden,
    NoApprover,
    RateLimited,
    Refused,
    StillvaultError,
    Unavailable,
    Usage,
)
from stillvault.protocol.errors import Refused as Untrusted
from stillvault.sdk.aio import AsyncClient, AsyncHandle, aread
from stillvault.sdk.client import Client, Handle, ask, read, read_many, resume
from stillvault.sdk.questions import StillPending, Waiting
from stillvault.sdk.secret import Secret, Secrets

__all__ = [
    "AsyncClient", "AsyncHandle", "Client", "Denied", "Expired", "Failed", "Forbidden", "Handle", "NoApprover", "RateLimited",
    "Refused", "Secret", "Secrets", "StillPending", "StillvaultError", "Unavailable", "Untrusted", "Usage", "Waiting", "aread",
    "ask", "read", "read_many", "resume",
]
