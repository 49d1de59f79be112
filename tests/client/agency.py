"""A house with agents: programs of their own, and an `identities.toml` that names them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.client.dialogue import ROOT, leases
from tests.client.house import House

GRADE = "system" if ROOT else "user"
WHOAMI = "stillvault whoami --format json"


def agency() -> Iterator[House]:
    """The house: the host may ask for prod/**, agent/helper for prod/agent/**, agent/other for other/**."""
    one = House(system=ROOT)
    try:
        one.build()
        for who, scope in (("agent/helper", "prod/agent/**"), ("agent/other", "other/**")):
            one.join(who, "host", "client", "invite", who, "--host", "db-1", "--grade", GRADE, "--scope", scope)
        one.policy("other", "other/**")
        one.policy("agent", "prod/agent/**", "--lease-scope", "task")
        one.policy("each", "prod/agent/each/**")
        one.policy("host-task", "prod/host/**", "--lease-scope", "task")
        for path in ("prod/agent/key", "prod/agent/more", "prod/agent/each/key", "other/key", "prod/db", "prod/host/key"):
            one.seal(path, f"value of {path};".encode())
        for name in ("agent", "agent-two", "agent-three"):
            program(one, name)
        named(one)
        one.start_daemon()
        yield one
    finally:
        one.close()


def restore(house: House) -> None:
    """A daemon that runs, the file of the beginning, no lease."""
    if house.daemon.poll() is not None:
        house.start_daemon()
    named(house)
    house.run("", "stillvault", "leases", "purge")


def named(house: House) -> None:
    identities(house, entry(exe=path_of(house, "agent")), entry("agent/other", exe=path_of(house, "agent-two")))


def path_of(house: House, name: str) -> str:
    return str(house.folder / "bin" / name)


def program(house: House, name: str, suffix: bytes = b"") -> str:
    """A shell that is a program of its own."""
    path = Path(path_of(house, name))
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(0o755)
    fresh = path.with_name(f".{name}")
    shutil.copy(os.path.realpath("/bin/sh"), fresh)
    with fresh.open("ab") as file:
        file.write(suffix)
    fresh.chmod(0o755)
    fresh.rename(path)
    return str(path)


def entry(client: str = "agent/helper", **conditions: object) -> str:
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"client": client, **conditions}.items()]
    return "\n".join(["[[identity]]", *lines, ""])


def identities(house: House, *entries: str) -> None:
    """The file, put into place whole; with no entry, one that says so."""
    file = house.folder / "host" / "identities.toml"
    fresh = file.with_suffix(".new")
    fresh.write_text("\n".join(entries) or "identity = []\n")
    fresh.chmod(0o644)
    fresh.rename(file)


def agent(house: House, script: str, name: str = "agent", **how) -> subprocess.Popen:
    """The agent, running a script in a session of its own."""
    process = house.start("", path_of(house, name), "-c", f"{script}\nexit 0", session=True, **how)
    house.shells.append(process)
    return process


def told(house: House, process: subprocess.Popen) -> dict:
    """What `whoami` printed."""
    out, err = house.ended(process)
    assert out, err
    return json.loads(out)


def lease_uses(house: House) -> int:
    return sum(one["uses"] for one in leases(house))
