"""One caller's connection: its frames, in order and whole, and the process at its other end, looked at again and again.

A caller that does not read its answers is dropped; one that goes ends the verb that is served. Deadlines are kept here and held
by the `Door` through which the caller came.
"""

from __future__ import annotations

import array
import asyncio
import hmac
import logging
import os
import secrets
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from stillvault.client import frames
from stillvault.client.agents import Agents
from stillvault.client.executable import Hasher, NotHashed
from stillvault.client.peer import CREDENTIALS, SCM_PIDFD, Caller, Credentials, Identity
from stillvault.client.pipes import close_all
from stillvault.client.workers import Workers
from stillvault.crypto.public import b64encode
from stillvault.protocol.errors import Failed, Refused, StillvaultError, Usage

log = logging.getLogger("stillvault.daemon")

FIRST_FRAME = 5.0  # seconds from accept to the first whole frame
WHOLE_FRAME = 10.0  # seconds from the first byte of a frame to its last
SILENCE = 900.0  # seconds without a verb
MAX_UNREAD = 1 << 20  # bytes of answers that a caller has not read
READ = 1 << 16  # bytes
ANCILLARY = socket.CMSG_SPACE(frames.MAX_REFS * 4) + socket.CMSG_SPACE(4) + socket.CMSG_SPACE(CREDENTIALS.size)

Serve = Callable[["Connection", frames.Call, list[int]], Coroutine[Any, Any, None] | None]


class Door(Protocol):
    """Where a connection came in: what all of them share."""

    loop: asyncio.AbstractEventLoop
    serve: Serve
    hasher: Hasher
    workers: Workers
    agents: Agents | None

    def check_descriptors(self, uid: int) -> None:
        """Raises where an account holds too many of this process's descriptors."""

    def turn(self, uid: int) -> asyncio.Lock:
        """The account's turn to have something hashed."""

    def names_agents(self) -> bool:
        """Whether a caller may be an agent at all."""

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""


