"""`run_with_secrets`: a command with the values of a handle, by the native front.

The front takes the values, puts them into the environment of the command alone and masks what that prints; this process starts
the front and reads what is left. It runs in the session of this server, whose child the front must be to take the handle.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stillvault.agents.mcp.project import without_references
from stillvault.protocol.errors import Failed, Usage
from stillvault.protocol.text import escaped, whole

HEAD = 12 * 1024  # characters of a stream, hidden ones written out, that are kept from its beginning
TAIL = 4 * 1024  # and from its end
GRACE = 2.0  # seconds from SIGTERM to SIGKILL
BLOCK = 64 * 1024


class Output:
    """One stream, as text whose hidden characters but line ends and tabs are written out: a terminal or a model acts on none of
    them. Where that is long it is cut in the middle, and never inside of one that is written out."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._head = ""
        self._tail = ""
        self._full = False  # the head takes no more
        self._left_out = 0

    async def read(self, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (block := await stream.read(BLOCK)):
            self.add(block)
        self.add(b"", last=True)

    def add(self, block: bytes, *, last: bool = False) -> None:
        """What the stream said next."""
        text = escaped(self._decoder.decode(block, last), keep="\n\t")
        if not self._full:
            room = HEAD - len(self._head)
            self._full = len(text) > room
            at = whole(text, room) if self._full else len(text)
            self._head += text[:at]
            text = text[at:]
        self._tail += text
        if len(self._tail) > TAIL:
            at = len(self._tail) - TAIL
            if whole(self._tail, at) != at:
                at = self._tail.index("}", at) + 1
            self._left_out += at
            self._tail = self._tail[at:]

    @property
    def truncated(self) -> bool:
        return self._left_out > 0

    def text(self) -> str:
        """At most HEAD and TAIL characters, and between them how many were left out."""
        return self._head + (f"\n[... {self._left_out} characters left out ...]\n" if self.truncated else "") + self._tail


class Ended(NamedTuple):
    """How a command ended."""

    exit_code: int
    timed_out: bool
    stdout: Output
    stderr: Output


def front() -> Path:
    """The native front of this installation."""
    found = Path(sysconfig.get_path("scripts")) / "stillvault"
    if not os.access(found, os.X_OK):
        raise Failed("front", "the native program `stillvault` is not installed beside this one", "install the wheel")
    return found


async def run(handle: str, argv: Sequence[str], env: Mapping[str, str], cwd: str, seconds: int) -> Ended:
    """Runs it to its end, or ends it after so many seconds. Whoever cancels this ends it too."""
    if cwd and not os.path.isdir(cwd):
        raise Usage("cwd", "there is no such directory", "name one that exists, or leave it out")
    bindings = [word for name, reference in env.items() for word in ("--env", f"{name}={reference}")]
    words = [str(front()), "run", "--handle", handle, *bindings, "--no-input", "--", *argv]
    if any("\0" in word for word in words):
        raise Usage("argv", "a word holds a zero byte", "leave it out")
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=without_references(os.environ), cwd=cwd or None, process_group=0)
    out, err, timed_out = Output(), Output(), False
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(out.read(process.stdout), err.read(process.stderr), process.wait())
    except TimeoutError:
        timed_out = True
    finally:
        await _end(process)
    return Ended(process.returncode if process.returncode is not None else -1, timed_out, out, err)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Sees that nothing of the group stays behind. Where this is cancelled, there is no time to ask nicely."""
    if process.returncode is not None:
        _signal(process, signal.SIGKILL)  # what it left running
        return
    try:
        _signal(process, signal.SIGTERM)
        async with asyncio.timeout(GRACE):
            await asyncio.shield(process.wait())
        _signal(process, signal.SIGKILL)
    except (TimeoutError, asyncio.CancelledError) as reason:
        _signal(process, signal.SIGKILL)
        if isinstance(reason, asyncio.CancelledError):
            raise
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
