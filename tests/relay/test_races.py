"""Many at once, and everything twice: one effect, one terminal state, and an audit that agrees. C9, R15, R20."""

from __future__ import annotations

import random
from collections.abc import Callable

from stillvault.crypto.public import b64encode, oid_of
from tests.relay.parties import Json, Organisation, now, wire
from tests.relay.process import Answer
from tests.relay.test_bearers import parallel

ROUNDS = 25
KINDS = {"pending": 0, "approved": 1, "denied": 1, "cancelled": 1}


def test_approve_deny_and_cancel_at_once(org: Organisation) -> None:  # C9
    cleo = org.person("cleo", "approver")
    db, secret = org.client(), org.seal()
    ben = org.devices["ben"]
    for device in (org.admin, ben, cleo):
        assert device.session
    chance = random.Random(7)
    for number in range(ROUNDS):
        request, _, asked = db.ask(exe=f"/bin/{number}")
        asked.ok()
        release = {"release": wire(org.release(ben, db, (request, secret)))[0]}
        other = {"release": wire(org.release(cleo, db, (request, secret)))[0]}
        deny = {"decision": wire(org.decision(org.admin, "deny", (request, secret), by=org.admin.deny))[0]}
        calls: list[Callable[[], Answer]] = [
            lambda: ben.post("/v1/decisions", release),  # noqa: B023  used in this round
            lambda: cleo.post("/v1/decisions", other),  # noqa: B023
            lambda: org.admin.post("/v1/decisions", deny),  # noqa: B023
            lambda: db.cancel(request),  # noqa: B023
        ]
        chance.shuffle(calls)
        answers = parallel(4, lambda which: calls[which]())  # noqa: B023
        assert {answer.status for answer in answers} == {200}
        rows = [row["kind"] for row in org.leaves() if row.get("request") == b64encode(oid_of(request))]
        state = db.state(request)["state"]
        hand_overs = rows.count("released")
        assert hand_overs <= 1
        # A deny after the hand-over revokes; a cancel after it comes too late; nothing else follows the first terminal move.
        assert state in ({"approved", "revoked"} if hand_overs else {"denied", "cancelled"})
        assert (state == "revoked") == ("revoked" in rows)
        assert rows.count("denied") == 1, "a deny is logged, be it late"


def test_everything_three_times_and_shuffled_has_one_effect(org: Organisation) -> None:  # R15
    db, secret = org.client(), org.seal()
    ben = org.devices["ben"]
    request, _ = db.request()
    db.post("/v1/requests", {"requests": wire(request)}).ok()
    release = {"release": wire(org.release(ben, db, (request, secret)))[0]}
    said = {"org": org.pin, "request": b64encode(oid_of(request)), "secret": b64encode(oid_of(secret)), "result": "delivered"}
    receipt = db.key.sign("receipt", encoded({**said, "issued": now()}))
    steps: list[tuple[str, Json, str]] = [
        ("/v1/requests", {"requests": wire(request)}, db.session),
        ("/v1/decisions", release, ben.session),
        ("/v1/receipts", {"objects": wire(receipt)}, db.session),
    ]
    # In order at first, then all of it again in any order.
    for path, body, token in steps:
        org.relay.call("POST", path, body, token=token).ok()
    again = steps * 2
    random.Random(3).shuffle(again)
    for path, body, token in again:
        assert org.relay.call("POST", path, body, token=token).status < 300
    kinds = [row["kind"] for row in org.leaves() if row.get("request") == b64encode(oid_of(request))]
    assert kinds == ["requested", "approved", "released", "delivered"]
    assert db.state(request)["state"] == "delivered"


def encoded(value: Json) -> bytes:
    from stillvault.crypto.public import encode

    return encode(value)


def test_fifty_writers_at_once(org: Organisation) -> None:  # R20
    db = org.client()
    org.seal()
    bodies = [{"requests": wire(db.request(exe=f"/bin/{number}")[0])} for number in range(50)]
    assert db.session
    answers = parallel(50, lambda number: db.post("/v1/requests", bodies[number]))
    assert {answer.status for answer in answers} == {201}
    assert len(org.leaves("requested")) == 50


def test_a_request_ends_at_its_deadline_and_a_late_decision_is_late(org: Organisation) -> None:  # R14, A15
    db, secret = org.client(), org.seal()
    request, _, asked = db.ask(expires=now() + 2)
    asked.ok()
    release = org.release(org.admin, db, (request, secret))
    cursor = db.get("/v1/events?after=0").ok()["cursor"]
    event = db.get(f"/v1/events?after={cursor}&wait=20").ok()["events"][0]
    assert (event["kind"], event["state"]) == ("state", "expired")
    # Its own end has come too: the signature is no longer in date.
    assert org.admin.post("/v1/decisions", {"release": wire(release)[0]}).status == 422
    late = org.decision(org.admin, "deny", (request, secret), by=org.admin.deny, expires=now() + 60)
    decided = org.admin.post("/v1/decisions", {"decision": wire(late)[0]}).ok()
    assert (decided["states"], decided["late"]) == (["expired"], [b64encode(oid_of(request))])
    assert [row["detail"].get("outcome") for row in org.leaves("denied")] == ["late"]


def test_times_and_windows_out_of_range_are_refused(org: Organisation) -> None:  # C14
    db = org.client()
    org.seal()
    for changes in (
        {"expires": now() - 1},
        {"expires": now() + 301},
        {"expires": now() + 2**31},
        {"issued": now() + 1000, "expires": now() + 1100},
        {"purpose": "reseal"},
        {"minimum": [9, 0]},
        {"roster": [1, 99]},
    ):
        answer = db.ask(**changes)[2]  # type: ignore[arg-type]
        assert answer.status in (409, 422), (changes, answer.body)
    assert org.leaves("requested") == []
    # A window may ask for too much: what counts is the least of all (section 10).
    secret = org.seal("prod/long")
    request, _, asked = db.ask("prod/long", window=2**50)
    asked.ok()
    org.approve(org.admin, db, (request, secret)).ok()
    assert [row["detail"]["window"] for row in org.leaves("released")] == [300]
