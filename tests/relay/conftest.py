from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.relay.parties import Organisation
from tests.relay.process import RelayProcess


@pytest.fixture
def directory() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="sv-relay-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def small_disk(directory: Path) -> Iterator[Path]:
    """8 MiB of memory, mounted. Needs root, and fails without it."""
    place = directory / "disk"
    place.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def relay(directory: Path) -> Iterator[RelayProcess]:
    process = RelayProcess(directory / "data").start()
    yield process
    process.stop()


@pytest.fixture
def org(relay: RelayProcess) -> Organisation:
    """Alice with all roles, Ben an approver; either of them decides for prod/**."""
    made = Organisation(relay).create()
    made.person("ben", "approver")
    return made
