"""A daemon that only speaks: the socket protocol without identity, leases or people.

It lets a test say what the daemon answers, wrong answers too. What the front does against the real daemon is in tests/client and
in the end-to-end tests; here the front is held against every answer that a daemon could give.
"""

from __future__ import annotations

import array
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Frame = dict[str, Any]
HEADER = 4
NONCE = "A" * 43


def pack(fields: Frame) -> bytes:
    raw = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return len(raw).to_bytes(HEADER, "big") + raw


class Call:
    """One connection after its first frame: what was asked, and the way to answer."""

    def __init__(self, sock: socket.socket, frame: Frame, raw: bytes, pipes: list[int]) -> None:
        self.sock = sock
        self.frame = frame
        self.raw = raw
        self.pipes = pipes

    def say(self, **fields: Any) -> None:
        self.sock.sendall(pack(fields))

    def pending(self, **fields: Any) -> None:
        self.say(**{"event": "pending", "card": "0123456789ab", "code": "012345", "asked": ["alice", "bob"], "needed": 1,
                    "expires": 4000000000, **fields})

    def put(self, values: list[bytes]) -> None:
        """Writes each value into its pipe, without a word."""
        for pipe, value in zip(self.pipes, values, strict=True):
            os.write(pipe, value)
        self.close_pipes()

    def deliver(self, values: dict[str, bytes]) -> None:
        wanted = [values[path] for path in self.frame["refs"]]
        self.put(wanted)
        facts = [{"path": path, "version": 3, "revision": 0, "length": len(value), "from": "release", "window": 900, "left": 900}
                 for path, value in zip(self.frame["refs"], wanted, strict=True)]
        self.say(event="delivered", values=facts)

    def refuse(self, exit: int, code: str, **fields: Any) -> None:
        self.say(**{"event": "error", "code": code, "exit": exit, "message": "it was refused", "remedy": "ask again", **fields})

    def ended(self) -> bool:
        """Waits until the caller closes; true when it said nothing more before."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True  # it left before it had read all

    def next(self) -> Frame:
        """The next frame of the same connection, with its pipes; nothing when the caller has gone."""
        self.close_pipes()
        raw, pipes = receive(self.sock)
        self.pipes.extend(pipes)
        return json.loads(raw) if raw else {}

    def close_pipes(self) -> None:
        while self.pipes:
            os.close(self.pipes.pop(0))


class Standin:
    """Serves one script for every connection, on a thread. `calls` keeps the frames that came."""

    def __init__(self, path: Path, script: Callable[[Call], None], *, hello: bytes | None = None) -> None:
        self.path = path
        self.script = script
        self.hello = pack({"v": 1, "nonce": NONCE}) if hello is None else hello
        self.calls: list[Frame] = []
        self.met = threading.Event()
        self.traffic = bytearray()
        self.failures: list[BaseException] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(8)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Standin:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=20)
        self.path.unlink(missing_ok=True)
        if self.failures:
            raise self.failures[0]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        pipes: list[int] = []
        try:
            with sock:
                self.met.set()
                sock.sendall(self.hello)
                raw, pipes = receive(sock)
                self.traffic += raw
                if raw:
                    frame = json.loads(raw)
                    assert pack(frame)[HEADER:] == raw, "canonical"
                    assert frame.pop("nonce") == NONCE
                    self.calls.append(frame)
                    self.script(Call(sock, frame, raw, pipes))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the front left; that is its right
        except BaseException as failure:  # noqa: BLE001 - raised again in the test's own thread
            self.failures.append(failure)
        finally:
            for pipe in pipes:
                os.close(pipe)


def receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """One frame and the descriptors that came with it."""
    received = bytearray()
    descriptors = array.array("i")
    while len(received) < HEADER or len(received) < HEADER + int.from_bytes(received[:HEADER], "big"):
        block, ancillary, _, _ = sock.recvmsg(1 << 16, socket.CMSG_SPACE(4 * 128))
        if not block:
            break
        received += block
        for _level, _kind, content in ancillary:
            descriptors.frombytes(content)
    return bytes(received[HEADER:]), list(descriptors)
