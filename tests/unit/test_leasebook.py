"""The book of leases: what has ended is wiped, whatever becomes of the reports about it; reports fit into what can be sent."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from stillvault.client.leasebook import LeaseBook, Uses, parts, use_payload
from stillvault.crypto.private import SigningKey, Value


def opened(window: int) -> Any:
    secret = SimpleNamespace(version=(1, 0))
    return SimpleNamespace(window=window, uses=0, approvers=(), secret=secret, value=Value.from_bytes(b"x"))


def insert(book: LeaseBook, path: str, window: int) -> None:
    client, caller = SimpleNamespace(subject="host/db-1"), SimpleNamespace(uid=1, exe=SimpleNamespace(path="/bin/a"))
    book.insert(client, path, ("process", path.encode().ljust(32, b"0")), opened(window), caller, path.encode().ljust(32), None)  # type: ignore[arg-type]


def test_a_report_that_fails_keeps_no_value_from_being_wiped() -> None:
    async def work() -> None:
        failed: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failed.append(str(context["exception"])))
        book = LeaseBook()

        def report() -> None:
            raise RuntimeError("no report")

        book.on_end = report
        insert(book, "prod/first", 1)
        insert(book, "prod/second", 2)
        for lease in book.requests():
            book._uses[lease] = Uses(subject="host/db-1", first=1, last=1)
        async with asyncio.timeout(20):
            while book.requests():
                await asyncio.sleep(0.05)
        assert failed

    asyncio.run(work())


@pytest.mark.parametrize(("count", "length"), [(1, 24_000), (20, 4_000), (40, 24_000), (3_000, 10)])
def test_every_use_is_in_a_report_that_can_be_sent(count: int, length: int) -> None:
    key, uses = SigningKey.generate("ed25519"), Uses(subject="host/db-1", first=1, last=2)
    uses.by = {(1, f"/{number}".ljust(length, "\\"), "A" * 43): number + 1 for number in range(count)}
    payloads = [use_payload(bytes(32), bytes(32), part, 3) for part in parts(uses)]
    for payload in payloads:
        key.sign("use", payload)
    lines = [line for payload in payloads for line in json.loads(payload)["by"]]
    assert {(line["uid"], line["exe"], line["exe_sha256"]): line["count"] for line in lines} == uses.by
    assert len(lines) == count
