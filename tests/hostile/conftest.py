from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile import sweep
from tests.hostile.flows import Flow
from tests.hostile.sweep import Case
from tests.hostile.town import Stage, Town


@pytest.fixture(scope="package")
def built() -> Iterator[tuple[Stage, list[tuple[Flow, list[Case]]]]]:
    """The stage with every flow set up and recorded; one for all tests here, because each run puts it back."""
    root = Path(tempfile.mkdtemp(prefix="sv-"))
    town = Town(root)
    try:
        town.start()
        stage = Stage(town)
        yield stage, sweep.prepared(stage)
        stage.close()
    finally:
        town.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def stage(built: tuple[Stage, object]) -> Iterator[Stage]:
    """Everybody as they were, nothing tampered with, nobody signed in."""
    stage = built[0]
    stage.script.reset()
    stage.fresh()
    yield stage
    stage.script.reset()
