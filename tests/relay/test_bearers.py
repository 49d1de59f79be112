"""Nonces, sessions, invites, tickets and the setup token: each is used once or ends when it must. N5, C8, C11, C16."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

from stillvault.crypto.private import SigningKey
from stillvault.crypto.public import b64encode, oid_of
from tests.relay.parties import Organisation, now, wire
from tests.relay.process import Answer, RelayProcess


def parallel(count: int, call: object) -> list[Answer]:
    """`count` threads that begin together."""
    start, answers = threading.Barrier(count), []

    def run(number: int) -> None:
        start.wait()
        answers.append(call(number))  # type: ignore[operator]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def enrol_with(org: Organisation, bodies: list[dict[str, object]], bearer: str, number: int) -> Answer:
    return org.relay.call("POST", "/v1/enrol", bodies[number], token=bearer)


def test_a_nonce_is_good_once_and_for_one_relay(org: Organisation, directory: Path) -> None:  # N5
    ben = org.devices["ben"]
    nonce = org.relay.call("POST", "/v1/login/nonce", {}).ok()["nonce"]
    assert org.login(ben.auth, nonce=nonce, person="ben", device=ben.id).status == 201
    assert org.login(ben.auth, nonce=nonce, person="ben", device=ben.id).code == "sign-in"
    # A failed attempt uses it up too, and a nonce of ours is none of another's.
    nonce = org.relay.call("POST", "/v1/login/nonce", {}).ok()["nonce"]
    assert org.login(SigningKey.generate("ed25519"), nonce=nonce, person="ben", device=ben.id).status == 422
    assert org.login(ben.auth, nonce=nonce, person="ben", device=ben.id).code == "sign-in"
    assert org.login(ben.auth, nonce=b64encode(bytes(32)), person="ben", device=ben.id).code == "sign-in"
    # A captured login stays worthless across a restart.
    nonce = org.relay.call("POST", "/v1/login/nonce", {}).ok()["nonce"]
    assert org.login(ben.auth, nonce=nonce, person="ben", device=ben.id).status == 201
    org.relay.stop()
    org.relay.start()
    assert org.login(ben.auth, nonce=nonce, person="ben", device=ben.id).code == "sign-in"


def test_a_login_names_its_relay_and_its_signer(org: Organisation) -> None:
    ben = org.devices["ben"]
    assert org.login(ben.auth, origin="https://evil.example", person="ben", device=ben.id).code == "sign-in"
    assert org.login(ben.auth, person="alice", device="alice-laptop").status == 422
    assert org.login(ben.auth, person="ben", device="another").status == 422
    assert org.login(ben.deny, person="ben", device=ben.id).status == 422  # the deny key denies and does nothing else
    assert org.login(ben.auth, person="ben").code == "body-form"
    assert org.login(ben.auth, client=b64encode(bytes(32))).code == "sign-in"


def test_a_session_ends_by_logout_and_by_time(directory: Path) -> None:
    relay = RelayProcess(directory / "data", **{"limits.session_seconds": "60"}).start()
    org = Organisation(relay).create()
    session = org.admin.sign_in().ok()
    assert 55 <= session["expires"] - now() <= 60
    assert relay.call("GET", "/v1/trust", token=session["token"]).status == 200
    relay.call("POST", "/v1/logout", {}, token=session["token"]).ok()
    assert relay.call("GET", "/v1/trust", token=session["token"]).code == "sign-in"
    assert relay.stop() == 0


def test_one_of_fifty_uses_of_an_invite_wins(org: Organisation) -> None:  # C8
    for round_ in range(3):
        invite, bearer, _ = org.invite("client", f"host/h{round_}", scopes=["prod/**"], host="h", grade="user")
        enrolments = [org.enrolment(invite, "x", SigningKey.generate("ed25519")) for _ in range(50)]
        bodies = [{"enrol": wire(one)[0]} for one in enrolments]
        answers = parallel(50, partial(enrol_with, org, bodies, bearer))
        assert sorted({answer.status for answer in answers}) == [201, 401]
        assert [answer.status for answer in answers].count(201) == 1
        assert len([row for row in org.leaves("enrolled") if row["detail"]["people"] == f"host/h{round_}"]) == 1


def test_an_enrolment_is_of_its_invite_and_its_ticket(org: Organisation) -> None:  # C11, C17
    first, bearer, _ = org.invite("person", "cleo", roles=["approver"])
    other, other_bearer, _ = org.invite("person", "dora", roles=["approver"])
    key = SigningKey.generate("ed25519")
    swapped = org.relay.call("POST", "/v1/enrol", {"enrol": wire(org.enrolment(other, "x", key))[0]}, token=bearer)
    assert (swapped.status, swapped.code) == (422, "invite")
    joined = org.relay.call("POST", "/v1/enrol", {"enrol": wire(org.enrolment(first, "x", key))[0]}, token=bearer).ok()
    # Nobody but an admin challenges or cancels; a proof needs a challenge; a ticket sees its own enrolment alone.
    assert org.relay.call("POST", f"/v1/invites/{first}/cancel", {}, token=joined["ticket"]).code == "sign-in"
    assert org.devices["ben"].post(f"/v1/invites/{first}/cancel", {}).code == "forbidden"
    assert org.relay.call("POST", "/v1/enrol/proof", {"proof": "A" * 43}, token=joined["ticket"]).code == "enrolment"
    assert org.relay.call("GET", "/v1/enrol", token=other_bearer).code == "sign-in"
    # A roster that does not list the enrolled key confirms nothing.
    before = org.version
    assert org.publish(enrol=joined["oid"]).code == "enrolment"
    assert org.relay.call("GET", "/v1/enrol", token=joined["ticket"]).ok()["state"] == "joined"
    assert before + 1 == org.version
    org.admin.post(f"/v1/invites/{first}/cancel", {}).ok()
    assert org.relay.call("GET", "/v1/enrol", token=joined["ticket"]).ok()["state"] == "cancelled"


def test_an_invite_ends(directory: Path) -> None:
    relay = RelayProcess(directory / "data", **{"limits.invite_seconds": "60"}).start()
    org = Organisation(relay).create()
    invite, _, _ = org.invite("person", "cleo", roles=["approver"])
    listed = org.admin.get("/v1/invites").ok()["invites"][0]
    assert (listed["invite"], listed["state"], listed["expires"] - listed["created"]) == (invite, "open", 60)
    assert relay.stop() == 0


def test_the_setup_token_makes_one_organisation(relay: RelayProcess) -> None:
    orgs = [Organisation(relay) for _ in range(5)]
    tokens = [org.setup_token() for org in orgs]
    bodies = []
    for org, token in zip(orgs, tokens, strict=True):
        org.root = org.sign_root(relay.call("GET", "/v1/setup/log", token=token).ok())
        org.roster = org.sign_roster()
        bodies.append({"root": wire(org.root)[0], "roster": wire(org.roster)[0]})
    answers = parallel(5, lambda number: relay.call("POST", "/v1/setup", bodies[number], token=tokens[number]))
    # Who comes at the same time finds the organisation made (409), who comes a moment later a token that is void (401).
    first, *others = sorted(answer.status for answer in answers)
    assert first == 201
    assert set(others) <= {401, 409}
    again = relay.command("setup-url", "--data", str(relay.data))
    assert again.returncode == 78
    assert b"the organisation exists already" in again.stderr


def test_a_root_must_name_this_relay(relay: RelayProcess) -> None:
    org = Organisation(relay)
    token = org.setup_token()
    log = relay.call("GET", "/v1/setup/log", token=token).ok()
    key = b64encode(SigningKey.generate("ed25519").public)
    for changes in (
        {"origins": ["https://evil.example"]},
        {"rp_id": "example"},
        {"log": {**log, "public": key}},
        {"log": {**log, "origin": "x/log"}},
    ):
        org.root = org.sign_root(log, **changes)  # type: ignore[arg-type]
        org.roster = org.sign_roster()
        body = {"root": wire(org.root)[0], "roster": wire(org.roster)[0]}
        assert relay.call("POST", "/v1/setup", body, token=token).code == "identity"
    org.create()  # nothing of that used anything up
    assert relay.call("POST", "/v1/setup", {}, token=token).code == "organisation-exists"


def test_two_rosters_at_once_and_none_that_goes_back(org: Organisation) -> None:  # A12
    first, second = org.sign_roster(version=org.version + 1, previous=b64encode(oid_of(org.roster))), b""
    second = org.sign_roster(version=org.version + 1, previous=b64encode(oid_of(org.roster)), issued=now() - 3)
    answers = parallel(2, lambda number: org.admin.post("/v1/roster", {"roster": wire((first, second)[number])[0]}))
    codes = sorted(answer.code for answer in answers)
    assert codes[0] == ""
    assert codes[1] in ("conflict", "fork")
    assert org.admin.post("/v1/roster", {"roster": wire(org.roster)[0]}).code == "rollback"
