"""What may reach a person's screen: the limits of prompt bombing, with their own settings. C19, P1, P2, P4, P6."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stillvault.crypto.public import b64encode, encode, oid_of
from tests.relay.parties import Client, Organisation, now, payload, same_card, wire
from tests.relay.process import Answer, RelayProcess


@contextmanager
def limited(directory: Path, **limits: int) -> Iterator[Organisation]:
    """An organisation on a relay of the standard profile; a trusted client unless the test is about a new one."""
    settings = {f"limits.{name}": str(value) for name, value in limits.items()}
    relay = RelayProcess(directory / "data", profile="standard", **settings).start()
    try:
        org = Organisation(relay).create()
        org.person("ben", "approver")
        yield org
    finally:
        assert relay.stop() == 0


def trusted(org: Organisation, subject: str = "host/db-1") -> Client:
    """A client whose first request a person approved."""
    client = org.client(subject)
    secret = org.seal(f"prod/first-{subject.rpartition('/')[2]}")
    request, _, asked = client.ask(payload(secret)["core"]["path"])
    asked.ok()
    org.approve(org.admin, client, (request, secret)).ok()
    client.receipt(request, secret).ok()
    return client


def limit_of(answer: Answer) -> str:
    assert (answer.status, answer.code) == (429, "rate-limited"), answer.body
    return str(answer.json["field"]).removeprefix("limits.")


def test_a_new_client_prompts_once_until_its_first_approval(directory: Path) -> None:
    with limited(directory) as org:
        client, secret, other = org.client(), org.seal(), org.seal("prod/mail")
        request, _, asked = client.ask()
        asked.ok()
        assert limit_of(client.ask("prod/mail", exe="/bin/other")[2]) == "first_prompt_seconds"
        org.approve(org.admin, client, (request, secret)).ok()
        mail, _, asked = client.ask("prod/mail")
        asked.ok()
        org.approve(org.admin, client, (mail, other)).ok()


def test_five_cards_in_ten_minutes_and_an_approval_gives_back(directory: Path) -> None:
    with limited(directory, pending_per_client=1000, pending_per_approver=1000) as org:
        client = trusted(org)
        secrets = [org.seal(f"prod/s{number}") for number in range(7)]
        for number in range(5):
            request, _, asked = client.ask(f"prod/s{number}")
            asked.ok()
        assert limit_of(client.ask("prod/s5")[2]) == "prompts_per_10_minutes"
        # Another program on the same host has a budget of its own.
        client.ask("prod/s6", exe="/usr/bin/backup")[2].ok()
        org.approve(org.admin, client, (request, secrets[4])).ok()
        client.ask("prod/s5")[2].ok()


def test_pending_cards_are_capped_by_secret_client_approver_and_organisation(directory: Path) -> None:
    with limited(directory, prompts_per_10_minutes=1000, pending_per_approver=8, pending_per_org=20) as org:
        org.policy = {**org.policy, "people": ["alice"]}
        org.publish().ok()
        client, other = trusted(org), trusted(org, "host/db-2")
        for number in range(12):
            org.seal(f"prod/s{number}")
        client.ask("prod/s0")[2].ok()
        other_chain = {**payload(client.request("prod/s0")[0])["observed"], "chain": []}
        assert limit_of(client.ask("prod/s0", observed=other_chain)[2]) == "pending_per_secret"
        client.ask("prod/s1")[2].ok()
        client.ask("prod/s2")[2].ok()
        assert limit_of(client.ask("prod/s3")[2]) == "pending_per_client"
        # A client that names another program each time gets half of what one person sees, and no more.
        client.ask("prod/s4", exe="/bin/a")[2].ok()
        assert limit_of(client.ask("prod/s5", exe="/bin/b")[2]) == "pending_per_approver"
        for number in range(3):
            other.ask(f"prod/s{number}")[2].ok()
        last, _, asked = other.ask("prod/s3", exe="/bin/a")
        asked.ok()
        third = org.client("host/db-3")
        assert limit_of(third.ask("prod/s6")[2]) == "pending_per_approver"
        # A command that asks for two secrets is one card.
        one, _ = third.request("prod/s6", exe="/bin/c")
        two, _ = third.request("prod/s7", **same_card(one))
        card = {"requests": wire(one, two)}
        assert limit_of(third.post("/v1/requests", card)) == "pending_per_approver"
        other.cancel(last).ok()
        third.post("/v1/requests", card).ok()


def test_what_a_client_reports_is_bounded(directory: Path) -> None:
    with limited(directory, reports_per_minute=4) as org:
        client = trusted(org)  # one receipt
        secret = org.seal("prod/again")
        request, _, asked = client.ask("prod/again")
        asked.ok()
        org.approve(org.admin, client, (request, secret)).ok()
        client.receipt(request, secret).ok()
        client.receipt(request, secret, "discarded").ok()  # late: logged once more
        before = len(org.leaves())
        third = client.receipt(request, secret, "failed")
        assert (third.status, third.code) == (409, "conflict")
        assert len(org.leaves()) == before
        assert limit_of(client.receipt(request, secret, "failed")) == "reports_per_minute"


def test_the_lines_of_a_use_report_count_as_reports(directory: Path) -> None:
    """Each line is a row of the log: a client that names hundreds of programs in one report has no more rows for that."""
    with limited(directory, reports_per_minute=300) as org:
        client = trusted(org)
        org.seal("prod/again")
        request, _, asked = client.ask("prod/again")
        asked.ok()

        def used(first: int, *lines: int) -> Answer:
            line = {"uid": 1001, "exe": "/bin/a", "exe_sha256": b64encode(bytes(32)), "count": 1}
            said = {"org": org.pin, "request": b64encode(oid_of(request)), "last": now(), "issued": now()}
            reports = [{**said, "by": [line] * number, "first": first + at} for at, number in enumerate(lines)]
            return client.post("/v1/uses", {"objects": wire(*(client.key.sign("use", encode(one)) for one in reports))})

        assert used(1, 257).code == "body-form"
        used(2, 200, 200).ok()  # what comes at once is taken whole
        assert "rate-limited" in [used(10 * at, 200, 200).code for at in range(1, 4)]


def test_an_organisation_has_a_cap(directory: Path) -> None:  # P2
    with limited(directory, prompts_per_10_minutes=1000, pending_per_client=100, pending_per_org=3) as org:
        client = trusted(org)
        for number in range(4):
            org.seal(f"prod/s{number}")
        for number in range(3):
            client.ask(f"prod/s{number}")[2].ok()
        assert limit_of(client.ask("prod/s3", exe="/bin/b")[2]) == "pending_per_org"


def test_after_a_deny_the_same_secret_is_quiet(directory: Path) -> None:
    with limited(directory) as org:
        client, first, _ = trusted(org), org.seal("prod/a"), org.seal("prod/b")
        request, _, asked = client.ask("prod/a")
        asked.ok()
        org.deny(org.admin, (request, first)).ok()
        refused = client.ask("prod/a", exe="/bin/other")[2]
        assert limit_of(refused) == "cool_down_seconds"
        assert "Wait 300 s" in refused.json["remedy"] or "Wait 29" in refused.json["remedy"]
        client.ask("prod/b")[2].ok()


def test_three_denied_cards_freeze_and_nothing_unsigned_does(directory: Path) -> None:  # P6
    with limited(directory, cool_down_seconds=0, cool_down_again_seconds=0) as org:
        client, honest = trusted(org), trusted(org, "host/db-2")
        secret = org.seal("prod/a")
        for _ in range(3):
            request, _, asked = client.ask("prod/a")
            asked.ok()
            org.deny(org.admin, (request, secret)).ok()
        assert client.ask("prod/a")[2].code == "hold"
        honest.ask("prod/a")[2].ok()
        for _ in range(10):
            honest.ask("prod/none")
            honest.post("/v1/requests", {"requests": wire(client.request("prod/a")[0])})
        assert honest.ask("prod/a")[2].status == 201
        frozen = org.leaves("frozen")
        assert [row["detail"]["outcome"] for row in frozen] == ["denies_to_freeze"]
        (own,) = org.admin.get("/v1/holds").ok()["holds"]
        assert (own["subject"], set(own)) == ("host/db-1", {"subject", "until"}), "the relay's own word, and no more"


def test_a_flood_is_a_handful_of_prompts_and_one_number(directory: Path) -> None:  # P1
    """A small flood here; the full one is a load test."""
    flood = 200
    with limited(directory) as org:
        client, honest = trusted(org), trusted(org, "host/db-2")
        for number in range(8):
            org.seal(f"prod/s{number}")
        org.relay.stop()
        size = (org.relay.data / "stillvault.db").stat().st_size
        org.relay.start()
        first, _ = client.request()
        tuples = [{}, same_card(first)]  # new cards each time, and the tuple of one card over and over
        asked = (client.ask(f"prod/s{number % 8}", **tuples[number % 2])[2] for number in range(flood))
        taken = sum(answer.status == 201 for answer in asked)
        assert taken <= 5
        honest.ask("prod/s0")[2].ok()
        assert len(org.devices["ben"].get("/v1/prompts").ok()["prompts"]) <= 6
        assert len(org.leaves("requested")) == taken + 3
        org.relay.stop()
        assert (org.relay.data / "stillvault.db").stat().st_size - size <= 1_048_576
        org.relay.start()
        # The number is written when the relay cleans up or stops: one row a client and limit.
        rows = [row["detail"] for row in org.leaves("suppressed")]
        assert sum(row["count"] for row in rows) == flood - taken
        assert len(rows) <= 6  # a round may have fallen between


def test_a_client_that_was_frozen_by_hand_stays_so_across_a_restart(directory: Path) -> None:  # P4
    with limited(directory) as org:
        client, secret = trusted(org), org.seal("prod/a")
        request, _, asked = client.ask("prod/a")
        asked.ok()
        org.deny(org.admin, (request, secret), verdict="freeze", session=False).ok()
        org.relay.stop()
        org.relay.start()
        assert client.ask("prod/a")[2].code == "hold"
        assert [row["actor"] for row in org.leaves("frozen")] == ["alice"]
        assert client.state(request)["state"] == "denied"
        # Anybody who is signed in sees who froze whom, by what was signed, and until when; a lift by an administrator ends it.
        (held,) = org.devices["ben"].get("/v1/holds").ok()["holds"]
        checked = org.trust().verify_decision(encode(held["decision"]), now())
        said = json.loads(checked.payload)
        assert (held["subject"], held["until"]) == ("host/db-1", said["expires"])
        assert (said["verdict"], said["person"], said["items"][0]["request"]) == ("freeze", "alice", b64encode(oid_of(request)))
        assert encode(held["request"]) == request
        assert payload(request)["client"] == b64encode(oid_of(client.cert))
        assert org.devices["ben"].post("/v1/holds/lift", {"subject": "host/db-1"}).code == "forbidden"
        assert org.admin.post("/v1/holds/lift", {"subject": "host/db-1"}).ok()["count"] == 1
        assert client.post("/v1/holds/lift", {"subject": "host/db-1"}).code == "forbidden"
        assert org.admin.get("/v1/holds").ok()["holds"] == []
        assert b64encode(oid_of(request)) == org.leaves("frozen")[0]["request"]
        # The signed freeze is in many hands by now. Sent again, by anybody or by nobody, it freezes nobody again.
        for token in ("", org.admin.session):
            again = org.relay.call("POST", "/v1/decisions", {"decision": held["decision"]}, token=token).ok()
            assert again["effects"] == ["repeat"]
        assert org.admin.get("/v1/holds").ok()["holds"] == []
        assert len(org.leaves("frozen")) == 1
