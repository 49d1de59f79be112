"""A whole small house of real processes: a relay, alice and bob who approve, a host with its daemon. Only installed commands."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPTS = Path(sys.executable).parent
SECONDS = 120  # longer than any step takes on a slow machine


class House:
    """One organisation on one machine. `close` ends every process and removes the directory."""

    def __init__(self, *, system: bool) -> None:
        self.system = system
        self.folder = Path(tempfile.mkdtemp(prefix="sv-house-"))
        self.folder.chmod(0o755)
        self.run_folder = self.folder / "run"
        self.socket = self.run_folder / "daemon.sock"
        self.processes: list[subprocess.Popen] = []
        self.shells: list[subprocess.Popen] = []  # with whatever they started
        self.relay: subprocess.Popen | None = None
        self.daemon: subprocess.Popen | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"https://localhost:{self.port}"

    def close(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
            if process in self.shells:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            if process.poll() is None:
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        shutil.rmtree(self.folder)

    # ---- commands ----------------------------------------------------------------------------------------------------------

    def environment(self, home: str = "", **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("STILLVAULT_", "XDG_"))}
        where = {"STILLVAULT_HOME": str(self.folder / home)} if home else {}
        return kept | {"PATH": f"{SCRIPTS}:/usr/bin:/bin", "STILLVAULT_SOCKET": str(self.socket),
                       "STILLVAULT_RELAY_PROFILE": "laboratory"} | where | more

    def run(self, home: str, *command: str, value: bytes = b"", expect: int = 0) -> str:
        done = subprocess.run(command, env=self.environment(home), input=value, capture_output=True, timeout=SECONDS, check=False)
        assert done.returncode == expect, (command, done.returncode, done.stdout, done.stderr)
        return done.stdout.decode()

    def start(self, home: str, *command: str, log: str = "", uid: int | None = None, session: bool = False,
              **more: str) -> subprocess.Popen:
        errors = (self.folder / log).open("ab") if log else subprocess.PIPE
        process = subprocess.Popen(command, env=self.environment(home, **more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=errors, user=uid, group=uid, extra_groups=[] if uid else None,
                                   start_new_session=session)
        if log:
            errors.close()
        self.processes.append(process)
        return process

    def said(self, process: subprocess.Popen, event: str) -> dict:
        line = process.stdout.readline()
        said = json.loads(line) if line else {"event": f"ended with {process.wait()}"}
        assert said.get("event") == event, said
        return said

    # ---- building ------------------------------------------------------------------------------------------------------------

    def build(self) -> House:
        self.start_relay()
        data = str(self.folder / "relay")
        fingerprint = self.run("", "stillvault-relay", "fingerprint", "--data", data).strip()
        token = self.run("", "stillvault-relay", "setup-url", "--data", data).strip().partition("#")[2]
        self.run("alice", "stillvault", "org", "create", "House", "--relay", self.url, "--fingerprint", fingerprint,
                 "--setup-token", token, "--person", "alice", "--no-passphrase", "--no-recovery")
        self.join("bob", "bob", "person", "invite", "bob", "--role", "approver", "--role", "sealer")
        grade = "system" if self.system else "user"
        self.join("host/db-1", "host", "client", "invite", "host/db-1", "--host", "db-1", "--grade", grade, "--scope", "prod/**")
        self.policy("prod", "prod/**")
        for person in ("alice", "bob"):  # these tests ask more often in an hour than a device lets through by default
            settings = self.folder / person / "settings.json"
            settings.touch(0o600)
            settings.write_text(json.dumps({"limits": {"shown_at_once": 1000, "shown_per_hour": 100000,
                                                       "approvals_before_code": 100000}}))
        return self

    def policy(self, name: str, match: str, *terms: str) -> None:
        self.run("alice", "stillvault", "policy", "set", name, "--match", match, "--people", "alice,bob", *terms)

    def join(self, who: str, home: str, *invitation: str) -> None:
        url = self.run("alice", "stillvault", *invitation).strip().splitlines()[-1]
        custody = [] if "/" in who else ["--no-passphrase"]
        joining = self.start(home, "stillvault", "join", url, *custody, "--format", "json")
        words = self.said(joining, "words")["words"]
        self.run("alice", "stillvault", "confirm", who, "--words", words if isinstance(words, str) else " ".join(words))
        out, err = joining.communicate(timeout=SECONDS)
        assert joining.returncode == 0, (out, err)

    def seal(self, path: str, value: bytes) -> None:
        self.run("alice", "stillvault", "seal", path, value=value)

    def start_relay(self) -> None:
        self.relay = self.start("", "stillvault-relay", "serve", "--data", str(self.folder / "relay"), "--listen",
                                f"127.0.0.1:{self.port}", "--public-url", self.url, log="relay.log")
        self.said(self.relay, "ready")

    def start_daemon(self) -> dict:
        return self.said(self.begin_daemon("daemon.log"), "ready")

    def begin_daemon(self, log: str = "") -> subprocess.Popen:
        """A daemon whose ready line nobody has read yet; without a `log`, its standard error is a pipe."""
        self.run_folder.mkdir(exist_ok=True)
        self.run_folder.chmod(0o755 if self.system else 0o700)
        flags = ["--system"] if self.system else []
        self.daemon = self.start("host", "stillvault", "daemon", *flags, "--socket", str(self.socket), log=log)
        return self.daemon

    def stop(self, process: subprocess.Popen, number: int = signal.SIGTERM) -> int:
        process.send_signal(number)
        return process.wait(20)

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text()

    # ---- people --------------------------------------------------------------------------------------------------------------

    def approve(self, person: str = "bob", *terms: str, expect: int = 0) -> str:
        return self.run(person, "stillvault", "approve", "--next", "--wait", "30", "--yes", *terms, expect=expect)

    def card(self, person: str = "bob") -> dict:
        """The one card in a person's inbox, once it is there."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            found = json.loads(self.run(person, "stillvault", "inbox", "--format", "json"))["cards"]
            if found:
                return found[0]
            time.sleep(0.1)
        raise AssertionError("no card came")

    def cards(self, person: str = "bob") -> list[dict]:
        return json.loads(self.run(person, "stillvault", "inbox", "--format", "json"))["cards"]

    # ---- programs that ask -----------------------------------------------------------------------------------------------------

    def shell(self, script: str, *, uid: int | None = None) -> subprocess.Popen:
        """A shell that asks through the front; the shell is the caller."""
        shell = self.start("", "/bin/sh", "-c", f"{script}\nexit 0", uid=uid, session=True)
        self.shells.append(shell)
        return shell

    def ended(self, process: subprocess.Popen) -> tuple[bytes, bytes]:
        return process.communicate(timeout=SECONDS)
