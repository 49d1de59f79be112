"""Speaking to the local daemon for the few verbs that carry no value: frames of canonical JSON over the Unix socket.

The socket is trusted as the native front trusts it: owned by root or by us, in a directory that nobody else can write, with a
daemon of root's or our own at the other end (L14).
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path
from typing import Any

import msgspec

from stillvault.protocol.errors import Failed, Refused, StillvaultError, Unavailable

MAX_FRAME = 256 * 1024  # bytes
TIMEOUT = 10.0  # seconds


def socket_path() -> Path:
    """STILLVAULT_SOCKET, else the user's daemon where it runs, else the system's."""
    if named := os.environ.get("STILLVAULT_SOCKET"):
        return Path(named)
    if (runtime := os.environ.get("XDG_RUNTIME_DIR")) and (mine := Path(runtime) / "stillvault" / "daemon.sock").exists():
        return mine
    return Path("/run/stillvault/daemon.sock")


def ask(verb: str, **fields: Any) -> dict[str, Any]:
    """One question and its answer. An error event becomes the error that it names."""
    path = socket_path()
    _check_place(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as link:
        link.settimeout(TIMEOUT)
        try:
            link.connect(str(path))
            _check_peer(link, path)
            hello = _receive(link)
            if hello.get("event") == "error":
                raise _error(hello)
            frame = msgspec.json.encode({"v": 1, "nonce": hello["nonce"], "verb": verb, **fields}, order="sorted")
            link.sendall(struct.pack(">I", len(frame)) + frame)
            answer = _receive(link)
        except (OSError, KeyError, msgspec.DecodeError):
            raise Unavailable("daemon", f"the daemon at {path} does not answer", "start it: stillvault daemon") from None
    if answer.get("event") == "error":
        raise _error(answer)
    return answer


def _check_place(path: Path) -> None:
    try:
        found, folder = os.lstat(path), os.stat(path.parent)
    except OSError:
        raise Unavailable("daemon", f"no daemon listens at {path}", "start it: stillvault daemon") from None
    trusted = (0, os.geteuid())
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid not in trusted:
        raise Refused("socket", f"{path} is not a socket of root or of this account", "do not use it: somebody may be in the way")
    if folder.st_uid not in trusted or folder.st_mode & 0o022:
        raise Refused("socket", f"others can write {path.parent}", "put the socket into a directory of your own")


def _check_peer(link: socket.socket, path: Path) -> None:
    _, uid, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in (0, os.geteuid()):
        raise Refused("socket", f"the daemon at {path} runs as another account", "do not use it")


def _receive(link: socket.socket) -> dict[str, Any]:
    length = struct.unpack(">I", _exactly(link, 4))[0]
    if length > MAX_FRAME:
        raise Unavailable("daemon", "the daemon sent a frame that is too long", "update Stillvault")
    return msgspec.json.decode(_exactly(link, length), type=dict[str, Any])


def _exactly(link: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = link.recv(count - len(found))
        if not piece:
            raise ConnectionResetError
        found += piece
    return found


def _error(event: dict[str, Any]) -> StillvaultError:
    """The error of the tree with the exit code that the daemon named."""
    kinds = {kind.exit: kind for kind in StillvaultError.__subclasses__()}
    kind = kinds.get(int(event.get("exit", 1)), Failed)
    code = str(event.get("check") or event.get("code", "daemon"))
    return kind(code, str(event.get("message", "the daemon refused")), str(event.get("remedy", "")))
