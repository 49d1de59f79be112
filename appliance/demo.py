"""The whole loop on one machine, each step an installed command in its own process, echoed as it runs.

`make demo` runs this with a fresh directory; `make run` runs it with `--stay`, which stops after the appliance stands and leaves
it running. The value comes from a file (`--value-file`), from standard input (`--value-stdin`) or, by default, is new and random.
On a terminal each prompt waits for a key press; with `--yes`, or without a terminal, the script says so and approves by itself.
As root the host's daemon runs in system mode and the program that asks is `make` under another account; without root it is user
mode. It ends non-zero when a step fails, and leaves nothing behind but its own directory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

OTHER_UID = 65534  # nobody
MARK = ".stillvault-demo"  # in a directory that an earlier run made, and that this one may take away
STEP_SECONDS = 120  # longer than any step takes on a slow machine, with a person at the keyboard

RUN = "stillvault run"
ENCRYPT = "openssl enc -aes-256-cbc -pbkdf2 -pass env:KEY"
JOB = f"""\
# What `make` runs for the demonstration: a nightly job that needs a key. make is the program that asks; it starts
# `stillvault run`, which hands the value to openssl in its environment and to nobody else. (No quotes in a recipe: make then
# starts it without a shell.)
backup:
\t{RUN} --reason nightly-backup --env KEY=sv://prod/backup-key -- {ENCRYPT} -in plain.txt -out backup.enc
\t{RUN} --reason check-the-backup --env KEY=sv://prod/backup-key -- {ENCRYPT} -d -in backup.enc -out restored.txt
\tcmp plain.txt restored.txt
payroll:
\t{RUN} --reason just-looking --env KEY=sv://prod/payroll-key -- {ENCRYPT} -in plain.txt -out payroll.enc
vault:
\t{RUN} --reason rotate-the-master-key --env KEY=sv://prod/vault/master -- {ENCRYPT} -in plain.txt -out vault.enc
"""


class StepFailed(Exception):
    """A step did not do what the demonstration says that it does."""


class Demo:
    """One run, with its directory, its processes and its way to answer prompts."""

    def __init__(self, directory: Path, scripts: Path, *, ask: bool, port: int) -> None:
        self.directory = directory
        self.scripts = scripts
        self.ask = ask
        self.system = os.geteuid() == 0
        self.url = f"https://localhost:{port}"
        self.port = port
        self.socket = directory / "run" / "daemon.sock"
        self.processes: list[subprocess.Popen[str]] = []

    # ---- running commands ------------------------------------------------------------------------------------------------

    def environment(self, home: str) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("STILLVAULT_")}
        env["PATH"] = f"{self.scripts}:{env.get('PATH', '/usr/bin:/bin')}"
        env["STILLVAULT_SOCKET"] = str(self.socket)
        if home:
            env["STILLVAULT_HOME"] = str(self.directory / home)
        return env

    def echo(self, home: str, command: list[str]) -> None:
        who = f"[{home}] " if home else ""
        print(f"\n{who}$ {shlex.join(command)}", flush=True)

    def run(self, home: str, *command: str, value: bytes | None = None, expect: int = 0, quiet: bool = False) -> str:
        """Run a command to its end and give back what it printed."""
        self.echo(home, list(command))
        done = subprocess.run(
            command, env=self.environment(home), input=value, stdin=None if value is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE, timeout=STEP_SECONDS, check=False,
        )
        printed = done.stdout.decode()
        if not quiet and printed:
            print(printed, end="", flush=True)
        if done.returncode != expect:
            raise StepFailed(f"{shlex.join(command)} ended with {done.returncode}, not {expect}")
        return printed

    def start(self, home: str, *command: str, log: str = "") -> subprocess.Popen[str]:
        """Start a command that goes on while others run; `log` names a file of the directory for its standard error."""
        self.echo(home, [*command])
        with contextlib.ExitStack() as stack:
            errors: IO[str] | None = stack.enter_context((self.directory / log).open("w")) if log else None
            process = subprocess.Popen(
                command, env=self.environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.processes.append(process)
        return process

    def ready(self, process: subprocess.Popen[str], event: str) -> dict[str, object]:
        """The next JSON line of a process; it must be `event`."""
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise StepFailed(f"a process ended with {process.wait()} before it said {event!r}")
        said: dict[str, object] = json.loads(line)
        if said.get("event") != event:
            raise StepFailed(f"expected {event!r}, got {line.strip()!r}")
        print(line, end="", flush=True)
        return said

    def finish(self, process: subprocess.Popen[str], what: str, expect: int = 0) -> None:
        printed, _ = process.communicate(timeout=STEP_SECONDS)
        if printed:
            print(printed, end="", flush=True)
        if process.returncode != expect:
            raise StepFailed(f"{what} ended with {process.returncode}, not {expect}")

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    # ---- the steps --------------------------------------------------------------------------------------------------------

    def appliance(self) -> None:
        title("The appliance: TLS on loopback, an embedded database")
        relay = self.start(
            "", "stillvault-relay", "serve", "--data", str(self.directory / "relay"), "--listen", f"127.0.0.1:{self.port}",
            "--public-url", self.url, log="relay.log",
        )
        self.ready(relay, "ready")

    def organisation(self) -> None:
        title("An organisation: its root key is made here and not on the relay")
        data = str(self.directory / "relay")
        fingerprint = self.run("", "stillvault-relay", "fingerprint", "--data", data).strip()
        token = self.run("", "stillvault-relay", "setup-url", "--data", data).strip().partition("#")[2]
        kit = self.run(
            "alice", "stillvault", "org", "create", "Demo", "--relay", self.url, "--fingerprint", fingerprint,
            "--setup-token", token, "--person", "alice", "--no-passphrase", quiet=True,
        )
        with open(self.directory / "recovery-kit.txt", "x", opener=lambda p, f: os.open(p, f, 0o600)) as out:
            out.write(kit)
        print(f"(the recovery kit went to {self.directory / 'recovery-kit.txt'}; print yours and lock it away)")

    def join(self, who: str, home: str, invitation: list[str]) -> None:
        url = self.run("alice", "stillvault", *invitation).strip().splitlines()[-1]
        joining = self.start(
            home, "stillvault", "join", url, *([] if home == "host" else ["--no-passphrase"]), "--format", "json"
        )
        words = self.ready(joining, "words")["words"]
        print(f"({home} reads the five words to alice over the phone)")
        self.run("alice", "stillvault", "confirm", who, "--words", str(words))
        self.finish(joining, "join")

    def people(self) -> None:
        title("Two more approvers and a host: each confirmed by five words that the relay never sees")
        for person in ("bob", "carol"):
            self.join(person, person, ["person", "invite", person, "--role", "approver", "--role", "sealer"])
        grade = "system" if self.system else "user"
        host = ["client", "invite", "host/demo", "--host", "demo", "--grade", grade, "--scope", "prod/**"]
        self.join("host/demo", "host", host)

    def policies(self) -> None:
        title("Who may release what")
        everyone = ["--people", "alice,bob,carol"]
        self.run("alice", "stillvault", "policy", "set", "prod", "--match", "prod/**", *everyone, "--window", "15m")
        vault = ["policy", "set", "vault", "--match", "prod/vault/**", *everyone, "--threshold", "2", "--window", "0s"]
        self.run("alice", "stillvault", *vault)

    def seal(self, value: bytes) -> None:
        title("Seal: to the devices of the people; the relay stores what it cannot open")
        self.run("alice", "stillvault", "seal", "prod/backup-key", value=value)
        self.run("alice", "stillvault", "seal", "prod/payroll-key", value=os.urandom(24).hex().encode())
        self.run("bob", "stillvault", "seal", "prod/vault/master", value=os.urandom(24).hex().encode())
        self.run("alice", "stillvault", "secrets")

    def daemon(self) -> None:
        mode = "system mode: it serves every account" if self.system else "user mode: not root, so one account"
        title(f"The host's daemon in {mode}")
        self.socket.parent.mkdir(mode=0o755 if self.system else 0o700)
        self.socket.parent.chmod(0o755 if self.system else 0o700)
        flags = ["--system"] if self.system else []
        self.ready(self.start("host", "stillvault", "daemon", *flags, "--socket", str(self.socket), log="daemon.log"), "ready")
        job = self.directory / "job"
        job.mkdir()
        (job / "Makefile").write_text(JOB)
        (job / "plain.txt").write_text("the ledger of the year\n")
        if self.system:
            for path in (job, *job.iterdir()):
                os.chown(path, OTHER_UID, OTHER_UID)

    def job(self, target: str) -> subprocess.Popen[str]:
        """`make`, a program of the system, under another account where that can be."""
        make = ["make", "--no-print-directory", "-C", str(self.directory / "job"), target]
        drop = ["setpriv", f"--reuid={OTHER_UID}", f"--regid={OTHER_UID}", "--clear-groups"] if self.system else []
        return self.start("", *drop, *make)

    def approve(self, person: str) -> None:
        command = ["stillvault", "approve", "--next", "--wait", "60"]
        if not self.ask:
            print("(no key press: approving with --yes)")
            self.run(person, *command, "--yes")
            return
        self.echo(person, command)
        code = subprocess.run(command, env=self.environment(person), check=False).returncode
        if code != 0:
            raise StepFailed(f"{shlex.join(command)} ended with {code}")

    def release_and_lease(self) -> None:
        title("Ask, see, approve, use; then the same program again, from its lease, without a prompt")
        asking = self.job("backup")
        self.approve("bob")
        self.finish(asking, "make backup")
        print("(openssl encrypted with the value and decrypted with it again; the second time nobody was asked)")
        self.run("", "stillvault", "leases")
        print("(a lease of scope `process` goes with its process, and make has ended)")

    def deny(self) -> None:
        title("Denied once")
        asking = self.job("payroll")
        card = self.next_card("carol")
        self.run("carol", "stillvault", "deny", card, "--note", "not without a ticket")
        self.finish(asking, "make payroll", expect=2)  # make's own status for a recipe that failed, here with 10
        print("(make stopped: stillvault ended with 10, a verified deny)")

    def next_card(self, person: str) -> str:
        """The id of the card that waits in a person's inbox, once there is one."""
        until = time.monotonic() + STEP_SECONDS
        while time.monotonic() < until:
            looked = subprocess.run(
                ["stillvault", "inbox", "--format", "json"], env=self.environment(person), stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL, timeout=STEP_SECONDS, check=False,
            )
            if looked.returncode != 0:
                raise StepFailed(f"stillvault inbox ended with {looked.returncode}")
            if cards := json.loads(looked.stdout)["cards"]:
                return str(cards[0]["id"])
            time.sleep(0.2)
        raise StepFailed("no card came to the inbox")

    def quorum(self) -> None:
        title("Two of three: each releases a share, and one share tells nothing")
        asking = self.job("vault")
        self.approve("carol")
        self.approve("alice")
        self.finish(asking, "make vault")

    def removal(self) -> None:
        title("Carol leaves: what she could open is sealed anew, and the list says what to rotate upstream")
        removing = self.start("alice", "stillvault", "person", "remove", "carol", "--no-input")
        self.approve("bob")  # the quorum secret needs a second person for its re-seal
        self.finish(removing, "person remove")
        self.run("alice", "stillvault", "secrets")

    def audit(self) -> None:
        title("The log: append-only, signed, verified here")
        self.run("alice", "stillvault", "audit", "verify")
        self.run("alice", "stillvault", "audit", "tail")


