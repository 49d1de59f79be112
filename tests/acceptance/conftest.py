"""The world in which the command line is held to its contract."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import World


@pytest.fixture(scope="module")
def place() -> Iterator[World]:
    """Alice (all roles), Bob (approver, sealer), Carol (approver), Dora (auditor); host/db-1 and agent/claude in one home, whose
    daemon serves other accounts too where root runs the tests."""
    root = Path(tempfile.mkdtemp(prefix="sv-"))
    root.chmod(0o755)
    world = World(root)
    try:
        world.start()
        alice = world.create()
        world.person("bob", "approver", "sealer")
        world.person("carol", "approver")
        world.person("dora", "auditor")
        grade = "system" if os.geteuid() == 0 else "user"
        host = world.client("host/db-1", ["prod/**", "two/**"], "--grade", grade, home="db")
        world.client("agent/claude", ["code/**"], "--host", "db-1", "--grade", grade, home="db")
        alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob", "--lease-scope", "exe")
        alice.ok("policy", "set", "two", "--match", "two/**", "--people", "alice,bob,carol", "--threshold", "2", "--window", "0s")
        alice.ok("policy", "set", "code", "--match", "code/**", "--people", "alice,bob", "--code", "--window", "0s")
        for path in ("prod/db", "prod/api", "two/db", "code/db"):
            alice.ok("seal", path, stdin=f"value of {path}".encode())
        # The agent is a program of its own: a shell by another name, and what it starts.
        shutil.copy(os.path.realpath("/bin/sh"), root / "agent")
        (host.home / "identities.toml").write_text(f'[[identity]]\nclient = "agent/claude"\nexe = "{root}/agent"\n')
        host.socket.parent.mkdir(parents=True)
        host.socket.parent.chmod(0o755)
        host.start_daemon(*(["--system"] if os.geteuid() == 0 else []))
        yield world
    finally:
        world.stop()
        shutil.rmtree(root, ignore_errors=True)
