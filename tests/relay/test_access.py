"""Who may call what: every route of the table by every kind of caller, and every id of somebody else. C1, C5, C7, B1, B10."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import apsw
import pytest

from stillvault.crypto.private import KemKey
from stillvault.crypto.public import b64encode, encode, oid_of
from stillvault.relay.guards import Rule
from stillvault.relay.routes import ROUTES, Route
from tests.relay.parties import Client, Organisation, now, payload, wire
from tests.relay.process import RelayProcess

ROLES = ("admin", "approver", "sealer", "auditor")
CALLERS = (*ROLES, "client", "nobody", "garbage", "invite", "ticket", "used-invite", "dropped", "revoked", "setup")


@dataclasses.dataclass
class Cast:
    """An organisation with one caller of every kind, by their bearers."""

    org: Organisation
    tokens: dict[str, str]
    client: Client


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    relay = RelayProcess(tmp_path_factory.mktemp("access") / "data").start()
    org = Organisation(relay)
    setup = org.setup_token()
    org.create()
    tokens = {"nobody": "", "garbage": "A" * 43, "setup": setup}
    for role in ROLES:
        tokens[role] = org.person(f"only-{role}", role).session
    tokens["dropped"] = org.person("dropped", "admin", "approver", "sealer", "auditor").session
    revoked, client = org.client("host/old"), org.client("host/db-1")
    tokens["revoked"], tokens["client"] = revoked.session, client.session
    del org.devices["dropped"]
    org.policy = {**org.policy, "people": [one for one in org.policy["people"] if one != "dropped"]}
    org.revoked = [b64encode(oid_of(revoked.cert))]
    org.publish().ok()
    _, tokens["invite"], _ = org.invite("client", "host/new", scopes=["dev/**"], host="h", grade="user")
    invite, tokens["used-invite"], _ = org.invite("client", "host/next", scopes=["dev/**"], host="h", grade="user")
    enrol = org.enrolment(invite, "x", client.key)
    tokens["ticket"] = relay.call("POST", "/v1/enrol", {"enrol": wire(enrol)[0]}, token=tokens["used-invite"]).ok()["ticket"]
    yield Cast(org, tokens, client)
    assert relay.stop() == 0


SESSIONS = {*ROLES, "client"}
PASSES: dict[Rule, set[str]] = {
    Rule.ANYONE: set(CALLERS),
    Rule.SETUP: set(),  # there is an organisation
    Rule.INVITE: {"invite"},
    Rule.TICKET: {"ticket"},
    Rule.TRUST: {*SESSIONS, "invite", "ticket"},
    Rule.SESSION: SESSIONS,
    Rule.PERSON: set(ROLES),
    Rule.ADMIN: {"admin"},
    Rule.APPROVER: {"approver"},
    Rule.APPROVER_OR_ADMIN: {"approver", "admin"},
    Rule.SEALER: {"sealer"},
    Rule.CLIENT: {"client"},
    Rule.REQUESTER_OR_ASKED: SESSIONS,
    Rule.PERSON_OR_CLIENT_IN_SCOPE: SESSIONS,
    Rule.DECIDER: {*SESSIONS, "nobody"},
}


def test_every_rule_is_judged_here_and_every_route_has_one() -> None:
    assert set(PASSES) == set(Rule)
    assert all(isinstance(route.rule, Rule) for route in ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


# The stream does not end, and two others end the caller's session: test_feed.py, test_bearers.py, test_console.py look at them.
JUDGED = [route for route in ROUTES if route.path not in ("/v1/stream", "/v1/logout", "/v1/sessions/end")]


@pytest.mark.parametrize("route", JUDGED, ids=lambda route: f"{route.method} {route.path}")
def test_each_route_by_each_caller(cast: Cast, route: Route) -> None:  # C5
    """Whoever does not pass the rule gets 401 or 403 before anything else is looked at; who passes gets some other answer."""
    oid = "A" * 43
    path = route.path.replace("{oid:str}", oid).replace("{invite:str}", oid).replace("{tile:path}", "0/000")
    body = {} if route.method == "POST" else None
    for caller in CALLERS:
        answer = cast.org.relay.call(route.method, path, body, token=cast.tokens[caller])
        assert answer.status < 500
        stopped = answer.code in ("sign-in", "revoked", "forbidden", "organisation-exists")
        assert stopped == (caller not in PASSES[route.rule]), (caller, answer.status, answer.code)


def test_an_id_of_somebody_else_is_unknown(cast: Cast) -> None:  # C5
    org, other = cast.org, cast.org.client("host/other")
    secret = org.seal("prod/own")
    request, _, asked = cast.client.ask("prod/own")
    asked.ok()
    missing = cast.client.get(f"/v1/requests/{'A' * 43}")
    strange = other.get(f"/v1/requests/{b64encode(oid_of(request))}")
    assert (strange.status, strange.body) == (missing.status, missing.body) == (404, missing.body)
    assert other.cancel(request).code == "unknown"
    assert other.receipt(request, secret).code == "unknown"
    # A sealer who may not decide learns nothing of the request; who was asked sees its state and no release.
    assert org.relay.call("GET", f"/v1/requests/{b64encode(oid_of(request))}", token=cast.tokens["sealer"]).code == "unknown"
    org.approve(org.admin, cast.client, (request, secret)).ok()
    seen = org.relay.call("GET", f"/v1/requests/{b64encode(oid_of(request))}", token=cast.tokens["approver"]).ok()
    assert {"releases", "ciphertext", "secret"}.isdisjoint(seen)


def test_a_name_out_of_scope_is_as_one_that_does_not_exist(cast: Cast) -> None:  # C2
    org = cast.org
    org.policy = {**org.policy, "match": ["ops/**", "prod/**"]}
    org.publish().ok()
    org.seal("ops/key")
    answers = [cast.client.get(f"/v1/secrets/latest?path={path}") for path in ("ops/key", "ops/none", "prod/none")]
    answers += [cast.client.ask(path)[2] for path in ("ops/key", "ops/none", "prod/none")]
    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert answers[0].code == "unknown"
    assert [row for row in org.leaves("requested") if row["detail"]["secret"] == "ops/key"] == []


def test_an_unenrolled_key_never_reaches_a_person(cast: Cast) -> None:  # C1
    stranger = Client(cast.org, "host/stranger", ["prod/**"])
    stranger.certify()  # signed by the admin, yet the relay never took it: it stands for nothing
    before = len(cast.org.leaves())
    for _ in range(20):
        assert stranger.sign_in().code == "sign-in"
    request, _ = stranger.request()
    for token in ("", cast.client.session):
        answer = cast.org.relay.call("POST", "/v1/requests", {"requests": wire(request)}, token=token)
        assert answer.status in (401, 403)
    assert len(cast.org.leaves()) == before


def test_nothing_in_the_database_is_a_bearer(cast: Cast) -> None:  # B1
    connection = apsw.Connection(str(cast.org.relay.data / "stillvault.db"), flags=apsw.SQLITE_OPEN_READONLY)
    found: set[bytes] = set()
    for table, column in (
        ("sessions", "hash"),
        ("invites", "bearer"),
        ("invites", "ticket"),
        ("setup_tokens", "hash"),
    ):
        found |= {row[0] for row in connection.execute(f"SELECT {column} FROM {table}") if row[0]}
    connection.close()
    assert len(found) > 5
    for value in found:
        for token in (b64encode(value), value.hex()):
            for path in ("/v1/trust", "/v1/enrol", "/v1/log/checkpoint"):
                assert cast.org.relay.call("GET", path, token=token).status == 401
    pages = b"".join(file.read_bytes() for file in cast.org.relay.data.glob("stillvault.db*"))
    for name, token in cast.tokens.items():
        assert not token or token.encode() not in pages, name


def test_the_database_cannot_make_a_person_an_admin(cast: Cast) -> None:  # B5, B6
    """Roles are read from the signed roster; there is no column to edit."""
    connection = apsw.Connection(str(cast.org.relay.data / "stillvault.db"), flags=apsw.SQLITE_OPEN_READONLY)
    columns = {row[1] for table in ("sessions", "certs", "requests") for row in connection.execute(f"PRAGMA table_info({table})")}
    connection.close()
    assert {"role", "roles", "admin"}.isdisjoint(columns)


def test_a_roster_that_jumps_ahead_is_not_taken(cast: Cast) -> None:
    """Readers who were away take a later version, which names no predecessor; an administrator could use the numbers up."""
    org = cast.org
    standing = payload(org.roster)
    for ahead in (2, 5, 2**53 - 1 - standing["version"]):
        version = standing["version"] + ahead
        roster = standing | {"version": version, "previous": b64encode(oid_of(org.roster)), "issued": now() - 1}
        answer = org.admin.post("/v1/roster", {"roster": wire(org.admin.auth.sign("roster", encode(roster)))[0]})
        assert (answer.status, answer.code) == (409, "conflict")


def test_a_device_keeps_its_kem_key(org: Organisation) -> None:  # protocol 4: a new KEM key means a new device id
    ben = org.devices["ben"]
    own, standing = ben.kem, (org.previous, org.version, org.roster)
    ben.kem = KemKey.generate()
    refused = org.publish()
    assert (refused.status, refused.code) == (409, "conflict")
    ben.kem, (org.previous, org.version, org.roster) = own, standing
    org.publish().ok()