def title(text: str) -> None:
    print(f"\n=== {text}", flush=True)


def fail(text: str) -> NoReturn:
    print(f"demo: {text}", file=sys.stderr)
    sys.exit(1)


def reachable(directory: Path) -> bool:
    """Can another account pass through every folder up to `directory`?"""
    return all(part.stat().st_mode & 0o001 for part in (directory, *directory.parents))


def scripts_for_all(directory: Path) -> Path:
    """The folder with the installed commands, at a place that the other account can reach.

    The daemon knows its own front by device and inode, so where this checkout lies behind a closed folder a second environment is
    made beside the demonstration's files, from the wheel, with the packages of this one.
    """
    here = Path(sys.executable).parent
    if os.geteuid() != 0 or reachable(here):
        return here
    wheels = sorted(Path("dist").glob("stillvault-*.whl"))
    if not wheels:
        fail("this checkout lies in a closed folder and there is no wheel to install elsewhere: run `make wheel` first")
    environment = directory / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    packages = next((environment / "lib").glob("python*/site-packages"))
    (packages / "demo.pth").write_text(next(place for place in sys.path if place.endswith("site-packages")) + "\n")
    pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--force-reinstall", str(wheels[-1])], check=True)
    return environment / "bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def own_directory(given: str) -> Iterator[Path]:
    """The directory of the run: the one that was given, new or of an earlier run, else one under /tmp that other accounts can
    pass through. What is not of an earlier run is never taken away."""
    try:
        if given:
            directory = Path(given).absolute()
            if (directory / MARK).is_file():
                shutil.rmtree(directory)
            elif directory.exists() and list(directory.iterdir()):
                fail(f"{directory} is not empty, and not of an earlier run: name a new directory")
            directory.mkdir(parents=True, exist_ok=True)
        else:
            directory = Path(tempfile.mkdtemp(prefix="stillvault-demo-"))
        directory.chmod(0o755)
        (directory / MARK).touch()
    except OSError as error:
        fail(f"{given or tempfile.gettempdir()} cannot be the directory: {error.strerror}")
    yield directory


