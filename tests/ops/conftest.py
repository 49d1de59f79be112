"""A relay process on a directory of its own, as the tests of the relay have it."""

from __future__ import annotations

from tests.relay.conftest import directory, org, relay, small_disk

__all__ = ["directory", "org", "relay", "small_disk"]
