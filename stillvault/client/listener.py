"""The daemon's door: accepts callers, makes sure who each one is, and passes on one whole verb at a time.

In user mode the socket is for one account: directory 0700, socket 0600, and the peer's uid is compared all the same. With
`--system` the socket is open to all in a directory of root, and every call is attributed by the kernel. A caller that is not sure
gets nothing but an error.

Limits: frames of 256 KiB, `MAX_PER_UID` connections and `MAX_DESCRIPTORS_PER_UID` passed descriptors for an account, `MAX_TOTAL`
connections in all, and a deadline for the first frame, for a frame that has begun and for silence. A caller that does not read
its answers is dropped.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from stillvault.client import frames
from stillvault.client.agents import Agents
from stillvault.client.connection import Connection, Serve
from stillvault.client.executable import Hasher
from stillvault.client.peer import SO_PASSPIDFD, Caller, peer_credentials
from stillvault.client.workers import Workers
from stillvault.protocol.errors import RateLimited, Refused, StillvaultError

log = logging.getLogger("stillvault.daemon")

MAX_PER_UID = 256  # connections
MAX_TOTAL = 2048
MAX_DESCRIPTORS_PER_UID = 2048  # passed along and not yet closed, over all connections
SWEEP = 1.0  # seconds between looks at the deadlines


class Listener:
    """The socket, and every connection through it."""

    def __init__(self, sock: socket.socket, serve: Serve, hasher: Hasher, workers: Workers, *, system: bool, exact: bool,
                 front: Callable[[], tuple[int, int] | None], agents: Agents | None = None) -> None:
        """`front` says what the installed front is now: (device, inode)."""
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
            caller = Caller.identify(sock, front=self._front(), exact=self._exact)
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
        for connection in [one for one in self._connections if now > one.deadline and one.idle]:
            connection.close()
        self._sweeping = self.loop.call_later(SWEEP, self._sweep)
