"""Limits on what one caller may hold open or ask for at once."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from pathlib import Path

from tests.relay.listeners import until
from tests.relay.parties import Organisation, same_card, wire
from tests.relay.process import RelayProcess


@contextlib.contextmanager
def limited(directory: Path, **limits: int) -> Iterator[Organisation]:
    relay = RelayProcess(directory / "data", **{f"limits.{name}": str(value) for name, value in limits.items()}).start()
    try:
        yield Organisation(relay).create()
    finally:
        assert relay.stop() == 0


def stream(org: Organisation, token: str) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
    connection = org.relay.connection()
    connection.request("GET", "/v1/stream", headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    if response.status == 200:
        response.readline()
        response.readline()
        response.readline()  # a sign of life: it listens
    return connection, response


def test_one_person_holds_only_so_many_streams(directory: Path) -> None:
    with limited(directory, streams_per_caller=2, heartbeat_seconds=1) as org:
        ben = org.person("ben", "approver")
        mine = [stream(org, org.admin.session) for _ in range(2)]
        assert [response.status for _, response in mine] == [200, 200]
        connection, refused = stream(org, org.admin.session)
        assert (refused.status, b"limits.streams_per_caller" in refused.read()) == (429, True)
        connection.close()
        other = stream(org, ben.session)
        assert other[1].status == 200, "somebody else has a place of their own"
        mine[0][1].close()
        mine[0][0].close()

        def again() -> bool:
            connection, response = stream(org, org.admin.session)
            response.close()
            connection.close()
            return response.status == 200

        until(again)
        for connection, response in (mine[1], other):
            response.close()
            connection.close()


def test_a_card_has_only_so_many_secrets(directory: Path) -> None:
    with limited(directory, requests_per_card=1) as org:
        client = org.client()
        org.seal()
        org.seal("prod/other")
        first, _ = client.request()
        second, _ = client.request("prod/other", **same_card(first))
        refused = client.post("/v1/requests", {"requests": wire(first, second)})
        assert (refused.status, refused.code, refused.json["field"]) == (400, "body-form", "requests")
        client.post("/v1/requests", {"requests": wire(first)}).ok()
