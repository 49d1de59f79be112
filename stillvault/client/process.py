"""One process, held so that it cannot be mistaken for another: by its pidfd, and by a /proc directory proved to be of the same.

A number alone names whoever has it now. A pidfd names one process for ever, and while that lives its number is its own: so what
was opened by number is proved by looking at the pidfd afterwards.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from stillvault.client.executable import Executable, FileKey, Hasher, key_of, shown_path
from stillvault.client.procfs import Stat, parse_euid, parse_pidfd, parse_place, parse_stat
from stillvault.crypto.public import visible
from stillvault.protocol.errors import Refused


def changed(what: str) -> Refused:
    """The refusal where the caller is not, or no longer, the process that was seen."""
    return Refused("caller-changed", f"the calling process is not the one that asked: {what}", "call again from one program")


def unknown(what: str) -> Refused:
    """The refusal where the kernel does not let us see who is calling."""
    return Refused("caller-unknown", f"the calling process cannot be identified: {what}",
                   "run the daemon where it can see the caller's /proc: on the host, and with --system for other accounts")


@cache
def has_pidfs() -> bool:
    """Whether each process has a pidfd inode of its own (Linux 6.9 and later); before, all share that of anonymous files."""
    pidfd = os.pidfd_open(os.getpid())
    try:
        with select.epoll() as anonymous:
            return os.fstat(pidfd).st_dev != os.fstat(anonymous.fileno()).st_dev
    finally:
        os.close(pidfd)


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
def _known_mounts() -> frozenset[str]:
    """The mount namespaces in which a path means what people read: this process's, and that of the process that started it.

    They differ for a daemon that its unit confines (ProtectSystem and the like): systemd and the callers are in the host's.
    """
    known = {os.readlink("/proc/self/ns/mnt")}
    with suppress(OSError):
        known.add(os.readlink(f"/proc/{os.getppid()}/ns/mnt"))
    return frozenset(known)


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

    def exe_link(self) -> bytes:
        """What the kernel calls its executable."""
        try:
            return os.fsencode(os.readlink("exe", dir_fd=self._directory))
        except OSError as error:
            raise unknown(f"its executable cannot be read ({error.strerror})") from None

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
            link = self.exe_link()
            foreign = os.readlink("ns/mnt", dir_fd=self._directory) not in _known_mounts()
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
