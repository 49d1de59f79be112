"""The relay under load: of this environment, in a container, or wherever it is.

All three run with the profile `laboratory`, which lifts what holds a relay back from people's screens: without it the load is
refused after a handful of cards, as it should be. The relay says so in its log at each start.
"""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from stillvault.relay import tls
from tests.relay.process import SETUP_TOKEN, Reached, RelayProcess
from tests.world import end, free_port, read_line

PROGRAM = "/opt/stillvault/bin/stillvault-relay"  # in the image
HARDENED = ("--read-only", "--cap-drop=all", "--security-opt", "no-new-privileges", "--pids-limit", "200", "--network", "host")


@dataclass(frozen=True)
class Target:
    """`pid` is that of its process on this machine, 0 where it has none."""

    relay: Reached
    token: str
    pid: int
    kind: str


@contextmanager
def process(folder: Path) -> Iterator[Target]:
    """A relay of this environment, its data below `folder`."""
    relay = RelayProcess(folder / "relay").start()
    try:
        yield Target(relay, SETUP_TOKEN, relay.pid, "a process")
    finally:
        relay.stop()


@contextmanager
def container(folder: Path, image: str, engine: str) -> Iterator[Target]:
    """The image, hardened as documented, on the network of this machine, with a volume that goes with it."""
    port = free_port()
    name, url = f"stillvault-load-{port}", f"https://localhost:{port}"
    settings = {"LISTEN": f"127.0.0.1:{port}", "PUBLIC_URL": url, "PROFILE": "laboratory", "SETUP_TOKEN": SETUP_TOKEN}
    given = [word for key, value in settings.items() for word in ("--env", f"STILLVAULT_RELAY_{key}={value}")]
    with (folder / "container.log").open("wb") as log:
        running = subprocess.Popen([engine, "run", "--rm", "--name", name, *HARDENED, "--volume", "/data", *given, image],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
    try:
        try:
            read_line(running)
        except AssertionError as error:
            raise SystemExit(f"the container did not start: {error}\n{(folder / 'container.log').read_text()[-2000:]}") from None
        pid = json.loads(_said(engine, "inspect", "--format", "{{json .State.Pid}}", name))
        ca = folder / "ca.pem"
        ca.write_bytes(_authority(url))
        if tls.fingerprint(ca.read_bytes()) != _said(engine, "exec", name, PROGRAM, "fingerprint").strip():
            raise SystemExit("the certificate of the container is not the one that its relay names")
        yield Target(Reached("localhost", port, ca), SETUP_TOKEN, pid, f"the image {image}")
    finally:
        subprocess.run([engine, "stop", "--time", "10", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        end(running)


def elsewhere(url: str, ca: Path, token: str) -> Target:
    """A relay that stands: laboratory, without an organisation, with a setup token."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
        raise SystemExit("--relay is not https://name[:port]")
    return Target(Reached(parts.hostname, parts.port or 443, ca), token, 0, url)


def _said(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def _authority(url: str) -> bytes:
    """The relay's CA over a line that nothing was verified on yet: what comes is held against the fingerprint."""
    blind = ssl._create_unverified_context()
    with urlopen(f"{url}/ca.pem", context=blind, timeout=30) as answer:  # the name is localhost
        return bytes(answer.read())
