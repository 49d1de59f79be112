"""A town whose relay is wiretapped, with hosts under both kinds of daemon, each watched by strace.

`host/root` has a daemon of root for every account (`--system`), and `nobody` asks; `host/own` one without any capability, and its
own account asks. The logs of strace hold what goes through pipes, so they lie outside the town's directory, which must hold
nothing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stillvault.crypto.private import memory_kind
from tests.blindness import scan
from tests.blindness.watching import in_arguments, open_pages, strace
from tests.blindness.wiretap import Wiretap
from tests.world import PATIENCE, STILLVAULT, Party, World, free_port, read_line

NOBODY = 65534
BARE = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
DAEMONS: dict[str, tuple[list[str], list[str]]] = {"root": ([], ["--system"]), "own": (BARE, [])}
ASKERS = {"root": ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"], "own": BARE}
HOSTS = ("root", "own")


class Town(World):
    """One relay behind a wire that listens; alice and bob; `host/root` and `host/own`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.logs = Path(tempfile.mkdtemp(prefix="sv-strace-"))
        self.said = bytearray()  # what every command printed, but the values that were asked for
        self.wiretap: Wiretap | None = None
        self.url = f"https://localhost:{free_port()}"
        self.relay_environment["PYTHONPROFILEIMPORTTIME"] = "1"  # relay.log names every module as it is loaded
        self.root.chmod(0o755)
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)

    def start(self) -> None:
        super().start()
        self.wiretap = self.wiretap or Wiretap(self.data / "tls", self.port, int(self.url.rpartition(":")[2]))

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self.logs)
        if self.wiretap is not None:
            self.wiretap.close()

    @property
    def wire(self) -> Wiretap:
        assert self.wiretap is not None
        return self.wiretap

    def settle(self) -> None:
        """Who lives here, and what they may ask for."""
        alice = self.create()
        self.person("bob", "approver")
        for name in HOSTS:
            self.client(f"host/{name}", ["**"], *(["--grade", "system"] if name == "root" else ["--grade", "user"]))
        alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob", "--lease-scope", "exe")

    # ---- the hosts -----------------------------------------------------------------------------------------------------------

    def daemon(self, host: str, *options: str) -> subprocess.Popen[bytes]:
        """The daemon of a host, ready, under strace; its stderr is in daemon.log."""
        party = self.parties[f"host/{host}"]
        folder = party.socket.parent
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        before, flags = DAEMONS[host]
        words = [*strace(self.logs / f"daemon-{host}", *options), *before, STILLVAULT, "daemon", "--socket", party.socket, *flags]
        with (self.root / "daemon.log").open("ab") as log:
            daemon = self.begin(words, party, stderr=log)
        try:
            assert json.loads(read_line(daemon))["event"] == "ready"
        except AssertionError as error:
            raise AssertionError(f"{error}\n{(self.root / 'daemon.log').read_text()[-2000:]}") from None
        return daemon

    def asker(self, host: str, *words: str, log: str = "", **how: Any) -> subprocess.Popen[bytes]:
        """The front, as a program of the account that asks calls it: `timeout` is the program."""
        watch = strace(self.logs / log) if log else []
        # The front's caller is its parent; no shell, for which a lease of scope `exe` is one of scope `process`.
        command = [*watch, *ASKERS[host], "timeout", "--foreground", "600", STILLVAULT, *words]
        return self.begin(command, self.parties[f"host/{host}"], **how)

    def begin(self, words: Sequence[str | Path], party: Party, **how: Any) -> subprocess.Popen[bytes]:
        """Starts a process that the town ends at last."""
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(words, env=party.environment | {"TMPDIR": str(self.root / "tmp")}, cwd=self.root / "tmp",
                                   **pipes | how)
        self.processes.append(process)
        return process

    def done(self, process: subprocess.Popen[bytes], code: int = 0) -> bytes:
        """Waits for a process; keeps its stderr, returns its stdout."""
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, (process.args, process.returncode, err)
        self.said += err
        return out


class Hunt:
    """One canary and, as the plant that every scan must find, a name that everybody may know: the last part of its path."""

    def __init__(self, town: Town, canary: bytes, name: str) -> None:
        self.town = town
        self.canary = scan.needles(canary)
        self.plant = scan.needles(name.encode())
        self.found: list[str] = []
        self.blind: list[str] = []  # scans that did not see the plant

    def process(self, what: str, pid: int) -> None:
        """Scans a process's memory, and the arguments of all."""
        hits = scan.in_process(pid, self.canary)
        if memory_kind() != "memfd_secret":
            hits = open_pages(pid, hits)  # the kernel has no better pages to give
        self.found += [f"memory of {what}: {hit}" for hit in hits]
        self.found += [f"arguments of {pid}, during {what}" for pid in in_arguments(self.canary)]
        if not scan.in_process(pid, self.plant):
            self.blind.append(f"memory of {what}")

    def bytes(self, what: str, blob: bytes | bytearray) -> None:
        if scan.in_bytes(bytes(blob), self.canary):
            self.found.append(what)
        if not scan.in_bytes(bytes(blob), self.plant):
            self.blind.append(what)

    def files(self, *must_show: str) -> None:
        """Scans every file of the town, and where else a process may leave one. The plant must show in the files named."""
        for place in (self.town.root, Path("/dev/shm"), Path("/run/stillvault"), Path("/var/tmp")):
            self.found += scan.in_files(place, self.canary)
        seen = scan.in_files(self.town.root, self.plant)
        self.blind += [name for name in must_show if not any(Path(one).name == name for one in seen)]

