"""One town for all tests of the command line that do not change who lives there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import World


@pytest.fixture(scope="session")
def town() -> Iterator[World]:
    """Alice (all roles), Bob and Carol (approvers; Carol seals too), host/db-1 with its daemon, and policies:

    `prod/**` by any of the three, no lease; `lease/**` likewise with a lease of 15 minutes; `two/**` by two of the three;
    `code/**` by Alice or Bob, who must type the code.
    """
    root = Path(tempfile.mkdtemp(prefix="sv-"))
    world = World(root)
    try:
        world.start()
        alice = world.create()
        world.person("bob", "approver")
        world.person("carol", "approver", "sealer")
        db = world.client("host/db-1", ["prod/**", "lease/**", "two/**", "code/**"])
        people = ("--people", "alice,bob,carol", "--lease-scope", "exe")
        alice.ok("policy", "set", "prod", "--match", "prod/**", *people, "--window", "0s")
        alice.ok("policy", "set", "lease", "--match", "lease/**", *people)
        alice.ok("policy", "set", "two", "--match", "two/**", *people, "--threshold", "2", "--window", "0s")
        alice.ok("policy", "set", "code", "--match", "code/**", "--people", "alice,bob", "--code", "--window", "0s")
        for path in ("prod/db", "prod/api", "lease/db", "two/db", "code/db"):
            alice.ok("seal", path, stdin=f"value of {path}".encode())
        db.start_daemon()
        for party in world.parties.values():  # the cards of all tests together are more than a person's hour
            settings = party.home / "settings.json"
            settings.write_text('{"limits":{"shown_per_hour":10000,"shown_at_once":1000,"approvals_before_code":10000}}')
            settings.chmod(0o600)
        yield world
    finally:
        world.stop()
        shutil.rmtree(root, ignore_errors=True)
