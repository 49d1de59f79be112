"""The file of the daemon's socket: where it lies, who can reach it, and that no second daemon serves it."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import stat
from contextlib import suppress
from pathlib import Path

from stillvault.protocol.errors import Failed, Usage


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
