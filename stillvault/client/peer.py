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
import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NamedTuple

from stillvault.client.executable import Executable, FileKey, Hasher, key_of, shown_path
from stillvault.client.procfs import Stat, parse_euid, parse_pidfd, parse_place, parse_stat
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


def changed(what: str) -> Refused:
    """The refusal where the caller is not, or no longer, the process that was seen."""
    return Refused("caller-changed", f"the calling process is not the one that asked: {what}", "call again from one program")


def unknown(what: str) -> Refused:
    """The refusal where the kernel does not let us see who is calling."""
    return Refused("caller-unknown", f"the calling process cannot be identified: {what}",
                   "run the daemon where it can see the caller's /proc: on the host, and with --system for other accounts")


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


@cache
def has_pidfs() -> bool:
    """Whether each process has a pidfd inode of its own (Linux 6.9 and later); before, all share that of anonymous files."""
    pidfd = os.pidfd_open(os.getpid())
    try:
        with select.epoll() as anonymous:
            return os.fstat(pidfd).st_dev != os.fstat(anonymous.fileno()).st_dev
    finally:
        os.close(pidfd)


def require_peer_pidfd() -> None:
    """For `--system`: without a pidfd of the peer, another account could pass for its victim by a pid used again."""
    if not has_peer_pidfd():
        raise Unavailable("kernel", "this kernel has no SO_PEERPIDFD, so callers of other accounts cannot be told apart safely",
                          "use Linux 6.5 or later, or run the daemon without --system for each account")


def _content(fd: int) -> bytes:
    """All of a file of /proc, up to 1 MiB. Closes it."""
    try:
        found = piece = os.read(fd, 65536)
        while piece and len(found) < 1 << 20:
            piece = os.read(fd, 65536)
            found += piece
        return found
    finally:
        os.close(fd)


@cache
def _own_mounts() -> str:
    return os.readlink("/proc/self/ns/mnt")


@dataclass(frozen=True)
class Look:
    """What must not change while a call lasts."""

    exe: FileKey
    image: tuple[int, ...]
    started: int
    session: int


class Process:
    """One process, held: a pidfd, and its /proc directory proved to be of the same process. `close` it."""

    def __init__(self, pidfd: int) -> None:
        self.pidfd = pidfd
        self._directory = self._stat = -1
        try:
            self.inode = os.fstat(pidfd).st_ino
            self.pid = parse_pidfd(_content(os.open(f"/proc/self/fdinfo/{pidfd}", os.O_RDONLY | os.O_CLOEXEC)))
            if self.pid <= 0:
                raise unknown("it lives in another pid namespace, or is gone")
            self._directory = os.open(f"/proc/{self.pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._stat = os.open("stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
            self._poll = select.poll()
            self._poll.register(pidfd, select.POLLIN)
            # Opened by number, so only now proved: the process lives, hence the number was its own all along.
            self.check_alive()
        except OSError as error:
            self.close()
            raise unknown(f"its /proc cannot be read ({error.strerror})") from None
        except BaseException:
            self.close()
            raise

    @classmethod
    def parent_of(cls, child: Process) -> Process:
        """The parent, held. It was the parent while the child lived and named it, after we held it."""
        pid = child.stat().ppid
        if pid <= 0:
            raise unknown("its parent lives in another pid namespace")
        parent = cls.of_pid(pid)
        try:
            child.check_alive()
            if child.stat().ppid != pid:
                raise changed("its parent is gone")
        except BaseException:
            parent.close()
            raise
        return parent

    @classmethod
    def of_pid(cls, pid: int) -> Process:
        """The process that has this number now. The caller proves that it is the one meant."""
        try:
            return cls(os.pidfd_open(pid))
        except OSError as error:
            raise unknown(f"it is gone ({error.strerror})") from None

    def close(self) -> None:
        """Lets go of the process."""
        for fd in (self.pidfd, self._directory, self._stat):
            if fd >= 0:
                os.close(fd)
        self.pidfd = self._directory = self._stat = -1

    def is_behind(self, pidfd: int, *, by_inode: bool) -> bool:
        """Whether another pidfd is of this process. Without inodes of their own (before Linux 6.9) pidfds are compared by pid,
        which says the same while this process is held and lives."""
        if by_inode:
            return os.fstat(pidfd).st_ino == self.inode
        self.check_alive()
        return parse_pidfd(_content(os.open(f"/proc/self/fdinfo/{pidfd}", os.O_RDONLY | os.O_CLOEXEC))) == self.pid

    def check_alive(self) -> None:
        """Raises where the process has exited."""
        if self.pidfd < 0 or self._poll.poll(0):
            raise changed("it has exited")

    def stat(self) -> Stat:
        """`/proc/<pid>/stat`, now."""
        try:
            return parse_stat(os.pread(self._stat, 4096, 0))
        except OSError:
            raise changed("it has exited") from None
        except ValueError as error:
            raise unknown(str(error)) from None

    def look(self) -> Look:
        """What `Caller.check` compares. Raises where the process is gone or may not be looked at."""
        stat = self.stat()
        return Look(exe=self.exe_key(), image=stat.image, started=stat.started, session=stat.session)

    def exe_key(self) -> FileKey:
        """The executable that it runs now; the process lives."""
        try:
            key = key_of(os.stat("exe", dir_fd=self._directory))
        except OSError as error:
            self.check_alive()
            raise unknown(f"its executable cannot be read ({error.strerror})") from None
        self.check_alive()
        return key

    def arguments(self) -> tuple[bytes, tuple[int, ...]]:
        """Name, and where the arguments lie: forgeable, so only ever compared with themselves."""
        stat = self.stat()
        return stat.comm, stat.arguments

    def euid(self) -> int:
        """The effective uid, now."""
        try:
            return parse_euid(self._read("status"))
        except ValueError as error:
            raise unknown(str(error)) from None

    def place(self) -> tuple[str, str]:
        """Unit and container, visible, empty where there is none."""
        place = parse_place(self._read("cgroup"))
        return visible(place.unit.encode("utf-8", "surrogateescape")), place.container

    def executable(self, hasher: Hasher, *, wait: bool = True) -> Executable:
        """Opens and hashes what the process runs. May take a while for a program not seen before, or with `wait` false raises."""
        try:
            fd = os.open("exe", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK, dir_fd=self._directory)
        except OSError as error:
            raise unknown(f"its executable cannot be read ({error.strerror})") from None
        try:
            key, digest, links = hasher.digest(fd, wait=wait)
            link = os.fsencode(os.readlink("exe", dir_fd=self._directory))
            foreign = os.readlink("ns/mnt", dir_fd=self._directory) != _own_mounts()
        except OSError as error:
            raise unknown(f"its executable cannot be read ({error.strerror})") from None
        finally:
            os.close(fd)
        self.check_alive()
        return Executable(key=key, path=shown_path(link, links, foreign=foreign), sha256=digest)

    def _read(self, name: str) -> bytes:
        try:
            return _content(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory))
        except OSError as error:
            self.check_alive()
            raise unknown(f"its {name} cannot be read ({error.strerror})") from None


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


