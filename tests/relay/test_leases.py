"""What is warm, by the reports of the clients, and orders to end it: they shorten a lease and never lengthen one."""

from __future__ import annotations

import pytest

from stillvault.crypto.public import b64encode, encode, oid_of
from tests.relay.parties import Answer, Client, Organisation, now, wire


def leased(org: Organisation, client: Client, path: str = "prod/db", exe: str = "/usr/bin/psql") -> str:
    """A delivered request with a window; its oid."""
    secret = org.seal(path)
    request, _, asked = client.ask(path, exe=exe)
    asked.ok()
    org.approve(org.devices["ben"], client, (request, secret)).ok()
    client.receipt(request, secret).ok()
    return b64encode(oid_of(request))


def report(client: Client, request: str, count: int) -> Answer:
    by = [{"uid": 1001, "exe": "/usr/bin/psql", "exe_sha256": b64encode(bytes(32)), "count": count}]
    said = {"org": client.org.pin, "request": request, "by": by, "first": now() - 1, "last": now(), "issued": now()}
    return client.post("/v1/uses", {"objects": wire(client.key.sign("use", encode(said)))})


def purges(client: Client, after: int) -> list[str]:
    events = client.get(f"/v1/events?after={after}&wait=5").ok()["events"]
    return [one.get("request", "") for one in events if one["kind"] == "purge"]


def test_what_is_warm_and_by_whom(org: Organisation) -> None:
    client = org.client()
    assert org.admin.get("/v1/leases").ok() == {"leases": []}
    request = leased(org, client)
    report(client, request, 3).ok()
    line = org.devices["ben"].get("/v1/leases").ok()["leases"][0]
    assert 200 < line.pop("until") - now() <= 300
    assert line == {
        "request": request, "path": "prod/db", "host": "db-1", "client": "host/db-1", "uid": 1001, "user": "app",
        "exe": "/usr/bin/psql", "granted_by": ["ben"], "count": 3,
    }  # fmt: skip
    assert client.get("/v1/leases").code == "forbidden"


def test_one_lease_is_ended_by_order(org: Organisation) -> None:
    client = org.client()
    first, second = leased(org, client), leased(org, client, "prod/api", "/usr/bin/curl")
    cursor = client.sign_in().ok()["cursor"]
    assert org.devices["ben"].post("/v1/leases/end", {"requests": [first]}).ok() == {"count": 1}
    assert purges(client, cursor) == [first]
    assert [one["request"] for one in org.admin.get("/v1/leases").ok()["leases"]] == [second]
    row = org.leaves("lease-ended")[-1]
    assert (row["actor"], row["request"], row["detail"]["outcome"]) == ("ben", first, "purge")
    # Again: the order goes out once more, nothing is ended twice.
    assert org.admin.post("/v1/leases/end", {"requests": [first, first]}).ok() == {"count": 0}
    assert len(org.leaves("lease-ended")) == 1


def test_everything_is_ended_by_one_order(org: Organisation) -> None:
    client, idle = org.client(), org.client("host/idle")
    request = leased(org, client)
    cursors = [one.sign_in().ok()["cursor"] for one in (client, idle)]
    assert org.admin.post("/v1/leases/end", {"all": True}).ok() == {"count": 1}
    # Also to a client that keeps what the relay does not know of.
    assert purges(client, cursors[0]) == [""]
    assert purges(idle, cursors[1]) == [""]
    assert org.admin.get("/v1/leases").ok() == {"leases": []}
    rows = org.leaves("lease-ended")
    assert [row.get("request", "") for row in rows] == [request, ""]


@pytest.mark.parametrize(
    "body", [{}, {"requests": []}, {"all": False}, {"all": True, "requests": ["A" * 43]}, {"requests": ["x"]}, {"all": 1}]
)
def test_an_order_says_what(org: Organisation, body: dict[str, object]) -> None:
    assert org.admin.post("/v1/leases/end", body).code == "body-form"


def test_an_order_for_a_request_that_is_none(org: Organisation) -> None:
    client = org.client()
    request = leased(org, client)
    assert org.admin.post("/v1/leases/end", {"requests": [request, "A" * 43]}).code == "unknown"
    assert len(org.admin.get("/v1/leases").ok()["leases"]) == 1
    sealer = org.person("sal", "sealer")
    assert sealer.post("/v1/leases/end", {"all": True}).code == "forbidden"
