"""The daemon's door: accepts callers, makes sure who each one is, and passes on one whole verb at a time.

In user mode the socket is for one account: directory 0700, socket 0600, and the peer's uid is compared all the same. With
`--system` the socket is open to all in a directory of root, and every call is attributed by the kernel. A caller that is not sure
gets nothing but an error.

Limits: frames of 256 KiB, `MAX_PER_UID` connections and `MAX_DESCRIPTORS_PER_UID` passed descriptors for an account, `MAX_TOTAL`
connections in all, and a deadline for the first frame, for a frame that has begun and for silence. A caller that does not read
its answers is dropped.
"""

from __future__ import annotations

import array
import asyncio
import errno
import fcntl
import hmac
import logging
import os
import secrets
import socket
import stat
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from stillvault.client import frames
from stillvault.client.agents import Agents
from stillvault.client.executable import Hasher, NotHashed
from stillvault.client.peer import CREDENTIALS, SCM_PIDFD, SO_PASSPIDFD, Caller, Credentials, Identity, peer_credentials
from stillvault.client.workers import Workers
from stillvault.crypto.public import b64encode
from stillvault.protocol.errors import Failed, RateLimited, Refused, StillvaultError, Usage

log = logging.getLogger("stillvault.daemon")

MAX_PER_UID = 256  # connections
MAX_TOTAL = 2048
MAX_DESCRIPTORS_PER_UID = 2048  # passed along and not yet closed, over all connections
FIRST_FRAME = 5.0  # seconds from accept to the first whole frame
WHOLE_FRAME = 10.0  # seconds from the first byte of a frame to its last
SILENCE = 900.0  # seconds without a verb
SWEEP = 1.0  # seconds between looks at the deadlines
MAX_UNREAD = 1 << 20  # bytes of answers that a caller has not read
READ = 1 << 16  # bytes
ANCILLARY = socket.CMSG_SPACE(frames.MAX_REFS * 4) + socket.CMSG_SPACE(4) + socket.CMSG_SPACE(CREDENTIALS.size)

Serve = Callable[["Connection", frames.Call, list[int]], Coroutine[Any, Any, None] | None]


class Connection:
    """One caller. `send` answers; a coroutine that serves a verb is cancelled when the caller goes."""

    def __init__(self, door: Listener, sock: socket.socket, caller: Caller, now: float) -> None:
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
        _close_all(self._fds)
        self._door.forget(self)
        if self._task is None:
            self.caller.close()
        else:
            self._task.cancel()

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
                _close_all(fds)
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
            _close_all(fds)
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


