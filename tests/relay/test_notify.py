"""Messages to people's own targets: what leaves, what becomes of it, and that nothing waits for it. A26."""

from __future__ import annotations

import hmac
import json
import signal
from pathlib import Path

import pytest

from stillvault.relay.notify.dispatcher import AT_ONE_PLACE
from tests.relay.listeners import Arrived, closed_port, listening, until
from tests.relay.notified import NAMES, asked, card_id, ended, organisation, target
from tests.relay.parties import payload, same_card, wire


def check_hook(one: Arrived, link: str, card: str) -> None:
    stamp, body = one.headers["stillvault-timestamp"], one.body
    tag = hmac.digest(b"w" * 40, stamp.encode() + b"." + body, "sha256").hex()
    assert one.headers["stillvault-signature"] == f"v1={tag}"
    text = f"1 release is waiting: {link}"
    said = {"v": 1, "event": "waiting", "waiting": 1, "card": card, "url": link, "text": text, "time": int(stamp)}
    assert json.loads(body) == said


@pytest.mark.parametrize("kind", ["ntfy", "gotify", "webhook"])
def test_one_post_without_a_name_for_a_card_of_two_secrets(directory: Path, kind: str) -> None:
    with listening() as listener, organisation(directory, listener.port) as org:
        ben, db = org.devices["ben"], org.client()
        org.seal("prod/db")
        org.seal("prod/other")
        target(ben, listener, kind=kind)
        first, _ = db.request("prod/db")
        second, _ = db.request("prod/other", **same_card(first))
        db.post("/v1/requests", {"requests": wire(first, second)}).ok()
        rows = until(lambda: ended(org, kind))
        said = [(row["actor"], row["detail"]["device"], row["detail"]["outcome"]) for row in rows]
        assert said == [("ben", "pixel", "sent")] * 2
        assert {row["detail"]["secret"] for row in rows} == {"prod/db", "prod/other"}
        assert len(listener.arrived) == 1
        one, card = listener.arrived[0], card_id(first)
        link = f"{org.relay.url}/pending/{card}"
        if kind == "ntfy":
            assert (one.path, one.body, one.headers["click"]) == ("/releases", b"1 release is waiting", link)
            assert one.headers["authorization"] == "Bearer tk_" + "n" * 29
        elif kind == "gotify":
            assert (one.path, one.headers["x-gotify-key"]) == ("/message", "A" + "g" * 14)
            assert json.loads(one.body)["message"] == "1 release is waiting"
            assert json.loads(one.body)["extras"]["client::notification"]["click"]["url"] == link
        else:
            check_hook(one, link, card)
        assert [name for name in NAMES if name in one.all] == []


def test_a_dead_listener_holds_nothing_up_and_is_written_down(directory: Path) -> None:
    holder = closed_port()
    port = holder.getsockname()[1]
    with organisation(directory, port) as org:
        db, secret = org.client(), org.seal()
        target(org.devices["ben"], port)
        request = asked(db)
        rows = until(lambda: ended(org))
        assert [(row["detail"]["outcome"], row["detail"]["count"]) for row in rows] == [("failed: connect", 3)]
        assert org.devices["ben"].get("/v1/targets").ok()["targets"][0]["last"] == "connect"
        org.approve(org.devices["ben"], db, (request, secret)).ok()
        assert db.state(request)["state"] == "approved"
    holder.close()


def test_a_failure_that_passes_is_tried_again_and_one_that_does_not_is_not(directory: Path) -> None:
    with listening(503, 200) as flaky, listening(401) as refusing, organisation(directory, flaky.port, refusing.port) as org:
        db = org.client()
        org.seal()
        target(org.devices["ben"], flaky)
        target(org.admin, refusing)
        asked(db)
        rows = until(lambda: (found := ended(org)) and len(found) == 2 and found)
        said = {row["actor"]: (row["detail"]["outcome"], row["detail"]["count"]) for row in rows}
        assert said == {"ben": ("sent", 2), "alice": ("failed: http-401", 1)}
        assert (len(flaky.arrived), len(refusing.arrived)) == (2, 1)


def test_a_host_that_is_not_listed_is_refused_and_never_connected_to(directory: Path) -> None:
    with listening() as listener, organisation(directory, listener.port) as org:
        ben, db = org.devices["ben"], org.client()
        org.seal()
        made = target(ben, listener)
        port = listener.port
        for url in (f"https://127.0.0.1:{port}", "http://127.0.0.1:1", f"http://localhost:{port}", "https://ntfy.sh"):
            answer = ben.post("/v1/targets", {"kind": "ntfy", "name": "other", "url": url, "topic": "t"})
            assert (answer.status, answer.code, answer.json["field"]) == (403, "egress", "url")
        # The operator takes the host from the list: what people named before gets nothing more.
        org.relay.stop()
        org.relay.settings["notify.egress"] = ""
        org.relay.start()
        asked(db)
        assert [row["detail"]["outcome"] for row in until(lambda: ended(org))] == ["failed: egress"]
        assert ben.post("/v1/targets/test", {"id": made["id"]}).ok() == {"sent": False, "outcome": "egress"}
        assert ben.get("/v1/targets").ok()["kinds"] == ["browser"]
        assert listener.arrived == []


