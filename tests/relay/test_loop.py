"""The relay's share of the whole loop: ask, see, decide, hand over, report. Each step over the wire."""

from __future__ import annotations

import pytest

from stillvault.crypto import private, public
from stillvault.crypto.public import b64encode, oid_of
from tests.relay.parties import Organisation, now, payload, same_card, wire


def test_a_secret_goes_from_sealed_to_delivered(org: Organisation) -> None:
    db, secret = org.client(), org.seal()
    ben = org.devices["ben"]
    request, ephemeral, asked = db.ask()
    first = asked.ok()["requests"][0]
    assert (first["state"], first["needed"], first["asked"]) == ("pending", 1, ["alice", "ben"])
    prompts = ben.get("/v1/prompts").ok()["prompts"]
    assert prompts[0]["request"] == wire(request)[0]
    assert prompts[0]["secret"] == wire(secret)[0]
    decided = org.approve(ben, db, (request, secret)).ok()
    assert decided["states"] == ["approved"]
    assert decided["effects"] == ["hand-over", "withdraw"]
    state = db.state(request)
    releases = [public.encode(one) for one in state["releases"]]
    opened = private.open_releases(
        org.trust(),
        request,
        ephemeral,
        public.encode(state["secret"]),
        public.b64decode(state["ciphertext"]),
        releases,
        None,
        now(),
    )
    assert opened.value.reveal() == b"s3cret"
    db.receipt(request, secret).ok()
    after = db.state(request)
    assert (after["state"], after.get("releases", [])) == ("delivered", [])
    assert [row["kind"] for row in org.leaves() if row.get("request") == b64encode(oid_of(request))] == [
        "requested", "prompted", "approved", "released", "delivered",
    ]  # fmt: skip


def test_a_quorum_counts_people(relay: object, org: Organisation) -> None:
    org.policy = {**org.policy, "threshold": 2}
    org.publish().ok()
    db, secret = org.client(), org.seal()
    request, ephemeral, _ = db.ask()
    assert org.approve(org.admin, db, (request, secret)).ok()["effects"] == ["keep"]
    waiting = db.state(request)
    assert (waiting["state"], waiting["approvals"], waiting["needed"]) == ("pending", 1, 2)
    assert waiting.get("releases", []) == []
    # The same person again does not make two.
    assert org.approve(org.admin, db, (request, secret)).ok()["states"] == ["pending"]
    assert org.approve(org.devices["ben"], db, (request, secret)).ok()["states"] == ["approved"]
    state = db.state(request)
    releases = [public.encode(one) for one in state["releases"]]
    assert len(releases) == 2
    opened = private.open_releases(
        org.trust(),
        request,
        ephemeral,
        public.encode(state["secret"]),
        public.b64decode(state["ciphertext"]),
        releases,
        None,
        now(),
    )
    assert opened.value.reveal() == b"s3cret"
    assert [row["detail"]["people"] for row in org.leaves("approved") if "outcome" not in row["detail"]] == ["1/2", "2/2"]


@pytest.mark.parametrize("session", [True, False])
def test_a_deny_needs_no_session(org: Organisation, session: bool) -> None:
    db, secret = org.client(), org.seal()
    request, _, _ = db.ask()
    decided = org.deny(org.devices["ben"], (request, secret), session=session).ok()
    assert decided["states"] == ["denied"]
    state = db.state(request)
    assert state["state"] == "denied"
    public.verify_denial(org.trust(), request, secret, public.encode(state["decisions"][0]), now())


def test_a_freeze_holds_the_client_and_purges_it(org: Organisation) -> None:
    db, secret = org.client(), org.seal()
    leased, _, _ = db.ask()
    org.approve(org.admin, db, (leased, secret)).ok()
    db.receipt(leased, secret).ok()
    cursor = db.get("/v1/events?after=0").ok()["cursor"]
    request, _, _ = db.ask()
    assert "hold" in org.deny(org.admin, (request, secret), verdict="freeze").ok()["effects"]
    _, _, again = db.ask()
    assert (again.status, again.code) == (403, "hold")  # P4
    purges = [event for event in db.get(f"/v1/events?after={cursor}").ok()["events"] if event["kind"] == "purge"]
    assert [set(event) for event in purges] == [{"id", "kind"}], "all of it, whatever the path"
    assert [row["detail"]["outcome"] for row in org.leaves("lease-ended")] == ["freeze"]


