"""Who is calling: said by the kernel, never by the caller.

The order is what makes it sound (protocol section 6):

1. At accept: `SO_PEERPIDFD` names the process that connected; its `/proc` directory is opened and proved to be of the same
   process (the pidfd still lives afterwards, so the pid cannot have been given to another one in between). `Caller.identify`.
2. A nonce goes out, and the reply, like every message after it, must carry a pidfd of that same process. A descriptor that was
   passed on or inherited speaks for somebody else and is refused. `Caller.check_sender`.
3. After the nonce the process is looked at again, with its name and the place of its arguments: it may not have become another
   program in the meantime (a pidfd survives `execve`). `Caller.check(arguments=True)`.
4. Before each delivery and around each lease hit it is looked at again. `Caller.check`.

The caller is the process at the socket. Where that is Stillvault's own front (by device and inode), the caller is the front's
parent, held by a pidfd of its own and checked likewise; uid, unit and container stay those of the front, where the value goes.

What this cannot tell: code that was injected into a process of the same account (LD_PRELOAD, ptrace) acts as that process. The
product says so. Everything that is shown went through `visible`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

from stillvault.client.executable import Executable, Hasher
from stillvault.client.lineage import leader_of
from stillvault.client.process import Look, Process, changed, has_pidfs, unknown
from stillvault.crypto.public import b64encode, visible
from stillvault.protocol.errors import Refused, Unavailable
from stillvault.protocol.objects import Ancestor

SO_PASSPIDFD = 76
SO_PEERPIDFD = 77
SCM_PIDFD = 0x04
CREDENTIALS = struct.Struct("iII")  # pid, uid, gid
MAX_CHAIN = 8
UNKNOWN = Ancestor(exe="unknown", exe_sha256=b64encode(bytes(32)))


class Credentials(NamedTuple):
    pid: int
    uid: int
    gid: int


def peer_credentials(connection: socket.socket) -> Credentials:
    """`SO_PEERCRED`: who connected, as it was at that moment."""
    return Credentials(*CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)))


def has_peer_pidfd() -> bool:
    """Whether this kernel names a socket's peer by a pidfd (Linux 6.5 and later)."""
    one, other = socket.socketpair()
    with one, other:
        try:
            os.close(one.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD))
            one.setsockopt(socket.SOL_SOCKET, SO_PASSPIDFD, 1)
        except OSError:
            return False
    return True


def require_peer_pidfd() -> None:
    """For `--system`: without a pidfd of the peer, another account could pass for its victim by a pid used again."""
    if not has_peer_pidfd():
        raise Unavailable("kernel", "this kernel has no SO_PEERPIDFD, so callers of other accounts cannot be told apart safely",
                          "use Linux 6.5 or later, or run the daemon without --system for each account")


@dataclass(frozen=True)
class Agent:
    """What `identities.toml` makes of a caller."""

    client: str
    entry: int  # its number in the file, from 1
    exe: str  # the program that the entry names, if it names one
    task: tuple[int, int, int] | None  # pid, start, pidfd inode of that program's process
    step: int  # how far up the lineage that is
    distance: int  # the same in parents; -1 where it is known by its session


class Finder(Protocol):
    """`agents.Agents`, for a caller."""

    def find(self, process: Process, uid: int, hasher: Hasher, *, wait: bool) -> tuple[Agent | None, Process | None]: ...


@dataclass(frozen=True)
class Identity:
    """The caller as a person is shown it and as leases are bound to it. Made once a connection, by `Caller.describe`."""

    uid: int
    user: str
    exe: Executable
    chain: tuple[Ancestor, ...]
    unit: str
    container: str
    process: tuple[int, int, int, tuple[int, ...]]  # pid, start, pidfd inode, image
    leader: tuple[int, int, int] | None  # pid, start, pidfd inode of the session leader, while it lives
    alone: bool = False  # a front that may be an orphan: `process` is its own
    agent: Agent | None = None

    @property
    def task(self) -> tuple[object, ...]:
        """What a task lease and a handle are bound to: the agent's process, else the session's leader, else the process."""
        if self.agent is not None and self.agent.task is not None:
            return ("agent", self.uid, self.agent.client, *self.agent.task)
        if self.leader is not None:
            return ("session", self.uid, *self.leader)
        return ("process", self.uid, *self.process)