def the_value(args: argparse.Namespace) -> bytes:
    if args.value_file:
        try:
            return Path(args.value_file).read_bytes()
        except OSError as error:
            fail(f"{args.value_file} cannot be read: {error.strerror}")
    if args.value_stdin:
        return sys.stdin.buffer.read()
    return os.urandom(24).hex().encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--directory", default="", help="where everything of this run lives (default: a new one under /tmp)")
    parser.add_argument("--value-file", default="", help="seal the content of this file (default: a fresh random value)")
    parser.add_argument("--value-stdin", action="store_true", help="seal what comes on standard input")
    parser.add_argument("--yes", action="store_true", help="approve without a key press")
    parser.add_argument("--stay", action="store_true", help="stop once appliance, people and host stand, and leave them running")
    args = parser.parse_args()
    value = the_value(args)
    ask = not args.yes and not args.value_stdin and sys.stdin.isatty() and sys.stdout.isatty()
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started this in the background and had SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    with own_directory(args.directory) as directory:
        demo = Demo(directory, scripts_for_all(directory), ask=ask, port=free_port())
        for home in ("alice", "bob", "carol", "host", "relay"):
            (directory / home).mkdir(mode=0o700)
        try:
            play(demo, value, stay=args.stay)
        except (StepFailed, subprocess.TimeoutExpired, OSError, ValueError) as problem:
            for name in ("relay.log", "daemon.log"):
                log = directory / name
                if log.exists():
                    print(f"--- the end of {log}\n{''.join(log.read_text().splitlines(keepends=True)[-15:])}", file=sys.stderr)
            fail(str(problem))
        except KeyboardInterrupt:
            print("\ndemo: interrupted; its processes are ended", file=sys.stderr)
            sys.exit(0 if args.stay else 130)
        finally:
            demo.stop()


def play(demo: Demo, value: bytes, *, stay: bool) -> None:
    if not demo.ask:
        print("No terminal or --yes: each prompt is shown and approved without a key press.")
    demo.appliance()
    demo.organisation()
    demo.people()
    demo.policies()
    demo.seal(value)
    demo.daemon()
    if stay:
        title("It stands. In another terminal:")
        print(f"  export STILLVAULT_SOCKET={demo.socket} PATH={demo.scripts}:$PATH")
        print("  stillvault read sv://prod/backup-key --reveal")
        print(f"  STILLVAULT_HOME={demo.directory / 'bob'} stillvault approve --next --wait 60")
        print("Ctrl-C ends it.")
        signal.pause()
    demo.release_and_lease()
    demo.deny()
    demo.quorum()
    demo.removal()
    demo.audit()
    title("How to go on")
    print(f"Everything of this run is in {demo.directory}; delete that and nothing is left.")
    print("`make run` leaves an appliance like this one running.")
    print("docs/overview.md says what happened, docs/threat-model.md what holds and what does not.")


if __name__ == "__main__":
    main()
