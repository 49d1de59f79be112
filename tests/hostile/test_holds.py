"""What the relay says of freezes: it may hide one or end it, for it could ask nobody anyway; it cannot say who froze whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stillvault.admin import clients, publish
from stillvault.crypto.private import SigningKey
from stillvault.crypto.public import b64decode, b64encode, encode
from tests.hostile import flows
from tests.hostile.test_people import on
from tests.hostile.town import SUBJECT, Stage, clock

HOUR = 3600
Hold = dict[str, Any]


@pytest.fixture
def frozen(stage: Stage) -> Iterator[Hold]:
    """bob froze the host; what the relay says of that."""
    stage.script.reset()
    with stage.daemon.running():
        caller = stage.daemon.call()
        ends = caller.get(flows.RELEASE)
        assert caller.event()["event"] == "pending"
        with stage.account("bob") as bob:
            (card,) = flows.prompts.waiting(bob).cards
            flows.decide.refuse(bob, card, "freeze", until=clock() + HOUR)
        assert caller.last()["exit"] == 10
        caller.sock.close()
        for end in ends:
            flows.os.close(end)
    line(stage)
    answer = next(one.body for one in reversed(stage.script.record) if (one.direction, one.route) == ("answer", "GET /v1/holds"))
    yield json.loads(answer)["holds"][0]
    stage.script.reset()
    with stage.account("alice") as alice:
        publish.lift_freezes(alice, SUBJECT)


def line(stage: Stage) -> list[dict[str, Any]]:
    """How an administrator sees the freezes of the host."""
    with stage.account("alice") as alice:
        (found,) = [one for one in clients.shown(alice, alice.trust()) if one["subject"] == SUBJECT]
    shown: list[dict[str, Any]] = found["freezes"]
    return shown


def said(stage: Stage, change: Callable[[list[Hold]], object]) -> list[dict[str, Any]]:
    stage.script.reset(on("GET /v1/holds", lambda body: change(body["holds"])))
    return line(stage)


def test_who_froze_whom_is_what_was_signed(stage: Stage, frozen: Hold) -> None:
    genuine = line(stage)
    assert [(one["by"], one["until"]) for one in genuine] == [("bob", frozen["until"])]
    # Hidden, ended early: the relay's to do. Said to last longer than it was signed for, or to be another's: not.
    assert said(stage, lambda holds: holds.clear()) == []
    assert said(stage, lambda holds: holds[0].update(until=clock() + 60))[0]["until"] < frozen["until"]
    assert said(stage, lambda holds: holds[0].update(until=2**50)) == genuine
    assert said(stage, lambda holds: holds[0].update(subject="host/other")) == []
    payload = json.loads(b64decode(frozen["decision"]["payload"]))
    for change, code in (({"person": "cleo", "device": "cleo-laptop"}, "signature"), ({"verdict": "deny"}, "signature"),
                         ({"expires": 2**50}, "signature"), ({"org": b64encode(bytes(32))}, "org")):
        forged = {**frozen["decision"], "payload": b64encode(encode({**payload, **change}))}
        (one,) = said(stage, lambda holds, forged=forged: holds[0].update(decision=forged))  # type: ignore[misc]
        assert "by" not in one, change
        assert one["check"] in (code, "device"), change
    own = json.loads(SigningKey.generate("ed25519").sign("decision", encode(payload)))
    assert said(stage, lambda holds: holds[0].update(decision=own))[0]["check"] == "signature"
    assert said(stage, lambda holds: holds[0].pop("request"))[0]["check"] == "item"
    assert said(stage, lambda holds: holds[0].pop("decision"))[0]["check"] == "relay"
    other = {**frozen["request"], "payload": b64encode(b64decode(frozen["request"]["payload"]).replace(b'"use"', b'"uses"'))}
    assert said(stage, lambda holds: holds[0].update(request=other))[0]["check"] == "item"
