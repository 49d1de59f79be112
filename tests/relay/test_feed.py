"""Events by cursor: long poll for clients, a stream for people. Nothing hangs on a connection that lives. C20, N9."""

from __future__ import annotations

import json
import threading
from typing import Any

from stillvault.crypto.public import b64encode, oid_of
from tests.relay.parties import Organisation


class Stream:
    """An open event stream of a person."""

    def __init__(self, org: Organisation, token: str, last: int | None = None) -> None:
        self.connection = org.relay.connection()
        headers = {"Authorization": f"Bearer {token}"} | ({} if last is None else {"Last-Event-ID": str(last)})
        self.connection.request("GET", "/v1/stream", headers=headers)
        self.response = self.connection.getresponse()

    def __enter__(self) -> Stream:
        assert (self.response.status, self.response.getheader("content-type")) == (200, "text/event-stream; charset=utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def block(self) -> dict[str, str]:
        """The next block: its fields, or a comment under the empty name. Empty when the stream ended."""
        fields: dict[str, str] = {}
        while line := self.response.readline():
            text = line.decode().rstrip("\n")
            if not text:
                return fields
            name, _, value = text.partition(":")
            fields[name] = value.strip()
        return fields

    def event(self) -> dict[str, Any]:
        while block := self.block():
            if "data" in block:
                data: dict[str, Any] = json.loads(block["data"])
                assert (int(block["id"]), block["event"]) == (data["id"], data["kind"])
                return data
        raise AssertionError("the stream ended")


def test_a_stream_prompts_resumes_and_lives(org: Organisation) -> None:
    db, _ = org.client(), org.seal()
    ben = org.devices["ben"]
    with Stream(org, ben.session) as stream:
        assert stream.block() == {"": "stillvault"}
        request, _, _ = db.ask()
        first = stream.event()
        assert (first["kind"], first["request"], first["path"]) == ("prompt", b64encode(oid_of(request)), "prod/db")
        rows = org.leaves("prompted")
        assert [(row["actor"], row["detail"]["device"], row["detail"]["channel"]) for row in rows] == [
            ("ben", "ben-phone", "sse")
        ]
        assert stream.block() == {"": "alive"}  # the heartbeat
    # What happened while nobody listened comes first when somebody does again; nothing comes twice, nobody is prompted twice.
    db.cancel(request).ok()
    again, _, _ = db.ask()
    with Stream(org, ben.session, first["id"]) as stream:
        kinds = [(event["kind"], event["request"]) for event in (stream.event(), stream.event())]
    assert kinds == [("withdrawn", b64encode(oid_of(request))), ("prompt", b64encode(oid_of(again)))]
    with Stream(org, ben.session, first["id"]) as stream:
        stream.event()
        assert stream.event()["request"] == b64encode(oid_of(again))
    assert len([row for row in org.leaves("prompted") if row["actor"] == "ben"]) == 2
    assert all("payload" not in json.dumps(row) for row in org.leaves()), "the log names things and holds no signed object"


def test_a_long_poll_wakes_at_once_and_by_cursor(org: Organisation) -> None:
    db, secret = org.client(), org.seal()
    request, _, _ = db.ask()
    cursor = db.get("/v1/events?after=0").ok()["cursor"]
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(db.get(f"/v1/events?after={cursor}&wait=25").ok()))
    waiting.start()
    org.approve(org.admin, db, (request, secret)).ok()
    waiting.join(20)
    assert [(event["kind"], event["state"]) for event in answers[0]["events"]] == [("state", "approved")]
    # A cursor from before sees it again: delivery does not depend on the poll that died.
    assert db.get(f"/v1/events?after={cursor}").ok()["events"] == answers[0]["events"]
    assert db.get(f"/v1/events?after={answers[0]['cursor']}").ok()["events"] == []


def test_a_client_hears_of_its_own_alone(org: Organisation) -> None:
    db, other = org.client(), org.client("host/other")
    org.seal()
    request, _, _ = db.ask()
    db.cancel(request).ok()
    events = other.get("/v1/events?after=0").ok()["events"]
    assert {event["kind"] for event in events} == {"roster"}
    assert org.relay.call("GET", "/v1/stream", token=db.session).code == "forbidden"
    assert org.admin.get("/v1/events").code == "forbidden"


def test_a_revoked_client_and_a_dropped_person_are_cut_off(org: Organisation) -> None:  # C20
    db = org.client()
    ben = org.devices["ben"]
    cursor = db.get("/v1/events?after=0").ok()["cursor"]
    poll = org.relay.connection()
    poll.request("GET", f"/v1/events?after={cursor}&wait=25", headers={"Authorization": f"Bearer {db.session}"})
    with Stream(org, ben.session) as stream:
        stream.block()
        org.revoked = [b64encode(oid_of(db.cert))]
        del org.devices["ben"]
        org.policy = {**org.policy, "people": ["alice"]}
        org.publish().ok()
        answer = poll.getresponse()
        assert answer.status == 401
        answer.read()
        poll.close()
        while block := stream.block():
            assert "data" not in block, "no further event"
    assert org.relay.call("GET", "/v1/stream", token=ben.session).code == "sign-in"


def test_a_session_that_ends_ends_its_stream(org: Organisation) -> None:
    token = org.admin.sign_in().ok()["token"]
    with Stream(org, token) as stream:
        stream.block()
        org.relay.call("POST", "/v1/logout", {}, token=token).ok()
        while block := stream.block():
            assert "data" not in block
