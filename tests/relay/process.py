"""One relay process and plain HTTPS to it."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETUP_TOKEN = "set-up-" + "0" * 36
PATIENCE = 30.0  # seconds until a test gives up; never a measure of speed


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem; empty for an answer that is none."""
        problem = self.headers.get("content-type", "") == "application/problem+json"
        return str(self.json["code"]) if problem else ""

    def ok(self) -> Any:
        assert self.status < 300, self.body
        return self.json


class Reached:
    """A relay that somebody started: its name, its port, and the file of the authority behind its certificate."""

    def __init__(self, host: str, port: int, ca: Path) -> None:
        self.host, self.port, self.ca = host, port, ca
        self._local = threading.local()
        self._open: list[http.client.HTTPSConnection] = []

    @property
    def url(self) -> str:
        return f"https://{self.host}" + (f":{self.port}" if self.port != 443 else "")

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

    def connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, timeout=PATIENCE, context=self.context())

    def close(self) -> None:
        """Closes the kept connection of every thread."""
        for connection in self._open:
            connection.close()
        self._local = threading.local()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str = "",
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """One call on a kept connection of this thread."""
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        content = raw
        if body is not None:
            content = json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
        if content is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        for attempt in (1, 2):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self.connection()
                self._open.append(connection)
            try:
                connection.request(method, path, content, sent)
                response = connection.getresponse()
                answer = Answer(response.status, response.read(), {name.lower(): value for name, value in response.getheaders()})
            except (http.client.HTTPException, ConnectionError, ssl.SSLError):
                connection.close()
                self._local.connection = None
                if attempt == 2:
                    raise
                continue
            return answer
        raise AssertionError("unreachable")


class RelayProcess(Reached):
    """`stillvault-relay serve` on a directory. The laboratory profile unless a test is about the limits."""

    module = "stillvault.relay.main"
    before: tuple[str, ...] = ()  # what stands before the program, and becomes it

    def __init__(self, data: Path, **settings: str) -> None:
        super().__init__("localhost", 0, data / "tls" / "ca.pem")
        self.data = data
        self.extra: dict[str, str] = {}  # more of the environment
        self.settings = {"profile": "laboratory", "setup_token": SETUP_TOKEN, **settings}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def environment(self) -> dict[str, str]:
        named = {f"STILLVAULT_RELAY_{name.upper().replace('.', '_')}": value for name, value in self.settings.items()}
        return {"PATH": os.environ["PATH"], "HOME": str(self.data.parent), **named, **self.extra}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        program = [sys.executable, "-m", self.module, *arguments]
        return subprocess.run(program, env=self.environment(), capture_output=True, timeout=PATIENCE, check=False)

    def start(self) -> RelayProcess:
        """Starts it and waits for its ready line. Starts again on the same port."""
        listen = f"127.0.0.1:{self.port}"
        program = [*self.before, sys.executable, "-m", self.module, "serve", "--data", str(self.data), "--listen", listen]
        self.process = subprocess.Popen(program, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        atexit.register(self.process.kill)  # a test that failed half-way leaves nothing running
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1].decode()
        ready = json.loads(line)
        assert (ready["v"], ready["event"]) == (1, "ready")
        self.port = int(ready["url"].rpartition(":")[2])
        self.drain()
        return self

    def drain(self) -> None:
        """Keeps reading stderr, so that the relay never blocks on it."""
        self.stderr: list[bytes] = []
        assert self.process is not None
        assert self.process.stderr is not None
        stream, kept = self.process.stderr, self.stderr
        self._reader = threading.Thread(target=lambda: kept.extend(stream))
        self._reader.start()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the process; returns its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self._reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        self.close()
        return status
