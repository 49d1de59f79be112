"""What the SDK says to the daemon and what its answers mean, without I/O: `client` and `aio` carry it.

One `Question` is one verb. It is sent, every frame that comes back is given to `hear`, until that says that it is over; a denial
and every other error is raised there. Pipes for values are made here too, because both sides make them alike.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypedDict

from stillvault.protocol.errors import EXIT_EXPIRED, Failed, Refused, StillvaultError, Usage
from stillvault.protocol.text import visible
from stillvault.sdk.memory import Memory
from stillvault.sdk.secret import MAX_VALUE, Secrets
from stillvault.transport.local import ANSWER, error_of, garbled

SCHEME = "sv://"
PATH = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*")  # protocol section 2
FIELD = re.compile(r"[A-Za-z0-9_.-]{1,100}")
HANDLE = re.compile(r"h-[A-Za-z0-9_-]{22}")
MAX_PATH = 200  # bytes
MAX_REFERENCES = 100  # of one card
MAX_WAIT = 3600  # seconds that the daemon waits for a handle in one question
GRACE = 5.0  # seconds that the daemon may be late with its own word that time is up
CLAIMED_ARGUMENTS = 40  # of a command, and so many characters of each
CLAIMED_CHARACTERS = 200
PIPE = 64 * 1024  # bytes: more than the largest value, so that the daemon never waits for us

Listener = Callable[["Waiting"], object]


class StillPending(StillvaultError):
    """Nobody has decided yet. It is neither a denial nor an end: the handle stands, wait for it again."""

    exit = EXIT_EXPIRED


class Waiting(NamedTuple):
    """What is being asked of whom. `code` is what an approver may have to type; show it to whoever sits here."""

    card: str
    code: str
    asked: tuple[str, ...]
    needed: int
    approved: int
    expires: int  # unix seconds
    why: str  # why it is asked again, where it is


class Options(TypedDict, total=False):
    """What a question may say about itself. Times are seconds; `subject` picks one of this host's clients (`whoami`).

    `reason` and `command` are shown to the people under "The caller says:"; nobody believes them.
    """

    reason: str
    command: Sequence[str]
    ttl: int
    window: int
    uses: int
    subject: str


class ReadOptions(Options, total=False):
    """`timeout` withdraws the question after so many seconds; `on_waiting` is called when it stands and at each change."""

    timeout: float | None
    on_waiting: Listener | None


def paths_of(references: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
    """The references as given, and the distinct paths of them. Raises `Usage`, which does not repeat what was given."""
    given = (references,) if isinstance(references, str) else tuple(references)
    paths: list[str] = []
    for reference in given:
        path, mark, field = reference.removeprefix(SCHEME).partition("#")
        if not reference.startswith(SCHEME) or len(path) > MAX_PATH or not PATH.fullmatch(path):
            raise Usage("usage", "this is no reference to a secret", "write sv://PATH or sv://PATH#FIELD, as sv://prod/db")
        if mark and not FIELD.fullmatch(field):
            raise Usage("usage", "a field is letters, digits and . _ -, at most 100 of them", "write sv://PATH#FIELD")
        if path not in paths:
            paths.append(path)
    if not 0 < len(paths) <= MAX_REFERENCES:
        raise Usage("usage", f"a question is for 1 to {MAX_REFERENCES} secrets", "ask for some, or in parts")
    return given, paths


def asking(paths: list[str], *, reason: str = "", command: Sequence[str] = (), ttl: int | None = None, window: int | None = None,
           uses: int | None = None, subject: str = "", timeout: float | None = None) -> dict[str, Any]:
    """The fields of `get` and `ask`."""
    fields: dict[str, Any] = {"refs": paths}
    if command:
        shown = [visible(word) if len(word) <= CLAIMED_CHARACTERS else visible(word[: CLAIMED_CHARACTERS - 1]) + "\u2026"
                 for word in command[:CLAIMED_ARGUMENTS]]
        more = [f"\u2026 {len(command) - CLAIMED_ARGUMENTS} more"] if len(command) > CLAIMED_ARGUMENTS else []
        fields["argv"] = shown + more
    for name, text in (("reason", reason), ("client", subject)):
        if text:
            fields[name] = visible(text)
    for name, seconds in (("ttl", ttl), ("window", window), ("uses", uses), ("wait", timeout)):
        if seconds is not None:
            if not 0 <= seconds < 2**31:
                raise Usage("usage", f"{name} is out of range", "give seconds, or a number of uses")
            fields[name] = math.ceil(seconds)
    return fields


def handle_name(text: str) -> str:
    """A handle as it may come from a person or a file, also with the `#FIELD` that the command line writes behind it."""
    name, mark, field = text.partition("#")
    if not HANDLE.fullmatch(name) or (mark and not FIELD.fullmatch(field)):
        raise Usage("handle", "this is no handle", "give the one that was printed or returned when it was asked")
    return name


class Question:
    """One verb, and how its answers are read. `last` names the event that ends it."""

    def __init__(self, verb: str, fields: dict[str, Any], last: str, *, patience: float | None = ANSWER,
                 on_waiting: Listener | None = None) -> None:
        self.verb = verb
        self.fields = fields
        self.answer: dict[str, Any] = {}
        self._last = last
        self._end = None if patience is None else time.monotonic() + patience
        self._on_waiting = on_waiting

    @property
    def patience(self) -> float | None:
        """Seconds until its answer is overdue; None where people decide when."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def hear(self, event: dict[str, Any]) -> bool:
        """Takes one frame; whether it was the last. Raises the error that ended the question."""
        kind = event.get("event")
        if kind == "pending":
            if self._on_waiting is not None:
                self._on_waiting(waiting_of(event))
            return False
        if kind != self._last:
            raise failure(event)
        self.answer = event
        return True


