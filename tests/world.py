"""A whole organisation of real processes for tests: a relay over TLS on loopback, homes, installed commands, daemons.

    world = World(tmp_path); world.start()
    alice = world.create()                                  # org create: alice has all roles
    bob = world.person("bob", "approver")                   # invite, join, confirm
    db = world.client("host/db-1", scopes=["prod/**"])      # likewise
    alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob")
    alice.ok("seal", "prod/db", stdin=b"value")
    with db.daemon(): db.spawn("read", "sv://prod/db") ...
    alice.json("approve", "--next", "--wait", "10", "--yes")

Everything lives below one directory; `stop()` ends every process that was started, by its id. The fixtures `world` (a relay, no
organisation) and `small` (alice, bob, host/db-1, a policy) are in tests/conftest.py.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = Path(sysconfig.get_path("scripts"))
STILLVAULT = SCRIPTS / "stillvault"
RELAY = SCRIPTS / "stillvault-relay"
PATIENCE = 60.0  # seconds until a test gives up on a process; never a measure of speed


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def said(self) -> str:
        return self.err.decode()

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)  # type: ignore[no-any-return]


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read_line(process: subprocess.Popen[bytes], patience: float = PATIENCE) -> bytes:
    """One line of a process's stdout; fails with its stderr when the process ends or stays silent."""
    assert process.stdout is not None
    found = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + patience
        while not found.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise AssertionError(f"silent for {patience} s: {process.args!r}")
            byte = os.read(process.stdout.fileno(), 1)
            if not byte:
                errors = process.stderr.read() if process.stderr is not None else b""
                raise AssertionError(f"ended with {process.wait()}: {process.args!r}\n{errors.decode(errors='replace')}")
            found += byte
    return found


