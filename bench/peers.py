"""Peers that others wrote, run beside us: OpenBao (server, proxy, command line) and redis. Nothing of the product needs them.

    python -m bench.peers       installs OpenBao into build/peers, an environment of its own; `make peers` does this

redis-server is the system's, where it has one. A peer that is not here is said to be not here, and its rows are left out.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.driving import Call, call
from bench.environment import ROOT
from bench.measure import Report
from tests.world import end, free_port

PLACE = ROOT / "build" / "peers"
VALUE = "a value of thirty-two bytes, so."
PATIENCE = 30.0
TOKEN = "X-Vault-Token:"
NO_BAO = "OpenBao is not here (`make peers` installs it): its rows are left out"
NO_REDIS = "redis-server is not here (Debian has it as `redis-server`): its rows are left out"


def bao_program() -> Path | None:
    """The program of OpenBao itself, not a wrapper that starts it."""
    found = [path for path in PLACE.rglob("bao") if path.is_file() and path.stat().st_size > 1 << 20]
    return found[0] if found else None


def until(ready: Callable[[], bool], what: str) -> None:
    """Asks again and again."""
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} was not ready after {PATIENCE:.0f} s")
        time.sleep(0.002)


class Bao:
    """A server of OpenBao on raft storage in a folder of its own: one node, one key, unsealed. `bench/` is a key-value store of
    version 1, `secret/` one of version 2, and both hold one value. On loopback, over TLS where there is a folder `tls`."""

    def __init__(self, program: Path, folder: Path, tls: Path | None = None) -> None:
        self.program, self.folder, self.port = program, folder, free_port()
        folder.mkdir()
        self.token, self._key = "", ""
        self.process: subprocess.Popen[bytes] | None = None
        files: dict[str, object] = {"tls_disable": True}
        if tls is not None:
            files = {"tls_cert_file": str(tls / "relay.pem"), "tls_key_file": str(tls / "relay.key")}
        self._scheme = "https" if tls else "http"
        inner = free_port()
        tcp = {"address": f"127.0.0.1:{self.port}", "cluster_address": f"127.0.0.1:{inner}", **files}
        # The unix socket is for us to set it up by.
        unix = {"address": str(folder / "bao.sock"), "tls_disable": True}
        (folder / "raft").mkdir()
        (folder / "server.json").write_text(json.dumps({
            "storage": {"raft": {"path": str(folder / "raft"), "node_id": "bench"}},
            "listener": [{"tcp": tcp}, {"unix": unix}],
            "cluster_addr": f"https://127.0.0.1:{inner}",
            "api_addr": self.address,
            "log_level": "error",
        }))  # fmt: skip

    @property
    def address(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def environment(self) -> dict[str, str]:
        """Of its command line."""
        return {"BAO_ADDR": self.address, "BAO_TOKEN": self.token, "HOME": str(self.folder), "PATH": os.environ["PATH"]}

    def start(self) -> None:
        """Until it answers. What was set up before is sealed then."""
        (self.folder / "bao.sock").unlink(missing_ok=True)
        self.process = self.spawn("server", f"-config={self.folder / 'server.json'}")
        until(self.answers, "OpenBao")

    def spawn(self, *words: str) -> subprocess.Popen[bytes]:
        with open(self.folder / "bao.log", "ab") as log:
            return subprocess.Popen([str(self.program), *words], env={"HOME": str(self.folder), "PATH": os.environ["PATH"]},
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def set_up(self) -> None:
        """A new server becomes one that is unsealed and holds its values."""
        made = self.say("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.token, self._key = made["root_token"], made["keys"][0]
        self.unseal()
        for mount, version in (("bench", "1"), ("secret", "2")):
            self.say("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": version}})
        self.say("POST", "bench/value", {"value": VALUE})
        until(lambda: self.tries("POST", "secret/data/value", {"data": {"value": VALUE}}), "the store of version 2")

    def unseal(self) -> None:
        self.say("PUT", "sys/unseal", {"key": self._key})
        until(lambda: self.tries("GET", "sys/health"), "OpenBao, unsealed,")

    def answers(self) -> bool:
        """Sealed or not."""
        try:
            return self._ask("GET", "sys/seal-status")[0] == 200
        except OSError:
            return False

    def tries(self, method: str, path: str, body: object = None) -> bool:
        return self._ask(method, path, body)[0] // 100 == 2

    def say(self, method: str, path: str, body: object = None) -> Any:
        status, answer = self._ask(method, path, body)
        if status // 100 != 2:
            raise SystemExit(f"OpenBao answered {method} {path} with {status}: {answer[:300]!r}")
        return json.loads(answer or b"{}")

    def _ask(self, method: str, path: str, body: object = None, at: str = "bao.sock") -> tuple[int, bytes]:
        return over(self.folder / at, method, f"/v1/{path}", body, {"X-Vault-Token": self.token} if self.token else {})

    def write(self, session: int, version: int) -> list[Call]:
        """One durable write to one of the two stores, as the driver sends it."""
        path, body = {1: ("bench", {"value": VALUE}), 2: ("secret/data", {"data": {"value": VALUE}})}[version]
        return [call("POST", f"/v1/{path}/session-{session}", self.token, body, header=TOKEN)]

    @contextmanager
    def proxy(self) -> Iterator[tuple[Path, int]]:
        """(socket, pid) of `bao proxy` with auto-auth and its cache, in front of this server."""
        door, settings = self.folder / "proxy.sock", self.folder / "proxy.hcl"
        (self.folder / "token").write_text(self.token)
        settings.write_text(f"""
            vault {{ address = "{self.address}" }}
            auto_auth {{ method "token_file" {{ config = {{ token_file_path = "{self.folder / 'token'}" }} }} }}
            api_proxy {{ use_auto_auth_token = true }}
            cache {{ }}
            listener "unix" {{
              address = "{door}"
              tls_disable = true
            }}
            log_level = "error"
        """)
        process = self.spawn("proxy", f"-config={settings}")

        def ready() -> bool:
            try:
                return over(door, "GET", "/v1/bench/value")[0] == 200
            except OSError:
                return False

        try:
            until(ready, "bao proxy")
            yield door, process.pid
        finally:
            end(process)

    def stop(self) -> None:
        if self.process is not None:
            end(self.process)


class _Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


def over(door: Path, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """(status, body) of one call."""
    connection = _Unix(door)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextmanager
def bao_server(report: Report, folder: Path, tls: Path | None = None) -> Iterator[Bao | None]:
    """A server that is set up, in `folder`/bao; nothing, and a word about it, where OpenBao is not here."""
    program = bao_program()
    if program is None:
        report.say(NO_BAO)
        yield None
        return
    bao = Bao(program, folder / "bao", tls)
    try:
        bao.start()
        bao.set_up()
        yield bao
    finally:
        bao.stop()


@contextmanager
def redis_server(report: Report, folder: Path) -> Iterator[tuple[Path, int] | None]:
    """(socket, pid) of a redis that keeps nothing on disk and holds one value; nothing, and a word, where there is none."""
    program = shutil.which("redis-server")
    if program is None:
        report.say(NO_REDIS)
        yield None
        return
    door = folder / "redis.sock"
    process = subprocess.Popen([program, "--port", "0", "--unixsocket", str(door), "--save", "", "--appendonly", "no"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=folder)
    try:
        until(door.exists, "redis-server")
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(door))
            line.sendall(f"SET bench/value {json.dumps(VALUE)}\r\n".encode())
            if line.recv(64) != b"+OK\r\n":
                raise SystemExit("redis did not take the value")
        yield door, process.pid
    finally:
        end(process)


def install() -> int:
    """OpenBao as the package index has it, held against its hash."""
    venv.create(PLACE, clear=True, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(PLACE / "bin" / "python"), "--disable-pip-version-check"]
    wanted = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(ROOT / "bench" / "peers.txt")]
    done = subprocess.run([*pip, "install", "-q", *wanted], check=False)
    program = bao_program()
    if done.returncode or program is None:
        print("OpenBao could not be installed; `make bench` leaves its rows out", file=sys.stderr)
        return 1
    subprocess.run([str(program), "version"], check=True)
    print(f"redis-server: {shutil.which('redis-server') or 'not here (optional)'}")
    return 0


if __name__ == "__main__":
    sys.exit(install())
