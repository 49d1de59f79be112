"""Signature counters of passkeys, on a real database: what is an alarm, what is none, and that the metrics have each."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from stillvault.crypto.public import b64encode
from stillvault.relay.services import counters
from stillvault.relay.store import schema
from stillvault.relay.store.connection import open_writer
from stillvault.relay.store.transaction import Transaction
from stillvault.relay.store.tree import Tree
from stillvault.relay.telemetry.metrics import Metrics

HERE, SYNCED = 0x05, 0x1D  # present and verified; may be backed up and is


def signed(number: int, flags: int = HERE, key: str = "one") -> bytes:
    data = bytes(32) + bytes([flags]) + number.to_bytes(4, "big")
    return json.dumps({"signatures": [{"alg": "webauthn-es256", "key": key, "auth_data": b64encode(data)}]}).encode()


@pytest.mark.parametrize(("objects", "alarms"), [
    ([signed(1), signed(2), signed(9)], [False, False, False]),
    ([signed(9), signed(8), signed(9), signed(10)], [False, True, True, False]),
    ([signed(9), signed(0)], [False, True]),
    ([signed(0), signed(0), signed(1)], [False, False, False]),  # it counts nothing until it counts
    ([signed(9), signed(1, key="two")], [False, False]),  # each passkey has its own
    ([signed(9, SYNCED), signed(1, SYNCED)], [False, False]),  # it is meant to be in several
    ([b'{"signatures":[{"alg":"es256","key":"one"}]}'], [False]),  # no passkey
])  # fmt: skip
def test_a_number_that_was_passed_is_an_alarm(directory: Path, objects: list[bytes], alarms: list[bool]) -> None:
    metrics = Metrics()
    with closing(open_writer(directory / "x.db")) as db:
        schema.migrate(db)
        for one, alarm in zip(objects, alarms, strict=True):
            tx = Transaction(db, Tree(db))
            assert (counters.watch(tx, one) == counters.BACK) is alarm
            metrics.happened(tx.marks)
    assert f"stillvault_passkey_counters_back_total {float(sum(alarms))}" in metrics.page().decode()
