"""What several tests of the daemon's callers start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.door import Door


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as one:
        yield one