def end(process: subprocess.Popen[bytes], how: int = signal.SIGTERM) -> int:
    """Ends one process that we started, and waits for it."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None and not stream.closed:
            stream.close()
    return process.returncode


class Party:
    """One home and whoever uses it: runs the installed commands there."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.home = world.root / "homes" / name.replace("/", "_")
        self.socket = world.root / "run" / name.replace("/", "_") / "daemon.sock"
        self.extra: dict[str, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        """As little as possible, so that nothing of the tester's account leaks in."""
        return {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "HOME": str(self.world.root),
                "STILLVAULT_HOME": str(self.home), "STILLVAULT_SOCKET": str(self.socket), "PYTHONDONTWRITEBYTECODE": "1",
                **self.extra}

    def run(self, *arguments: str, stdin: bytes = b"", program: Path = STILLVAULT) -> Done:
        """Runs one command to its end, without a terminal."""
        done = subprocess.run([str(program), *arguments], input=stdin, capture_output=True, env=self.environment,
                              timeout=PATIENCE * 3, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, stdin: bytes = b"") -> Done:
        """As `run`; the command must end with 0."""
        done = self.run(*arguments, stdin=stdin)
        assert done.code == 0, f"{arguments} ended with {done.code}\n{done.said}\n{done.out.decode(errors='replace')}"
        return done

    def json(self, *arguments: str, stdin: bytes = b"") -> dict[str, Any]:
        """The JSON answer of a command that must end with 0."""
        return self.ok("--format", "json", *arguments, stdin=stdin).json

    def fails(self, code: int, *arguments: str, stdin: bytes = b"") -> str:
        """The command must end with this code; returns its stderr, which must hold no traceback."""
        done = self.run(*arguments, stdin=stdin)
        shown = f"{done.said}\n{done.out.decode(errors='replace')}"
        assert done.code == code, f"{arguments} ended with {done.code}, not {code}\n{shown}"
        assert "Traceback" not in done.said
        return done.said

    def spawn(self, *arguments: str, program: Path = STILLVAULT) -> subprocess.Popen[bytes]:
        """Starts a command and leaves it running; the world ends it at last."""
        process = subprocess.Popen([str(program), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment)
        self.world.processes.append(process)
        return process

    def start_daemon(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts this home's daemon and waits until it is ready."""
        self.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        process = self.spawn("daemon", "--socket", str(self.socket), *arguments)
        ready = json.loads(read_line(process))
        assert ready["event"] == "ready", ready
        return process

    @contextmanager
    def daemon(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """The daemon of this home, for as long as the block lasts."""
        process = self.start_daemon(*arguments)
        try:
            yield process
        finally:
            end(process)


class World:
    """One relay and the homes around it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "relay"
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.relay: subprocess.Popen[bytes] | None = None
        self.processes: list[subprocess.Popen[bytes]] = []
        self.parties: dict[str, Party] = {}
        self.relay_environment: dict[str, str] = {"STILLVAULT_RELAY_PROFILE": "laboratory"}

    # ---- the relay ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the relay (again, on the same data) and waits until it is ready."""
        log = open(self.root / "relay.log", "ab")  # noqa: SIM115  the process keeps it
        with log:
            self.relay = subprocess.Popen(
                [str(RELAY), "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}", "--public-url", self.url],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.root), "PYTHONDONTWRITEBYTECODE": "1",
                     **self.relay_environment})
        self.processes.append(self.relay)
        try:
            assert json.loads(read_line(self.relay))["event"] == "ready"
        except AssertionError as error:
            raise AssertionError(f"{error}\n{(self.root / 'relay.log').read_text()[-4000:]}") from None

    def stop_relay(self, how: int = signal.SIGTERM) -> int:
        """Ends the relay. Returns its exit code."""
        assert self.relay is not None
        return end(self.relay, how)

    def relay_command(self, *arguments: str) -> str:
        """A command of the relay on this data directory, which must end with 0."""
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.root), **self.relay_environment}
        done = subprocess.run([str(RELAY), *arguments, "--data", str(self.data)], capture_output=True, timeout=PATIENCE,
                              check=False, env=environment)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    # ---- people and clients ------------------------------------------------------------------------------------------------

    def party(self, name: str) -> Party:
        """A home by that name; empty until something joins there."""
        return self.parties.setdefault(name, Party(self, name))

    def create(self, person: str = "alice", *options: str) -> Party:
        """`org create` in the home of `person`."""
        party = self.party(person)
        token = self.relay_command("setup-url").partition("#")[2]
        party.ok("org", "create", "Example", "--relay", self.url, "--fingerprint", self.relay_command("fingerprint"),
                 "--setup-token", token, "--person", person, "--no-passphrase", *options)
        return party

    def join(self, url: str, name: str, admin: Party, who: str, *options: str) -> Party:
        """Joins by a URL in the home `name`, and confirms in the home of `admin`."""
        party = self.party(name)
        process = party.spawn("--format", "json", "join", url, *options)
        words = json.loads(read_line(process))
        assert words["event"] == "words", words
        admin.ok("confirm", who, "--words", words["words"])
        joined = json.loads(read_line(process))
        assert joined["event"] == "joined", joined
        assert process.wait(PATIENCE) == 0
        return party

    def person(self, name: str, *roles: str, home: str = "", admin: str = "alice") -> Party:
        """Invites, joins and confirms a person (or, with another `home`, a further device of theirs)."""
        options = [part for role in roles for part in ("--role", role)]
        url = self.parties[admin].ok("person", "invite", name, *options).text.strip()
        return self.join(url, home or name, self.parties[admin], name, "--no-passphrase")

    def client(self, subject: str, scopes: Sequence[str] = ("prod/**",), *options: str, home: str = "",
               admin: str = "alice") -> Party:
        """Invites, joins and confirms a host or an agent."""
        wanted = [part for scope in scopes for part in ("--scope", scope)]
        url = self.parties[admin].ok("client", "invite", subject, *wanted, *options).text.strip()
        return self.join(url, home or subject, self.parties[admin], subject)

    def stop(self) -> None:
        """Ends every process that this world started."""
        for process in reversed(self.processes):
            end(process)