def test_a_deny_after_the_hand_over_orders_a_purge(org: Organisation) -> None:
    db, secret = org.client(), org.seal()
    request, _, asked = db.ask()
    asked.ok()
    org.approve(org.admin, db, (request, secret)).ok()
    db.receipt(request, secret).ok()
    cursor = db.get("/v1/events?after=0").ok()["cursor"]
    assert org.deny(org.devices["ben"], (request, secret)).ok()["states"] == ["revoked"]
    kinds = [event["kind"] for event in db.get(f"/v1/events?after={cursor}&wait=5").ok()["events"]]
    assert sorted(kinds) == ["purge", "state"]
    assert [row["kind"] for row in org.leaves()[-3:]] == ["revoked", "lease-ended", "denied"] or "lease-ended" in [
        row["kind"] for row in org.leaves()
    ]


def test_a_cancel_withdraws(org: Organisation) -> None:
    db, _ = org.client(), org.seal()
    request, _, _ = db.ask()
    db.cancel(request).ok()
    assert db.state(request)["state"] == "cancelled"
    assert org.devices["ben"].get("/v1/prompts").ok()["prompts"] == []


def test_a_newer_request_takes_the_prompt_over(org: Organisation) -> None:
    db, _ = org.client(), org.seal()
    first, _, _ = db.ask()
    second, _, _ = db.ask()
    assert db.state(first)["state"] == "cancelled"
    assert db.state(second)["state"] == "pending"
    assert [one["request"] for one in org.devices["ben"].get("/v1/prompts").ok()["prompts"]] == wire(second)


def test_a_newer_version_voids_approvals_and_purges_leases(org: Organisation) -> None:
    org.policy = {**org.policy, "threshold": 2}
    org.publish().ok()
    db, first = org.client(), org.seal()
    request, _, _ = db.ask()
    org.approve(org.admin, db, (request, first)).ok()
    second = org.seal(value=b"newer", previous=first)
    assert db.state(request).get("approvals", 0) == 0
    # The old approve cannot come back, and a new one counts for the newer version alone.
    assert org.approve(org.devices["ben"], db, (request, first)).status == 409
    org.approve(org.devices["ben"], db, (request, second)).ok()
    assert org.approve(org.admin, db, (request, second)).ok()["states"] == ["approved"]
    db.receipt(request, second).ok()
    org.seal(value=b"newest", previous=second)
    assert db.state(request)["state"] == "revoked"


def test_a_roster_that_drops_an_approver_or_a_client(org: Organisation) -> None:
    org.policy = {**org.policy, "threshold": 2}
    cleo = org.person("cleo", "approver")
    db, secret = org.client(), org.seal()
    request, _, _ = db.ask()
    org.approve(cleo, db, (request, secret)).ok()
    assert cleo.get("/v1/prompts").status == 200
    del org.devices["cleo"]
    org.policy = {**org.policy, "people": ["alice", "ben"]}
    org.publish().ok()
    assert db.state(request).get("approvals", 0) == 0
    assert cleo.get("/v1/prompts").code == "sign-in"  # out at once, whatever the session says  # C7
    org.revoked = [b64encode(oid_of(db.cert))]
    org.publish().ok()
    assert db.get("/v1/events?after=0").code == "revoked"  # N9
    assert db.sign_in().code == "revoked"
    states = [row["kind"] for row in org.leaves() if row.get("request") == b64encode(oid_of(request))]
    assert states[-1] == "cancelled"


def test_several_requests_of_one_command_are_one_card(org: Organisation) -> None:
    db, first, second = org.client(), org.seal(), org.seal("prod/mail")
    one, _ = db.request()
    other, _ = db.request("prod/mail", **same_card(one))
    states = db.post("/v1/requests", {"requests": wire(one, other)}).ok()["requests"]
    assert [state["state"] for state in states] == ["pending", "pending"]
    assert org.approve(org.admin, db, (one, first), (other, second)).ok()["states"] == ["approved", "approved"]
    # Not one card: all or none.
    third, _ = db.request()
    fourth, _ = db.request("prod/mail", **{**same_card(third), "issued": payload(third)["issued"] - 1})
    assert db.post("/v1/requests", {"requests": wire(third, fourth)}).code == "body-form"
