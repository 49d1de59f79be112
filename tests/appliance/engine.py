"""A podman with storage of its own, without systemd, bridges or a registry; and a `World` whose relay is a container of it."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.world import PATIENCE, World, read_line

ROOT = Path(__file__).resolve().parents[2]
HARDENED = ("--read-only", "--cap-drop=all", "--security-opt", "no-new-privileges", "--read-only-tmpfs=false", "--memory", "512m",
            "--pids-limit", "64")
RELAY = "/opt/stillvault/bin/stillvault-relay"
DNS_NAME = "vault.corp.test"
CLONE_NEWNS = 0x00020000
CONF = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
netns = "host"
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
"""


def until(true: Callable[[], bool], what: str) -> None:
    """Looks again and again; fails with `what` when patience ends."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Engine:
    """`podman` is first on PATH as a script that names the storage, so that appliance/image finds it as it finds any."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "bin").mkdir()
        (root / "tmp").mkdir()
        (root / "containers.conf").write_text(CONF)
        script = root / "bin" / "podman"
        places = ["--root", f"{root}/storage", "--runroot", f"{root}/run", "--storage-driver"]
        stacks = subprocess.run(["podman", *places, "overlay", "info"], capture_output=True, check=False).returncode == 0
        words = ["podman", *places, "overlay"] if stacks else ["podman", *places[:1], f"{root}/copies", *places[2:], "vfs"]
        script.write_text(f'#!/bin/sh\nexec {shutil.which("podman")} {" ".join(words[1:])} "$@"\n')
        script.chmod(0o755)
        # `make image` runs with the Python of this test, wherever the environment lies.
        path = f"{root}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "CONTAINERS_CONF": str(root / "containers.conf"), "ENGINE": "podman",
                            "TMPDIR": str(root / "tmp")}

    def run(self, *words: str, code: int | None = 0, **environment: str) -> str:
        """Runs a command with this podman; returns what it printed."""
        done = subprocess.run(words, cwd=ROOT, env={**self.environment, **environment}, capture_output=True, text=True,
                              timeout=PATIENCE * 10, check=False)
        assert code is None or done.returncode == code, f"{words} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def podman(self, *words: str, code: int | None = 0) -> str:
        return self.run("podman", *words, code=code)

    def inspect(self, name: str) -> dict[str, Any]:
        (found,) = json.loads(self.podman("inspect", name))
        return dict(found)

    def start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        """Runs a hardened container in the foreground; its output is that of the process, its errors go to a file."""
        words = ["podman", "run", "--rm", "--name", name, *HARDENED, *options]
        with (self.root / f"{name}.log").open("ab") as log:
            return subprocess.Popen(words, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)

    def ready(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Waits for the relay's line; fails with what the container said instead."""
        try:
            assert json.loads(read_line(process))["event"] == "ready"
        except AssertionError as error:
            raise AssertionError(f"{error}\n{(self.root / f'{name}.log').read_text()[-4000:]}") from None


@contextmanager
def engine() -> Iterator[Engine]:
    """An engine, and nothing left of it."""
    root = Path(tempfile.mkdtemp(prefix="svi-"))  # short: sockets lie below
    made = Engine(root)
    try:
        yield made
    finally:
        made.podman("rm", "--all", "--force", "--time", "1", code=None)
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def resolvable(name: str) -> Iterator[None]:
    """While it lasts, this process and what it starts find `name` at loopback: by an /etc/hosts of their own mount namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    cwd = Path.cwd()
    with open("/proc/thread-self/ns/mnt", "rb") as outside, tempfile.NamedTemporaryFile("w") as hosts:
        assert libc.unshare(CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
        try:
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            hosts.write(f"{Path('/etc/hosts').read_text()}\n127.0.0.1 {name}\n")
            hosts.flush()
            Path(hosts.name).chmod(0o644)
            subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
            yield
        finally:
            assert libc.setns(outside.fileno(), CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
            os.chdir(cwd)


class Contained(World):
    """The relay runs in a container, on a volume, and has a name; everybody else runs on this machine. Within `resolvable`."""

    def __init__(self, root: Path, podman: Engine, image: str) -> None:
        super().__init__(root)
        self.url = f"https://{DNS_NAME}:{self.port}"
        self.engine, self.image, self.name = podman, image, f"relay-{self.port}"

    def start(self) -> None:
        settings = {"LISTEN": f"127.0.0.1:{self.port}", "PUBLIC_URL": self.url}
        named = [word for name, value in settings.items() for word in ("--env", f"STILLVAULT_RELAY_{name}={value}")]
        self.relay = self.engine.start(self.name, "--volume", f"{self.name}:/data", *named, self.image)
        self.processes.append(self.relay)
        self.engine.ready(self.name, self.relay)

    def relay_command(self, *arguments: str) -> str:
        return self.engine.podman("exec", self.name, RELAY, *arguments).strip()