def failure(event: dict[str, Any]) -> StillvaultError:
    """The error that an event, or the part of one, names."""
    error = error_of(event)
    return StillPending(error.code, error.message, error.remedy) if error.code == "pending" else error


def waiting_of(event: dict[str, Any]) -> Waiting:
    """A `pending` event, or the same fields of a handle that is pending."""
    def text(name: str) -> str:
        found = event.get(name, "")
        return found if isinstance(found, str) else ""

    def number(name: str) -> int:
        found = event.get(name, 0)
        return found if isinstance(found, int) else 0

    asked = event.get("asked")
    people = tuple(str(one) for one in asked) if isinstance(asked, list) else ()
    return Waiting(text("card"), text("code"), people, number("needed"), number("approved"), number("expires"), text("why"))


class Pipes:
    """A pipe for each value. The write ends go to the daemon, which holds each value whole before anybody reads."""

    def __init__(self, count: int) -> None:
        self.writers: list[int] = []
        self._readers: list[int] = []
        try:
            for _ in range(count):
                reader, writer = os.pipe2(os.O_CLOEXEC)
                self._readers.append(reader)
                self.writers.append(writer)
                fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE)
        except OSError:
            self.close()
            raise Failed("pipe", "the kernel gives this user no more pipes of 64 KiB",
                         "raise fs.pipe-user-pages-soft, or ask for fewer secrets at once") from None

    def sent(self) -> None:
        """The daemon has the write ends: from now on they are its alone."""
        _close(self.writers)

    def receive(self, paths: list[str], delivered: dict[str, Any], references: tuple[str, ...]) -> Secrets:
        """The values that a `delivered` event speaks of. Each must be whole, or none is kept."""
        facts = delivered.get("values")
        if not isinstance(facts, list) or len(facts) != len(paths):
            raise garbled("it delivered something else than was asked")
        values: dict[str, Memory] = {}
        versions: dict[str, int] = {}
        try:
            for path, reader, fact in zip(paths, self._readers, facts, strict=True):
                length = fact.get("length") if isinstance(fact, dict) and fact.get("path") == path else None
                if not isinstance(length, int) or not 0 <= length <= MAX_VALUE:
                    raise Refused("delivery", "the daemon delivered something else than was asked", "ask again")
                values[path] = Memory(length + 1)  # one byte more, which must stay unused
                values[path].receive(reader, length)
                version = fact.get("version")
                versions[path] = version if isinstance(version, int) else 0
        except BaseException:
            for memory in values.values():
                memory.wipe()
            raise
        return Secrets(values, versions, references)

    def close(self) -> None:
        """Closes what is open."""
        _close(self.writers)
        _close(self._readers)

    def __enter__(self) -> Pipes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(descriptors: list[int]) -> None:
    while descriptors:
        with suppress(OSError):
            os.close(descriptors.pop())


class HandleFacts:
    """What is known of a handle; `client.Handle` and `aio.AsyncHandle` add the ways to ask again.

    `state` is `pending`, `ready` (its values wait to be taken until `expires`), `delivered` or `ended`; `error` says why.
    """

    def __init__(self, event: dict[str, Any], references: tuple[str, ...] = ()) -> None:
        self.id = ""
        self.references = references
        self.paths: list[str] = []
        self.state = ""
        self.expires = 0
        self.waiting: Waiting | None = None
        self.error: StillvaultError | None = None
        self.update(event)

    def update(self, event: dict[str, Any]) -> None:
        """Takes the fields of a `handle` or `state` event."""
        name, state, paths = event.get("handle"), event.get("state"), event.get("refs")
        if not isinstance(name, str) or not isinstance(state, str) or not isinstance(paths, list):
            raise garbled("its word about a handle is not whole")
        self.id, self.state, self.paths = name, state, [str(path) for path in paths]
        self.references = self.references or tuple(SCHEME + path for path in self.paths)
        expires = event.get("expires")
        self.expires = expires if isinstance(expires, int) else self.expires
        self.waiting = waiting_of(event) if state == "pending" else None
        error = event.get("error")
        self.error = failure(error) if isinstance(error, dict) else None

    def settled(self) -> bool:
        """Whether its values can be taken. Raises what ended it; `Failed` (`taken`) where they were taken."""
        if self.error is not None:
            raise self.error
        if self.state == "delivered":
            raise Failed("taken", "the values of this handle were taken already", "ask anew")
        return self.state == "ready"

    def state_question(self, seconds: float, on_waiting: Listener | None) -> Question:
        """How it stands, after at most so many seconds."""
        return Question("state", {"handle": self.id, "wait": math.ceil(min(max(seconds, 0.0), MAX_WAIT))}, "state",
                        patience=seconds + ANSWER, on_waiting=on_waiting)

    def take_question(self, seconds: float) -> Question:
        """Its values, if it is decided within so many seconds."""
        wait = math.ceil(min(max(seconds, 0.0), MAX_WAIT))
        return Question("take", {"handle": self.id, "wait": wait}, "delivered", patience=wait + ANSWER)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.state}>"
