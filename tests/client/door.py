"""The daemon's real door, with a plain room behind it: a value for whoever asks, once the test lets it go.

Everything that says who is calling is the real thing: the kernel, the socket, the listener. Only the asking of people is left
out.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from stillvault.client import frames, peer
from stillvault.client.connection import Connection
from stillvault.client.executable import Hasher
from stillvault.client.listener import Listener
from stillvault.client.pipes import check_pipe
from stillvault.client.socketfile import open_socket
from stillvault.client.workers import Workers

VALUE = b"a value that nobody else may get"
PYTHON = "/usr/bin/python3"  # readable by every account
HERE = Path(__file__).parent


class Door:
    """A listener in a thread. `opened` lets waiting calls go on; `waiting` says that one waits."""

    def __init__(self, *, system: bool = True, front: Callable[[], tuple[int, int] | None] = lambda: None,
                 exact: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sv-door-"))
        self.folder.chmod(0o755)
        shutil.copy(HERE / "caller.py", self.folder / "caller.py")
        (self.folder / "caller.py").chmod(0o644)
        self.path = self.folder / "s" / "daemon.sock"
        self.opened = threading.Event()
        self.waiting = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.delivered = 0
        self._options = {"system": system, "front": front, "exact": exact}
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)

    def __enter__(self) -> Door:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.set()
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        shutil.rmtree(self.folder)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        sock, lock = open_socket(self.path, system=self._options["system"])
        listener = Listener(sock, self._verb, Hasher(), Workers(2, "door"), **self._options)
        self._ready.set()
        await self._stop.wait()
        listener.close()
        await asyncio.sleep(0)
        os.close(lock)

    def _verb(self, connection: Connection, call: frames.Call, fds: list[int]):
        if isinstance(call, frames.WhoAmI):
            return self._whoami(connection)
        if isinstance(call, frames.Get):
            return self._get(connection, fds)
        connection.send({"event": "pong"})
        return None

    async def _whoami(self, connection: Connection) -> None:
        one = await connection.identity()
        connection.send({
            "event": "whoami", "uid": one.uid, "user": one.user, "exe": one.exe.path, "exe_sha256": one.exe.sha256,
            "chain": [{"exe": up.exe, "exe_sha256": up.exe_sha256} for up in one.chain], "front": connection.caller.fronted,
            "pid": one.process[0], "leader": one.leader[0] if one.leader else 0,
        })

    async def _get(self, connection: Connection, fds: list[int]) -> None:
        await connection.identity()
        for fd in fds:
            check_pipe(fd)
        ends = fds
        try:
            connection.send({"event": "pending"})
            self.waiting.release()
            while not self.opened.is_set():
                await asyncio.sleep(0.01)
            connection.caller.check()
            for end in ends:
                os.write(end, VALUE)
            self.delivered += len(ends)
            connection.send({"event": "delivered"})
        finally:
            self.ended.release()

    # ---- callers ---------------------------------------------------------------------------------------------------------

    def start(self, *argv: str, uid: int | None = None, program: list[str] | None = None, **environment: str) -> subprocess.Popen:
        """The caller as a process of its own."""
        command = [*(program or [PYTHON, str(self.folder / "caller.py")]), str(self.path), *argv]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, user=uid, group=uid,
                                extra_groups=[] if uid else None, env={"PATH": "/usr/bin:/bin", **environment})

    def script(self, source: str, *argv: str, uid: int | None = None) -> subprocess.Popen:
        """A caller that a test wrote; it may import `caller`."""
        file = self.folder / f"script{len(list(self.folder.iterdir()))}.py"
        file.write_text(source)
        file.chmod(0o644)
        return self.start(*argv, uid=uid, program=[PYTHON, str(file)])


def refused(event: dict | None, code: str) -> bool:
    """Whether the daemon refused, for that reason or by ending the connection."""
    return event is None or (event.get("event") == "error" and event.get("check") == code and event["exit"] == 15)


def lines(process: subprocess.Popen) -> list[str]:
    out, _ = process.communicate(timeout=30)
    return out.splitlines()


has_peer_pidfd = peer.has_peer_pidfd
