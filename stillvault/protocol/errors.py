"""The one tree of errors, and the exit codes that scripts rely on.

Every error that a person or a program can meet is a `StillvaultError`: a stable `code`, a message that says what happened,
a `remedy` that says what to do next, and the `exit` status of the command line. Nothing here ever carries a secret value.

`Refused` is raised by the Rust core (`stillvault._native`) when one of the numbered checks of docs/protocol.md fails; its
`code` is the short name of that check. All others are raised by Python.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_DENIED = 10
EXIT_EXPIRED = 11
EXIT_NO_APPROVER = 12
EXIT_FORBIDDEN = 13
EXIT_UNAVAILABLE = 14
EXIT_UNTRUSTED = 15
EXIT_RATE_LIMITED = 16
EXIT_TOOL_FAILED = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_INTERRUPTED = 130


class StillvaultError(Exception):
    """The root of the tree. `code` is stable; `exit` is the status a command ends with."""

    exit: ClassVar[int] = EXIT_ERROR

    def __init__(self, code: str, message: str, remedy: str = "", field: str = "") -> None:
        super().__init__(code, message, remedy, field)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.field = field

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Failed(StillvaultError):
    """Something went wrong that is nobody's refusal (also: already decided, cancelled elsewhere)."""


class Usage(StillvaultError):
    """The command line, a file or a setting is not of the form that it must have."""

    exit = EXIT_USAGE


class Denied(StillvaultError):
    """A person said no: a deny or freeze that verified."""

    exit = EXIT_DENIED


class Expired(StillvaultError):
    """Nobody answered before the request ended."""

    exit = EXIT_EXPIRED


class NoApprover(StillvaultError):
    """No approver exists who could answer."""

    exit = EXIT_NO_APPROVER


class Forbidden(StillvaultError):
    """Out of scope, forbidden by a policy, or a removal that would strand a secret."""

    exit = EXIT_FORBIDDEN


class Unavailable(StillvaultError):
    """The daemon or the relay cannot be reached, or the relay refused without a signed word."""

    exit = EXIT_UNAVAILABLE


class RateLimited(StillvaultError):
    """A limit on prompts or calls was reached."""

    exit = EXIT_RATE_LIMITED


class Refused(StillvaultError):
    """A check of the protocol failed: what was received is not trusted. `code` names the check."""

    exit = EXIT_UNTRUSTED

    def __init__(self, code: str, message: str = "", remedy: str = "", field: str = "") -> None:
        super().__init__(code, message or "a check of the protocol failed", remedy, field)