@dataclass
class Caller:
    """The process at the socket, and the one that it speaks for. Holds pidfds: `close` it."""

    socket_process: Process
    uid: int
    process: Process
    fronted: bool
    exact: bool  # named by SO_PEERPIDFD; else by pid, in user mode on an older kernel
    leader: Process | None = None
    _looks: list[Look] = field(default_factory=list)
    _arguments: tuple[bytes, tuple[int, ...]] = (b"", ())

    @classmethod
    def identify(cls, connection: socket.socket, *, front: tuple[int, int] | None, exact: bool) -> Caller:
        """Step 1. `front` is (device, inode) of the installed front. Cheap: nothing is hashed yet."""
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
        for process in {id(one): one for one in (self.socket_process, self.process, self.leader) if one is not None}.values():
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

    def describe(self, hasher: Hasher, *, wait: bool = True, chain: bool = True, place: bool = True) -> Identity:
        """Everything about the caller, hashed; or without its ancestors, or without session leader, unit and container.

        Ends with a `check`. May take a while for programs not seen before; with `wait` false it raises `NotHashed` then.
        """
        exe = self.process.executable(hasher, wait=wait)
        look = self._looks[-1]
        if exe.key != look.exe:
            raise changed("it runs another program now")
        unit, container = self.socket_process.place() if place else ("", "")
        ancestors = tuple(self._chain(hasher, look.session, wait=wait)) if chain else ()
        leader = self._hold_leader(look.session) if place else None
        self.check()
        process = (self.process.pid, look.started, self.process.inode, look.image)
        alone = self.is_alone()
        if alone:
            own = self._looks[0]
            process, leader = (self.socket_process.pid, own.started, self.socket_process.inode, own.image), None
        return Identity(uid=self.uid, user=user_name(self.uid), exe=exe, chain=ancestors, unit=unit, container=container,
                        process=process, leader=leader, alone=alone)

    def is_alone(self) -> bool:
        """Whether the front may be an orphan: its parent is init, or of another session, as a subreaper is that adopted it.

        Such a parent may never have asked for anything, and all its orphans share it: the front stands for itself and shares no
        lease.
        """
        return self.fronted and (self.process.pid == 1 or self._looks[0].session != self._looks[1].session)

    def _hold_leader(self, session: int) -> tuple[int, int, int] | None:
        """The session leader, if it lives; held from now on."""
        if self.leader is not None:
            self.leader.close()
            self.leader = None
        if session <= 0:
            return None
        try:
            leader = Process.of_pid(session)
        except Refused:
            return None
        with contextlib.suppress(Refused):
            stat = leader.stat()
            # A pid is not given out again while it names a session, so a leader of that number is the one that made it.
            if stat.session == session:
                self.leader = leader
                return (leader.pid, stat.started, leader.inode)
        leader.close()
        return None

    def _chain(self, hasher: Hasher, session: int, *, wait: bool) -> Iterator[Ancestor]:
        """The ancestors, nearest first, up to the session leader and no more than eight; `unknown` where unreadable."""
        child, held = self.process, False
        try:
            for _ in range(MAX_CHAIN):
                if child.pid == session:
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
                if parent.stat().session != session:
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
