"""The installed front, in a clean environment, against a stand-in for the daemon."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.front.standin import Call, Standin

FRONT = Path(os.environ.get("STILLVAULT_TEST_FRONT") or Path(sysconfig.get_path("scripts")) / "stillvault")


@dataclass
class Ended:
    """How a command ended."""

    exit: int
    out: bytes
    err: str


class Front:
    """Starts the front with a socket in a directory of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.socket = place / "daemon.sock"
        self.env = {"PATH": "/usr/bin:/bin", "STILLVAULT_SOCKET": str(self.socket), "HOME": str(place), "LC_ALL": "C"}

    def start(self, *words: str | bytes | Path, env: dict[str, str] | None = None, **how: Any) -> subprocess.Popen[bytes]:
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": self.place, **how}
        return subprocess.Popen([FRONT, *words], env={**self.env, **(env or {})}, **how)

    def __call__(self, *words: str | bytes | Path, env: dict[str, str] | None = None, **how: Any) -> Ended:
        with self.start(*words, env=env, **how) as process:
            out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out or b"", (err or b"").decode())

    def on_terminal(self, *words: str, env: dict[str, str] | None = None, until: bytes = b"") -> Ended:
        """Runs with its streams on a terminal; `out` is all that it showed. With `until`, presses Ctrl-C once that is seen."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(FRONT, [str(FRONT), *words], {**self.env, "TERM": "xterm", **(env or {})})
        shown = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                block = os.read(terminal, 4096)
            except OSError:  # EIO: the other side is closed
                break
            if not block:
                break
            shown += block
            if until and until in shown:
                os.write(terminal, b"\x03")
                until = b""
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        return Ended(os.waitstatus_to_exitcode(status), shown, "")

    @contextmanager
    def daemon(self, script: Callable[[Call], None], **how: Any) -> Iterator[Standin]:
        with Standin(self.socket, script, **how) as standin:
            yield standin

    @contextmanager
    def holding(self, **values: bytes) -> Iterator[Standin]:
        """A daemon that delivers these values, named by path with `_` for `/`."""
        held = {path.replace("_", "/"): value for path, value in values.items()}
        with self.daemon(lambda call: call.deliver(held)) as standin:
            yield standin


@pytest.fixture
def front() -> Iterator[Front]:
    # Not tmp_path: a socket's address holds 107 bytes.
    with tempfile.TemporaryDirectory(prefix="sv-front-") as place:
        yield Front(Path(place))
