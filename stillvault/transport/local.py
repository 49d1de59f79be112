"""Speaking to the daemon of this host: its socket, judged before a byte is sent, and frames of canonical JSON.

The socket is trusted as the native front trusts it (L14): root or this account owns it and its directory, nobody else can write
there, and the kernel says that root or this account listens behind it. Values never travel in a frame: a frame carries the write
ends of pipes, and the values come through those.

`Link` blocks; `stillvault.sdk.aio` has the same for an event loop, from the same parts. Nothing but the standard library is
imported here, and little of that: programs import this to read one value.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
import time
from collections.abc import Sequence
from typing import Any

from stillvault.protocol import errors
from stillvault.protocol.errors import Failed, Refused, StillvaultError, Unavailable, Usage

MAX_FRAME = 256 * 1024  # bytes
MAX_PATH = 107  # bytes of a socket's path (unix(7): 108 with the final zero)
ANSWER = 10.0  # seconds for an answer that waits for nobody
READ = 64 * 1024  # bytes
HEADER = 4  # bytes
SYSTEM_SOCKET = "/run/stillvault/daemon.sock"
START = "start it: stillvault daemon, or name its socket in STILLVAULT_SOCKET"
SAME = "run the daemon and this program from the same installation"

_KINDS: dict[int, type[StillvaultError]] = {
    errors.EXIT_USAGE: Usage, errors.EXIT_DENIED: errors.Denied, errors.EXIT_EXPIRED: errors.Expired,
    errors.EXIT_NO_APPROVER: errors.NoApprover, errors.EXIT_FORBIDDEN: errors.Forbidden,
    errors.EXIT_UNAVAILABLE: Unavailable, errors.EXIT_UNTRUSTED: Refused, errors.EXIT_RATE_LIMITED: errors.RateLimited,
}


def socket_path() -> str:
    """STILLVAULT_SOCKET, else this account's daemon where it runs, else the system's."""
    if named := os.environ.get("STILLVAULT_SOCKET"):
        return named
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        own = os.path.join(runtime, "stillvault", "daemon.sock")
        if os.path.lexists(own):
            return own
    return SYSTEM_SOCKET


# ---- whom to trust ---------------------------------------------------------------------------------------------------------


def check_place(path: str) -> None:
    """Judges the socket before anything is sent to it, so that a squatter learns not even what was wanted."""
    if len(os.fsencode(path)) > MAX_PATH:
        raise Usage("usage", f"the path of the daemon's socket is longer than {MAX_PATH} bytes", "name a shorter one in "
                    "STILLVAULT_SOCKET and at stillvault daemon --socket")
    try:
        folder, found = os.stat(os.path.dirname(path) or "."), os.lstat(path)
    except OSError as error:
        raise unreachable(path, error) from None
    # 1. The directory: nobody else could have put the socket there.
    if not _ours(folder.st_uid):
        raise Refused("socket-directory", f"the directory of {path} belongs to user {folder.st_uid}, neither root nor you",
                      "use a socket in a directory of root or your own")
    if folder.st_mode & 0o022:
        raise Refused("socket-directory", f"others can write the directory of {path}", f"chmod go-w {os.path.dirname(path)}")
    # 2. The socket itself, not what a link points to.
    if stat.S_ISLNK(found.st_mode):
        raise Refused("socket-link", f"{path} is a link", "name the socket itself in STILLVAULT_SOCKET")
    if not stat.S_ISSOCK(found.st_mode):
        raise Unavailable("daemon-absent", f"{path} is not a socket", "name the daemon's socket in STILLVAULT_SOCKET")
    if not _ours(found.st_uid):
        raise Refused("socket-owner", f"{path} belongs to user {found.st_uid}, neither root nor you; nothing was sent",
                      "tell the person who looks after this host")


def check_peer(link: socket.socket, path: str) -> None:
    """The kernel's word on who listens: a file of the right owner may have been bound by another."""
    _, uid, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if not _ours(uid):
        raise Refused("daemon-uid", f"user {uid} listens at {path}, neither root nor you; nothing was sent",
                      "tell the person who looks after this host")


def _ours(uid: int) -> bool:
    return uid in (0, os.geteuid())


