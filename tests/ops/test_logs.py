"""The relay's own log: JSON lines, facts by their type, nothing of what a request said. C13, X8."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import pytest

from stillvault.crypto.private import Value
from stillvault.relay.journal import MOST_TEXT, Journal
from stillvault.relay.notify.channels import Address
from stillvault.relay.settings import Forward
from tests.relay.parties import Organisation
from tests.relay.process import RelayProcess

CANARY = "canary-7f3a91"


def written(**facts: object) -> str:
    stream = io.StringIO()
    Journal("info", stream).info("event", **facts)  # type: ignore[arg-type]  # what a caller should not do
    return stream.getvalue()


def test_what_is_not_a_number_or_text_is_its_type() -> None:
    holders = {
        "bytes": CANARY.encode(),
        "address": Address(token=CANARY, secret=CANARY),
        "group": Forward(webhook_secret=CANARY),
        "list": [CANARY],
        "error": ValueError(CANARY),
        "value": Value.from_bytes(CANARY.encode()),
        "nothing": None,
    }
    line = written(**holders, number=7, well=True, text="plain")
    assert CANARY not in line
    facts = json.loads(line)
    assert (facts["number"], facts["well"], facts["text"]) == (7, True, "plain")
    assert (facts["bytes"], facts["group"], facts["error"]) == ("(bytes)", "(Forward)", "(ValueError)")


def test_one_event_is_one_line_whatever_a_text_holds() -> None:
    for text in ("a\nb", 'x"}\n{"level": "error"', "\x1b[2J", "\u202eevil", "\u2028", "a\rb"):
        line = written(text=text)
        assert line.endswith("\n")
        assert line[:-1].isprintable()
        assert json.loads(line)["event"] == "event"
    assert len(json.loads(written(text="x" * 10_000))["text"]) == MOST_TEXT + 3


def test_a_log_that_nobody_reads_holds_nobody_up() -> None:
    """What there is no room for is left out, and the next line says how many were."""
    reading, writing = os.pipe()
    with io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True) as stream:
        journal = Journal("info", stream)
        os.set_blocking(writing, False)
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                filled += os.write(writing, b" " * 4096)
        os.set_blocking(writing, True)
        for number in range(3):
            journal.info("event", number=number)
        while filled:
            filled -= len(os.read(reading, filled))
        journal.info("read again")
        assert json.loads(os.read(reading, 4096)) | {"time": 0} == {"time": 0, "level": "info", "event": "read again", "lost": 3}
        os.close(reading)
        journal.info("nobody is there")


def test_without_standard_error_it_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    Journal().info("event")
    assert capsys.readouterr().out == ""


def test_a_whole_life_logs_no_name_and_no_secret(directory: Path) -> None:
    relay = RelayProcess(directory / "data", log_level="debug").start()
    org = Organisation(relay).create()
    org.person("ben", "approver")
    db, secret = org.client(), org.seal(value=CANARY.encode())
    request, _, _ = db.ask()
    org.approve(org.devices["ben"], db, (request, secret)).ok()
    assert relay.call("GET", f"/v1/{CANARY}", token=CANARY * 3).status == 404
    assert relay.call("POST", "/v1/login", {CANARY: CANARY}).status == 400
    relay.stop()
    lines = [json.loads(line) for line in relay.stderr]
    assert {"time", "level", "event"} <= set.intersection(*(set(line) for line in lines))
    said = b"".join(relay.stderr).decode()
    assert [one for one in (CANARY, "prod/db", "psql", "ben", db.session, org.admin.session) if one in said] == []