class Listener:
    """The socket, and every connection through it."""

    def __init__(self, sock: socket.socket, serve: Serve, hasher: Hasher, workers: Workers, *, system: bool, exact: bool,
                 front: tuple[int, int] | None, agents: Agents | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.serve = serve
        self.hasher = hasher
        self.workers = workers
        self.agents = agents
        self._sock = sock
        self._system = system
        self._exact = exact
        self._front = front
        self._connections: set[Connection] = set()
        self._per_uid: Counter[int] = Counter()
        self._turns: dict[int, asyncio.Lock] = {}
        self.loop.add_reader(sock.fileno(), self._acceptable)
        self._sweeping = self.loop.call_later(SWEEP, self._sweep)

    def close(self) -> None:
        """Takes no more callers and ends those that are there."""
        self.loop.remove_reader(self._sock.fileno())
        self._sweeping.cancel()
        self._sock.close()
        for connection in list(self._connections):
            connection.close()

    def check_descriptors(self, uid: int) -> None:
        """Raises where an account holds so many of this process's descriptors that others might find none."""
        if self._per_uid[uid] * frames.MAX_REFS <= MAX_DESCRIPTORS_PER_UID:
            return
        if sum(one.descriptors for one in self._connections if one.uid == uid) > MAX_DESCRIPTORS_PER_UID:
            raise RateLimited("descriptors", "this account keeps too many pipes open at the daemon", "close some, then try again")

    def turn(self, uid: int) -> asyncio.Lock:
        """One hashing thread at a time is an account's: its large or slow executables must not keep those of others waiting."""
        return self._turns.setdefault(uid, asyncio.Lock())

    def names_agents(self) -> bool:
        """Whether a caller may be an agent at all."""
        return self.agents is not None and bool(self.agents.table().entries)

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        if connection in self._connections:
            self._connections.discard(connection)
            self._per_uid[connection.uid] -= 1
            if not self._per_uid[connection.uid]:
                del self._per_uid[connection.uid]

    def _acceptable(self) -> None:
        for _ in range(64):
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    raise
                log.warning("no descriptors left: callers wait")
                self.loop.remove_reader(self._sock.fileno())
                self.loop.call_later(0.2, self.loop.add_reader, self._sock.fileno(), self._acceptable)
                return
            self._admit(sock)

    def _admit(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        try:
            option = SO_PASSPIDFD if self._exact else socket.SO_PASSCRED
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
            uid = peer_credentials(sock).uid
            # The directory and the mode keep other accounts out already; a mode that someone widened must not let them in.
            if not self._system and uid != os.geteuid():
                raise Refused("caller-uid", "this daemon serves the account that runs it alone",
                              "start a daemon of your own, or one with --system")
            if len(self._connections) >= MAX_TOTAL or self._per_uid[uid] >= MAX_PER_UID:
                raise RateLimited("connections", "too many connections to the daemon", "close some, then try again")
            caller = Caller.identify(sock, front=self._front, exact=self._exact)
        except StillvaultError as error:
            with suppress(OSError):
                sock.send(frames.pack(frames.error_event(error)))
            sock.close()
            return
        except OSError:
            sock.close()
            return
        connection = Connection(self, sock, caller, self.loop.time())
        self._connections.add(connection)
        self._per_uid[uid] += 1
        connection.greet()

    def _sweep(self) -> None:
        now = self.loop.time()
        for connection in [one for one in self._connections if now > one.deadline and one._task is None]:
            connection.close()
        self._sweeping = self.loop.call_later(SWEEP, self._sweep)


def _close_all(fds: list[int]) -> None:
    while fds:
        with suppress(OSError):
            os.close(fds.pop())


def socket_path(system: bool, given: str) -> Path:
    """Where the socket goes: as given, else `STILLVAULT_SOCKET`, else the place where callers look."""
    if given or os.environ.get("STILLVAULT_SOCKET"):
        return Path(given or os.environ["STILLVAULT_SOCKET"]).absolute()
    if system or (not os.environ.get("XDG_RUNTIME_DIR") and os.geteuid() == 0):
        return Path("/run/stillvault/daemon.sock")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "stillvault" / "daemon.sock"
    raise Usage("socket", "there is no XDG_RUNTIME_DIR to put the socket in", "give --socket PATH")


def open_socket(path: Path, *, system: bool) -> tuple[socket.socket, int]:
    """A listening socket at `path`, with a lock that no second daemon can hold. Refuses a directory that others can write."""
    folder = path.parent
    with suppress(FileExistsError):
        folder.mkdir(mode=0o755 if system else 0o700, parents=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise Usage("socket-directory", f"{folder} must be a directory of this account that nobody else can write",
                    f"chmod 700 {folder}, or give another --socket")
    lock = os.open(folder / f".{path.name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Failed("running", f"another daemon serves {path}", "stop it, or give another --socket") from None
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise Usage("socket", f"{path} is in the way and is not a socket", "move it away, or give another --socket")
        # Made under a name of its own and moved into place with its mode set: nobody meets it half made.
        temporary = folder / f".{path.name}.{secrets.token_hex(4)}"
        if len(os.fsencode(temporary)) > 107:
            raise Usage("socket", f"{path} is too long for a socket (about 90 bytes)", "give a shorter --socket")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.setblocking(False)
            before = os.umask(0o177)
            try:
                sock.bind(str(temporary))
            finally:
                os.umask(before)
            if system:
                temporary.chmod(0o666)
            sock.listen(512)
            temporary.rename(path)
        except BaseException:
            sock.close()
            temporary.unlink(missing_ok=True)
            raise
    except BaseException:
        os.close(lock)
        raise
    return sock, lock