class Connection:
    """One caller. `send` answers; a coroutine that serves a verb is cancelled when the caller goes."""

    def __init__(self, door: Door, sock: socket.socket, caller: Caller, now: float) -> None:
        self.caller = caller
        self.uid = caller.uid
        self._door = door
        self._sock = sock
        self._loop = door.loop
        self._nonce = b64encode(secrets.token_bytes(32))
        self._greeted = False
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._fds: list[int] = []
        self._ends: list[int] = []  # those of the verb that is served; whoever closes them takes them out
        self._task: asyncio.Task[None] | None = None
        self._identity: Identity | None = None
        self._placed: Identity | None = None
        self._plain: Identity | None = None
        self._generation = 0
        self._watched: list[int] = []
        self.closed = False
        self.deadline = now + FIRST_FRAME

    # ---- for those who serve -------------------------------------------------------------------------------------------

    def known_identity(self, *, place: bool) -> Identity | None:
        """The caller as leases know it, where that takes no waiting: without ancestors, and with `place` false without session
        leader, unit and container."""
        self._check_generation()
        place = place or self._door.names_agents()
        for known in (self._identity, self._placed, None if place else self._plain):
            if known is not None:
                return known
        with suppress(NotHashed):
            if place:
                self._placed = self.caller.describe(self._door.hasher, wait=False, chain=False, agents=self._door.agents)
                return self._placed
            self._plain = self.caller.describe(self._door.hasher, wait=False, chain=False, place=False)
            return self._plain
        return None

    async def identity(self) -> Identity:
        """The whole description of the caller. Raises `Refused` where the kernel does not give it."""
        self._check_generation()
        if self._identity is None:
            async with self._door.turn(self.uid):
                # Shielded: the thread uses the descriptors of the caller, so they stay open until it is done.
                work = self._door.workers.run(self.caller.describe, self._door.hasher, agents=self._door.agents)
                try:
                    self._identity = await asyncio.shield(work)
                except asyncio.CancelledError:
                    with suppress(StillvaultError):
                        await work
                    raise
        return self._identity

    def is_current(self, identity: Identity) -> bool:
        """Whether the whole description of the caller is the one that `identity` gave, by the identities of now."""
        self._check_generation()
        return identity is self._identity

    def _check_generation(self) -> None:
        """What the caller is was said by a file that may have changed."""
        generation = 0 if self._door.agents is None else self._door.agents.generation()
        if generation != self._generation:
            self._generation, self._identity, self._placed, self._plain = generation, None, None, None

    def send(self, fields: dict[str, Any]) -> None:
        """Sends an event. Never waits."""
        if self.closed:
            return
        waiting = bool(self._outgoing)
        self._outgoing += frames.pack(fields)
        if waiting:
            if len(self._outgoing) > MAX_UNREAD:
                self.close()
            return
        self._flush()
        if self._outgoing and not self.closed:
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def refuse(self, error: StillvaultError) -> None:
        """Sends an error event."""
        self.send(frames.error_event(error))

    def close(self) -> None:
        """Ends the connection; whatever serves it is cancelled and lets go of what it holds."""
        if self.closed:
            return
        self.closed = True
        fd = self._sock.fileno()
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        self._unwatch()
        self._sock.close()
        close_all(self._fds)
        self._door.forget(self)
        if self._task is None:
            self.caller.close()
        else:
            self._task.cancel()

    @property
    def idle(self) -> bool:
        """Whether no verb is served."""
        return self._task is None

    @property
    def descriptors(self) -> int:
        """How many that the caller passed along are open."""
        return len(self._fds) + len(self._ends)

    # ---- reading -------------------------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Step 1 of the conversation: the nonce."""
        self._loop.add_reader(self._sock.fileno(), self._readable)
        self.send({"v": frames.VERSION, "nonce": self._nonce})

    def _readable(self) -> None:
        try:
            self._receive()
        except StillvaultError as error:
            self.refuse(error)
            self.close()
        except (ConnectionError, OSError):
            self.close()

    def _receive(self) -> None:
        try:
            block, ancillary, flags, _ = self._sock.recvmsg(READ, ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return
        pidfd, credentials = self._take(ancillary)
        try:
            if flags & socket.MSG_CTRUNC or len(self._fds) > frames.MAX_REFS:
                raise Usage("descriptor", "too many descriptors were passed at once", f"ask for at most {frames.MAX_REFS} values")
            if not block:
                self.close()
                return
            self.caller.check_sender(pidfd, credentials)
            if self._fds:
                self._door.check_descriptors(self.uid)
        finally:
            if pidfd is not None:
                os.close(pidfd)
        self._incoming += block
        while not self.closed and (raw := self._whole_frame()) is not None:
            self._frame(raw)

    def _take(self, ancillary: list[tuple[int, int, bytes]]) -> tuple[int | None, Credentials | None]:
        """Sorts out what came beside the bytes; takes every descriptor over before anything may raise."""
        pidfd: int | None = None
        credentials: Credentials | None = None
        for level, kind, content in ancillary:
            if level != socket.SOL_SOCKET:
                continue
            if kind == socket.SCM_RIGHTS:
                passed = array.array("i")
                passed.frombytes(content[: len(content) - len(content) % passed.itemsize])
                self._fds.extend(passed)
            elif kind == SCM_PIDFD and len(content) >= 4:
                number = int.from_bytes(content[:4], "little", signed=True)
                pidfd = number if number >= 0 else None  # an error number where the sender is gone
            elif kind == socket.SCM_CREDENTIALS and len(content) >= CREDENTIALS.size:
                credentials = Credentials(*CREDENTIALS.unpack_from(content))
        return pidfd, credentials

    def _whole_frame(self) -> bytes | None:
        if len(self._incoming) < frames.HEADER:
            return None
        length = int.from_bytes(self._incoming[: frames.HEADER], "big")
        if length > frames.MAX_FRAME:
            raise Usage("frame-size", "a message to the daemon is too long", "ask for less at once")
        end = frames.HEADER + length
        if len(self._incoming) < end:
            if self._greeted and self._task is None:
                self.deadline = min(self.deadline, self._loop.time() + WHOLE_FRAME)
            return None
        raw = bytes(self._incoming[frames.HEADER : end])
        del self._incoming[:end]
        return raw

    def _frame(self, raw: bytes) -> None:
        if self._task is not None:
            raise Usage("frame-order", "a message came before the answer to the one before", "wait for the answer")
        call = frames.parse(raw)
        if not self._greeted:
            if not hmac.compare_digest(call.nonce, self._nonce):
                raise Refused("caller-nonce", "the caller did not repeat the daemon's nonce")
            # Between accept and this reply the process may have become another program: looked at again, arguments and all.
            self.caller.check(arguments=True)
            self._greeted = True
        elif call.nonce:
            raise Usage("frame", "the nonce is said once", "", "nonce")
        fds, self._fds = self._fds, []
        self._ends = fds
        self.deadline = self._loop.time() + SILENCE
        work = None
        try:
            work = self._door.serve(self, call, fds)
        except StillvaultError as error:
            self.refuse(error)
        finally:
            if work is None:
                close_all(fds)
        if work is not None:
            self._watch()
            self._task = self._loop.create_task(self._run(work, fds))

    async def _run(self, work: Coroutine[Any, Any, None], fds: list[int]) -> None:
        try:
            await work
        except StillvaultError as error:
            self.refuse(error)
        except asyncio.CancelledError:
            pass  # the caller has gone, or the daemon ends
        except Exception:
            log.exception("a call failed")
            self.refuse(Failed("internal", "the daemon failed on this call", "look at its log"))
        finally:
            close_all(fds)
            self._unwatch()
            self._task = None
            self.deadline = self._loop.time() + SILENCE
            if self.closed:
                self.caller.close()

    # ---- the caller's end ----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """While a verb waits, the exit of a process of the call ends it, even where a child still holds the socket."""
        for process in {self.caller.socket_process.pidfd, self.caller.process.pidfd}:
            self._loop.add_reader(process, self._exited)
            self._watched.append(process)

    def _unwatch(self) -> None:
        for process in self._watched:
            self._loop.remove_reader(process)
        self._watched.clear()

    def _exited(self) -> None:
        self.close()

    # ---- writing -------------------------------------------------------------------------------------------------------

    def _writable(self) -> None:
        self._flush()
        if not self.closed and not self._outgoing:
            self._loop.remove_writer(self._sock.fileno())

    def _flush(self) -> None:
        try:
            sent = self._sock.send(self._outgoing)
            del self._outgoing[:sent]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
