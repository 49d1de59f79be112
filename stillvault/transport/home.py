"""The directory of one identity: a person, a host's clients, or both.

Everything is written whole or not at all (a temporary file, fsync, rename, fsync of the directory), mode 0600 in directories
of mode 0700. A file or directory that others could read or write, that belongs to somebody else, or that is a symbolic link
is refused with its name, never repaired in silence. Names are relative to the home; each part is opened without following
links, so nobody can lead a write elsewhere.

Writers that read, change and write hold `lock()`; it excludes other processes and other threads and may be taken again by
the thread that holds it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from stillvault.protocol.errors import Failed, Usage

S = TypeVar("S", bound=msgspec.Struct)

MAX_FILE = 64 * 1024 * 1024  # bytes


class Organisation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """home.json: which organisation this home is pinned to, and how its relay is reached."""

    org_id: str  # base64url: the pin
    relay: str
    fingerprint: str
    name: str
    v: int = 1


class Person(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """person.json: the person and device that this home holds keys of."""

    person: str
    device: str
    custody: str = "soft"
    v: int = 1


def default_path() -> Path:
    """STILLVAULT_HOME, else $XDG_CONFIG_HOME/stillvault, else ~/.config/stillvault."""
    if given := os.environ.get("STILLVAULT_HOME"):
        return Path(given)
    if config := os.environ.get("XDG_CONFIG_HOME"):
        return Path(config) / "stillvault"
    try:
        return Path.home() / ".config" / "stillvault"
    except RuntimeError:
        raise Usage("home", "no home directory is known", "set STILLVAULT_HOME to a directory") from None


class Home:
    """One home. Nothing is created before the first write."""

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = Path(os.path.abspath(path)) if path is not None else Path(os.path.abspath(default_path()))
        self._thread_lock = threading.RLock()
        self._depth = 0
        self._lock_fd = -1

    # ---- files ---------------------------------------------------------------------------------------------------------

    def exists(self, name: str) -> bool:
        """Whether `name` is there (and may be read by us alone)."""
        return self.read_bytes(name) is not None

    def read_bytes(self, name: str) -> bytes | None:
        """The whole file, or None where there is none."""
        folder, last = self._folder(name, create=False)
        if folder is None:
            return None
        try:
            try:
                fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise self._unusable(name, error) from None
        finally:
            os.close(folder)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise Usage("home", f"{self.path / name} is not a plain file", "move it away")
            self._check_owner(name, status)
            if status.st_size > MAX_FILE:
                raise Usage("home", f"{self.path / name} is too large", "move it away")
            return file.read()

    def write_bytes(self, name: str, content: bytes) -> None:
        """Replaces the file as a whole, durably: after return it survives a power cut, before it the old one stands."""
        folder, last = self._folder(name, create=True)
        assert folder is not None  # noqa: S101  created
        temporary = f".{last}.{secrets.token_hex(8)}"
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
            try:
                with open(fd, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fchmod(fd, 0o600)
                    os.fsync(fd)
                os.rename(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            os.fsync(folder)
        except OSError as error:
            raise self._unusable(name, error) from None
        finally:
            os.close(folder)

    def remove(self, name: str) -> None:
        """Takes the file away, durably. None there is no error."""
        folder, last = self._folder(name, create=False)
        if folder is None:
            return
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(last, dir_fd=folder)
            os.fsync(folder)
        finally:
            os.close(folder)

    def names(self, folder: str) -> list[str]:
        """All files under `folder`, at any depth, sorted, relative to the home. Temporary files are left out."""
        top = self.path / folder
        found: list[str] = []
        for directory, below, files in os.walk(top, followlinks=False):
            below[:] = sorted(one for one in below if not one.startswith("."))
            found += [str(Path(directory, one).relative_to(self.path)) for one in files if not one.startswith(".")]
        return sorted(found)

    # ---- records -------------------------------------------------------------------------------------------------------

    def read(self, name: str, kind: type[S]) -> S | None:
        """The record in `name`, strictly of that kind, or None."""
        raw = self.read_bytes(name)
        if raw is None:
            return None
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            field = str(error).rpartition("`$.")[2].rstrip("`") if "`$." in str(error) else ""
            raise Usage("home", f"{self.path / name} is not of the form it must have", "restore it, or join anew",
                        field) from None

    def write(self, name: str, record: msgspec.Struct) -> None:
        """Writes a record as JSON."""
        self.write_bytes(name, msgspec.json.encode(record))

    def organisation(self) -> Organisation:
        """home.json; raises `Usage` where this home has joined nothing."""
        found = self.read("home.json", Organisation)
        if found is None:
            raise Usage("no-home", f"{self.path} has not joined an organisation",
                        "set STILLVAULT_HOME, or begin with `stillvault join URL` or `stillvault org create`")
        return found

    def person(self) -> Person:
        """person.json; raises `Usage` where no person's keys are here."""
        found = self.read("person.json", Person)
        if found is None:
            raise Usage("no-person", f"{self.path} holds no person's keys", "set STILLVAULT_HOME to the home of a person")
        return found

    def ca(self) -> bytes:
        """The pinned CA certificate of the relay."""
        found = self.read_bytes("ca.pem")
        if found is None:
            raise Usage("no-home", f"{self.path} holds no pinned CA", "join the organisation anew")
        return found

    # ---- lock ----------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Excludes every other writer of this home, in this process and in others."""
        with self._thread_lock:
            if self._depth == 0:
                self._lock_fd = self._open_lock()
                try:
                    fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
                except BaseException:
                    os.close(self._lock_fd)
                    raise
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    os.close(self._lock_fd)
                    self._lock_fd = -1

    def _open_lock(self) -> int:
        folder, last = self._folder("lock", create=True)
        assert folder is not None  # noqa: S101  created
        try:
            return os.open(last, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        except OSError as error:
            raise self._unusable("lock", error) from None
        finally:
            os.close(folder)

    # ---- walking -------------------------------------------------------------------------------------------------------

    def _folder(self, name: str, *, create: bool) -> tuple[int | None, str]:
        """The open directory that holds `name` (None where it is missing), and the last part of the name."""
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise Usage("home", "a file of the home has a bad name", "")
        if create:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                raise self._unusable("", error) from None
        fd = self._enter(None, str(self.path), "")
        for depth, part in enumerate(parts[:-1]):
            if fd is None:
                break
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=fd)
            above = fd
            try:
                fd = self._enter(above, part, "/".join(parts[: depth + 1]))
            finally:
                os.close(above)
        return fd, parts[-1]

    def _enter(self, above: int | None, part: str, name: str) -> int | None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(part, flags) if above is None else os.open(part, flags, dir_fd=above)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(name, error) from None
        try:
            self._check_owner(name, os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _check_owner(self, name: str, status: os.stat_result) -> None:
        place = self.path / name if name else self.path
        if status.st_uid != os.geteuid():
            raise Usage("home-owner", f"{place} belongs to another account", "use a home of your own account")
        if status.st_mode & 0o077:
            fix = "chmod 700" if stat.S_ISDIR(status.st_mode) else "chmod 600"
            raise Usage("home-mode", f"others can reach {place}", f"{fix} {place}")

    def _unusable(self, name: str, error: OSError) -> Usage | Failed:
        place = self.path / name if name else self.path
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return Usage("home-link", f"{place} is a symbolic link or in the way of a directory", "name the real place")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Failed("disk-full", f"no space to write {place}", "free some space, then try again")
        return Failed("home", f"{place} cannot be used: {error.strerror}", "check the directory and its permissions")