def test_a_redirect_is_not_followed(directory: Path) -> None:
    with (
        listening() as other,
        listening(307, location=f"http://127.0.0.1:{other.port}/") as listener,
        organisation(directory, listener.port, other.port) as org,
    ):
        db = org.client()
        org.seal()
        target(org.devices["ben"], listener)
        asked(db)
        assert [row["detail"]["outcome"] for row in until(lambda: ended(org))] == ["failed: redirect"]
        assert (len(listener.arrived), other.arrived) == (1, [])


def test_a_slow_listener_delays_no_other_and_not_the_relay(directory: Path) -> None:
    patient = {"notify.timeout_seconds": "30", "notify.targets_per_person": "50"}
    with (
        listening(silent=True) as slow,
        listening() as prompt,
        organisation(directory, slow.port, prompt.port, **patient) as org,
    ):
        db, secret = org.client(), org.seal()
        for number in range(40):  # more than may be under way at once
            target(org.admin, slow, name=f"slow-{number}")
        target(org.devices["ben"], prompt)
        request = asked(db)
        until(lambda: len(slow.arrived) == AT_ONE_PLACE)
        assert [row["actor"] for row in until(lambda: ended(org))] == ["ben"]
        org.approve(org.devices["ben"], db, (request, secret)).ok()
        assert db.state(request)["state"] == "approved"
        assert len(slow.arrived) == AT_ONE_PLACE
        assert org.relay.stop() == 0, "and it ends while that message is under way"
        slow.gate.set()
        org.relay.start()


def test_what_waits_survives_a_kill(directory: Path) -> None:
    holder = closed_port()
    port = holder.getsockname()[1]
    with organisation(directory, port, **{"notify.retry_seconds": "2"}) as org:
        db = org.client()
        org.seal()
        target(org.devices["ben"], port)
        request = asked(db)
        org.relay.stop(signal.SIGKILL)
        with listening(holder=holder) as listener:
            org.relay.start()
            rows = until(lambda: ended(org))
            assert [row["detail"]["outcome"] for row in rows] == ["sent"]
            assert len(listener.arrived) == 1
            assert card_id(request) in listener.arrived[0].all


# ---- how often ---------------------------------------------------------------------------------------------------------


def test_what_comes_together_is_told_together(directory: Path) -> None:
    with listening() as listener, organisation(directory, listener.port, **{"notify.every_seconds": "3600"}) as org:
        db = org.client()
        for path in ("prod/a", "prod/b", "prod/c"):
            org.seal(path)
        target(org.devices["ben"], listener)
        asked(db, "prod/a")
        until(lambda: ended(org))
        asked(db, "prod/b")
        last = asked(db, "prod/c")
        org.relay.stop()
        org.relay.settings["notify.every_seconds"] = "0"
        org.relay.start()
        rows = until(lambda: (found := ended(org)) and len(found) == 3 and found)
        assert [row["detail"]["outcome"] for row in rows] == ["sent"] * 3
        assert [one.body for one in listener.arrived] == [b"1 release is waiting", b"3 releases are waiting"]
        assert card_id(last) in listener.arrived[1].all


def test_above_the_hours_number_cards_are_grouped_silently(directory: Path) -> None:
    with listening() as listener, organisation(directory, listener.port, **{"notify.per_hour": "1"}) as org:
        db = org.client()
        org.seal("prod/a")
        org.seal("prod/b")
        target(org.devices["ben"], listener)
        asked(db, "prod/a")
        until(lambda: ended(org))
        asked(db, "prod/b")
        rows = until(lambda: (found := ended(org)) and len(found) == 2 and found)
        assert [row["detail"]["outcome"] for row in rows] == ["sent", "grouped"]
        assert len(listener.arrived) == 1


def test_nothing_is_sent_for_what_was_decided_meanwhile(directory: Path) -> None:
    with listening() as listener, organisation(directory, listener.port, **{"notify.every_seconds": "3600"}) as org:
        db = org.client()
        secrets = [org.seal("prod/a"), org.seal("prod/b")]
        target(org.devices["ben"], listener)
        asked(db, "prod/a")
        until(lambda: ended(org))
        request = asked(db, "prod/b")
        org.approve(org.admin, db, (request, secrets[1])).ok()
        rows = until(lambda: (found := ended(org)) and len(found) == 2 and found)
        assert [row["detail"]["outcome"] for row in rows] == ["sent", "not needed"]
        assert len(listener.arrived) == 1


def test_a_prompt_that_only_moved_makes_no_second_alert(directory: Path) -> None:
    with listening() as listener, organisation(directory, listener.port) as org:
        db = org.client()
        org.seal()
        target(org.devices["ben"], listener)
        first = asked(db)
        until(lambda: ended(org))
        seen = payload(first)["observed"]
        second = asked(db, observed=seen, claimed={"reason": "again"})
        assert db.state(first)["state"] == "cancelled"
        org.seal("prod/other")
        asked(db, "prod/other")
        until(lambda: len(listener.arrived) == 2)
        assert card_id(second) not in "".join(one.all for one in listener.arrived)


# ---- whose -------------------------------------------------------------------------------------------------------------


def test_who_is_dropped_hears_nothing_more(directory: Path) -> None:
    with listening() as listener, organisation(directory, listener.port) as org:
        db = org.client()
        org.seal()
        target(org.devices["ben"], listener)
        target(org.admin, listener, name="desk")
        del org.devices["ben"]
        org.policy = {**org.policy, "people": ["alice"]}
        org.publish().ok()
        org.seal("prod/later")
        asked(db, "prod/later")
        assert [row["detail"]["device"] for row in until(lambda: ended(org))] == ["desk"]
        assert len(listener.arrived) == 1