def unreachable(path: str, error: OSError) -> Unavailable:
    """Why the socket cannot be reached, and what to do about it."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Unavailable("daemon-absent", f"there is no daemon's socket at {path}", START)
    if isinstance(error, ConnectionRefusedError):
        return Unavailable("daemon-stale", f"nobody listens at {path}: the daemon ended", START)
    if isinstance(error, PermissionError):
        return Unavailable("daemon-closed", f"this user may not connect to {path}",
                           "ask as the user who runs that daemon, or start your own: stillvault daemon")
    return Unavailable("daemon", f"{path}: {error.strerror}", START)


def gone() -> Unavailable:
    """The other end has closed."""
    return Unavailable("daemon-gone", "the daemon closed the connection", "look at its messages, then ask again")


def garbled(why: str) -> Unavailable:
    """What answers is not a daemon of this version."""
    return Unavailable("daemon-speech", f"what answers does not speak as a Stillvault daemon: {why}", SAME)


# ---- frames ----------------------------------------------------------------------------------------------------------------


class Framing:
    """Both directions of one connection, without any I/O. The nonce of the daemon's first word goes back with the first verb."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._nonce = ""

    def pack(self, verb: str, fields: dict[str, Any]) -> bytes:
        """One verb, ready to send (protocol section 2: one form)."""
        whole = {**fields, "v": 1, "verb": verb}
        if self._nonce:
            whole["nonce"], self._nonce = self._nonce, ""
        body = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        if len(body) > MAX_FRAME:
            raise Usage("usage", "the question is larger than the daemon takes", "ask for less at once, or shorten the reason")
        return len(body).to_bytes(HEADER, "big") + body

    def feed(self, block: bytes) -> None:
        """What came from the socket."""
        if not block:
            raise gone()
        self._received += block

    def next(self) -> dict[str, Any] | None:
        """The next whole frame that is here."""
        if len(self._received) < HEADER:
            return None
        end = HEADER + int.from_bytes(self._received[:HEADER], "big")
        if end > HEADER + MAX_FRAME:
            raise garbled("a frame is larger than 256 KiB")
        if len(self._received) < end:
            return None
        body = bytes(self._received[HEADER:end])
        del self._received[:end]
        try:
            frame = json.loads(body)
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict):
            raise garbled("a frame is not a JSON object")
        return frame

    def greet(self, first: dict[str, Any]) -> None:
        """The daemon's first word: a nonce, or why it serves this caller nothing."""
        if "event" in first:
            raise error_of(first)
        nonce = first.get("nonce")
        if not isinstance(nonce, str) or not nonce:
            raise garbled("its first word has no nonce")
        self._nonce = nonce


def error_of(event: dict[str, Any]) -> StillvaultError:
    """The error of the tree with the exit code that the daemon named."""
    if event.get("event", "error") != "error":
        return garbled("it said something that this version does not know")

    def word(name: str) -> str:
        found = event.get(name)
        return found if isinstance(found, str) else ""

    status = event.get("exit")
    kind = _KINDS.get(status, Failed) if isinstance(status, int) else Failed
    return kind(word("check") or word("code") or "daemon", word("message") or "the daemon refused", word("remedy"))


# ---- a connection that blocks ----------------------------------------------------------------------------------------------


class Link:
    """A connection to the daemon. Closing it withdraws what is being asked, but not what a handle stands for."""

    def __init__(self, path: str = "") -> None:
        self._path = path or socket_path()
        check_place(self._path)
        self._framing = Framing()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(ANSWER)
            try:
                self._socket.connect(self._path)
            except OSError as error:
                raise unreachable(self._path, error) from None
            check_peer(self._socket, self._path)
            self._framing.greet(self.receive(ANSWER))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, verb: str, fields: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Sends one verb. The descriptors ride with its first byte."""
        frame = self._framing.pack(verb, fields)
        try:
            self._socket.settimeout(ANSWER)
            sent = socket.send_fds(self._socket, [frame], list(descriptors)) if descriptors else 0
            if sent < len(frame):
                self._socket.sendall(frame[sent:])
        except ConnectionError:
            pass  # its last word may say why it closed
        except OSError:
            raise gone() from None

    def receive(self, patience: float | None = ANSWER) -> dict[str, Any]:
        """The next frame. Waits at most `patience` seconds, for ever with None."""
        end = None if patience is None else time.monotonic() + patience
        while (frame := self._framing.next()) is None:
            left = None if end is None else max(0.0, end - time.monotonic())
            if left == 0.0:
                raise Unavailable("daemon-silent", "the daemon does not answer", "start it again")
            self._socket.settimeout(left)
            try:
                self._framing.feed(self._socket.recv(READ))
            except TimeoutError:
                continue
            except OSError:
                raise gone() from None
        return frame


def ask(verb: str, path: str = "", **fields: Any) -> dict[str, Any]:
    """One question that waits for nobody, and its answer. An error event becomes the error that it names."""
    with Link(path) as link:
        link.send(verb, fields)
        answer = link.receive()
    if answer.get("event") == "error":
        raise error_of(answer)
    return answer