@dataclass
class Caller:
    """The process at the socket, and the one that it speaks for. Holds pidfds: `close` it."""

    socket_process: Process
    uid: int
    process: Process
    fronted: bool
    exact: bool  # named by SO_PEERPIDFD; else by pid, in user mode on an older kernel
    leader: Process | None = None
    agent: Process | None = None  # what identities.toml names
    _looks: list[Look] = field(default_factory=list)
    _arguments: tuple[bytes, tuple[int, ...]] = (b"", ())
    _agent_look: Look | None = None

    @classmethod
    def identify(cls, connection: socket.socket, *, front: tuple[int, int] | None, exact: bool) -> Caller:
        """Step 1. `front` is (device, inode) of the installed front, as it is now. Cheap: nothing is hashed yet."""
        credentials = peer_credentials(connection)
        if credentials.pid <= 0:
            raise unknown("it lives in another pid namespace")
        if exact:
            try:
                at_socket = Process(connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD))
            except OSError as error:
                raise unknown(f"it is gone ({error.strerror})") from None
        else:
            at_socket = Process.of_pid(credentials.pid)
        caller = cls(socket_process=at_socket, uid=credentials.uid, process=at_socket, fronted=False, exact=exact)
        try:
            if at_socket.pid != credentials.pid:
                raise unknown("its pid and its pidfd disagree")
            look = at_socket.look()
            caller._looks.append(look)
            caller._arguments = at_socket.arguments()
            if front == (look.exe.device, look.exe.inode):
                caller.process = Process.parent_of(at_socket)
                caller.fronted = True
                caller._looks.append(caller.process.look())
        except BaseException:
            caller.close()
            raise
        return caller

    def close(self) -> None:
        """Lets go of every process held."""
        held = (self.socket_process, self.process, self.leader, self.agent)
        for process in {id(one): one for one in held if one is not None}.values():
            process.close()

    def check_sender(self, pidfd: int | None, credentials: Credentials | None) -> None:
        """Step 2: a message came from the process at the socket, and from no other that holds the descriptor."""
        if self.exact:
            if pidfd is None or not self.socket_process.is_behind(pidfd, by_inode=has_pidfs()):
                raise changed("a message came from another process")
        elif credentials is None or credentials.pid != self.socket_process.pid or credentials.uid != self.uid:
            raise changed("a message came from another process")

    def check(self, *, arguments: bool = False, image: bool = True) -> None:
        """Steps 3 and 4: every process of this call lives and runs what it ran at accept.

        With `image` false the executables alone are compared, for the second look of a delivery, microseconds after the first.
        """
        if self.agent is not None and self._agent_look is not None and self.agent.look() != self._agent_look:
            raise changed("the agent that it belongs to runs another program now")
        if not image:
            for process, look in zip((self.socket_process, self.process), self._looks, strict=False):
                if process.exe_key() != look.exe:
                    raise changed("it runs another program now")
            return
        if self.socket_process.look() != self._looks[0]:
            raise changed("it runs another program now")
        if self.fronted:
            if self.socket_process.stat().ppid != self.process.pid:
                raise changed("its parent is gone")
            if self.process.look() != self._looks[1]:
                raise changed("its parent runs another program now")
        if arguments and self.socket_process.arguments() != self._arguments:
            raise changed("its name or arguments changed")

    def describe(self, hasher: Hasher, *, wait: bool = True, chain: bool = True, place: bool = True,
                 agents: Finder | None = None) -> Identity:
        """Everything about the caller, hashed; or without its ancestors, or without session leader, unit and container.

        Ends with a `check`. May take a while for programs not seen before; with `wait` false it raises `NotHashed` then.
        """
        exe = self.process.executable(hasher, wait=wait)
        look = self._looks[-1]
        if exe.key != look.exe:
            raise changed("it runs another program now")
        unit, container = self.socket_process.place() if place else ("", "")
        agent = self._hold_agent(agents, hasher, wait=wait)
        least = agent.distance - self.fronted if agent is not None else 0
        ancestors = tuple(self._chain(hasher, look.session, least, wait=wait)) if chain else ()
        leader = self._hold_leader() if place else None
        self.check()
        process = (self.process.pid, look.started, self.process.inode, look.image)
        alone = self.is_alone()
        if alone:
            own = self._looks[0]
            process, leader = (self.socket_process.pid, own.started, self.socket_process.inode, own.image), None
        return Identity(uid=self.uid, user=user_name(self.uid), exe=exe, chain=ancestors, unit=unit, container=container,
                        process=process, leader=leader, alone=alone, agent=agent)

    def is_alone(self) -> bool:
        """Whether the front may be an orphan: its parent is init, or of another session, as a subreaper is that adopted it.

        Such a parent may never have asked for anything, and all its orphans share it: the front stands for itself and shares no
        lease.
        """
        return self.fronted and (self.process.pid == 1 or self._looks[0].session != self._looks[1].session)

    def _hold_agent(self, agents: Finder | None, hasher: Hasher, *, wait: bool) -> Agent | None:
        """What `identities.toml` makes of the caller; the process that it names is held from now on."""
        if agents is None:
            return None
        agent, process = agents.find(self.socket_process, self.uid, hasher, wait=wait)
        if self.agent is not None:
            self.agent.close()
        self.agent, self._agent_look = process, None if process is None else process.look()
        return agent

    def _hold_leader(self) -> tuple[int, int, int] | None:
        """The session leader, if it lives; held from now on."""
        if self.leader is not None:
            self.leader.close()
        self.leader = leader_of(self.process)
        if self.leader is None:
            return None
        with contextlib.suppress(Refused):
            return (self.leader.pid, self.leader.stat().started, self.leader.inode)
        self.leader.close()
        self.leader = None
        return None

    def _chain(self, hasher: Hasher, session: int, least: int, *, wait: bool) -> Iterator[Ancestor]:
        """The ancestors, nearest first, up to the session leader and no more than eight; `unknown` where unreadable.

        Goes on beyond the leader for `least` parents, so that the agent of the caller is seen.
        """
        child, held = self.process, False
        try:
            for step in range(MAX_CHAIN):
                if child.pid == session and step >= least:
                    return
                try:
                    parent = Process.parent_of(child)
                except Refused:
                    if child.stat().ppid > 0:
                        yield UNKNOWN
                    return
                if held:
                    child.close()
                child, held = parent, True
                if parent.stat().session != session and step >= least:
                    return
                try:
                    exe = parent.executable(hasher, wait=wait)
                except Refused:
                    yield UNKNOWN
                else:
                    yield Ancestor(exe=exe.path, exe_sha256=exe.sha256)
        finally:
            if held:
                child.close()


@lru_cache(maxsize=256)
def user_name(uid: int) -> str:
    """The account's name, visible; the number where the account has none."""
    try:
        return visible(os.fsencode(pwd.getpwuid(uid).pw_name)) or str(uid)
    except KeyError:
        return str(uid)
