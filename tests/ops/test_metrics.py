"""The metrics: a port of their own, numbers that follow what happens, and no names. M8."""

from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.relay.listeners import until
from tests.relay.parties import Organisation
from tests.relay.process import PATIENCE, RelayProcess
from tests.world import free_port

NAMES = ("prod/", "db-1", "psql", "/usr", "migration", "alice", "ben", "Tests", "laptop", "phone")


class Metrics:
    """The page of a relay, and one number of it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/metrics"

    def page(self) -> str:
        with urllib.request.urlopen(self.url, timeout=PATIENCE) as answer:
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            return str(answer.read().decode())

    def value(self, series: str) -> float:
        for line in self.page().splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return 0.0


@pytest.fixture
def metered(directory: Path) -> tuple[Organisation, Metrics]:
    port = free_port()
    relay = RelayProcess(directory / "data", metrics=f"127.0.0.1:{port}").start()
    org = Organisation(relay).create()
    org.person("ben", "approver")
    yield org, Metrics(port)  # type: ignore[misc]
    relay.stop()


def test_the_numbers_follow_a_release(metered: tuple[Organisation, Metrics]) -> None:
    org, metrics = metered
    db, secret, ben = org.client(), org.seal(), org.devices["ben"]
    before = metrics.value("stillvault_audit_log_rows")
    request, _, _ = db.ask()
    assert metrics.value("stillvault_requests_waiting") == 1
    assert metrics.value("stillvault_requests_asked_total") == 1
    assert len(ben.get("/v1/prompts").ok()["prompts"]) == 1
    org.approve(ben, db, (request, secret)).ok()
    assert metrics.value("stillvault_requests_waiting") == 0
    assert metrics.value("stillvault_releases_total") == 1
    assert metrics.value('stillvault_decisions_total{verdict="approve"}') == 1
    assert metrics.value("stillvault_decision_seconds_count") == 1
    assert metrics.value('stillvault_request_wait_seconds_count{outcome="approved"}') == 1
    db.receipt(request, secret).ok()
    assert metrics.value('stillvault_requests_total{outcome="delivered"}') == 1
    assert metrics.value("stillvault_leases") == 1
    page = metrics.page()
    assert metrics.value("stillvault_audit_log_rows") > before
    assert metrics.value('stillvault_audit_rows_total{kind="requested"}') == 1
    assert metrics.value("stillvault_commit_seconds_count") > 0
    assert metrics.value("stillvault_write_queue_seconds_count") >= metrics.value("stillvault_commit_seconds_count")
    assert metrics.value('stillvault_http_responses_total{status="201"}') > 0
    for gauge in ("roster_expiry", "root_expiry", "device_expiry", "tls_certificate_expiry"):
        assert metrics.value(f"stillvault_{gauge}_timestamp_seconds") > org.born, gauge
    assert metrics.value("stillvault_ready") == 1
    assert metrics.value("stillvault_database_bytes") > 0
    assert metrics.value("stillvault_disk_free_bytes") > 0
    assert [name for name in NAMES if name in page] == []


def test_a_refused_and_a_suppressed_request_are_told_apart(directory: Path) -> None:
    port = free_port()
    relay = RelayProcess(directory / "data", metrics=f"127.0.0.1:{port}", **{"limits.pending_per_client": "1"}).start()
    try:
        org, metrics = Organisation(relay).create(), Metrics(port)
        ben = org.person("ben", "approver")
        db, secret, _ = org.client(), org.seal(), org.seal("prod/other")
        request, _, _ = db.ask()
        assert db.ask("prod/other")[2].status == 429
        org.deny(ben, (request, secret)).ok()
        assert metrics.value('stillvault_requests_total{outcome="denied"}') == 1
        assert metrics.value('stillvault_decisions_total{verdict="deny"}') == 1
        assert metrics.value('stillvault_prompts_suppressed_total{limit="limits.pending_per_client"}') == 1
    finally:
        relay.stop()


def test_streams_and_polls_are_counted_while_they_are_open(metered: tuple[Organisation, Metrics]) -> None:
    org, metrics = metered
    connection = org.relay.connection()
    connection.request("GET", "/v1/stream", headers={"Authorization": f"Bearer {org.admin.session}"})
    stream = connection.getresponse()
    stream.readline()
    until(lambda: metrics.value('stillvault_listeners{kind="stream"}') == 1)
    stream.close()
    connection.close()
    until(lambda: metrics.value('stillvault_listeners{kind="stream"}') == 0)


def test_the_port_is_its_own_and_gives_nothing_else(metered: tuple[Organisation, Metrics]) -> None:
    org, metrics = metered
    assert org.relay.call("GET", "/metrics").status == 404, "the port of people and hosts has none"
    for path in ("/", "/v1/trust", "/metrics/x"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(metrics.url.replace("/metrics", path), timeout=PATIENCE)
        assert refused.value.code == 404
        refused.value.close()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(metrics.url, data=b"x", timeout=PATIENCE)
    assert refused.value.code == 405
    refused.value.close()
    # A request that never ends, and one that is too long, cost nobody else a thing.
    port = int(metrics.url.split(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as slow, socket.create_connection(("127.0.0.1", port)) as long:
        slow.sendall(b"GET /met")
        long.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000)
        long.settimeout(PATIENCE)
        assert long.recv(100) == b""
        assert metrics.value("stillvault_ready") == 1


def test_an_address_that_cannot_be_had_is_refused_and_the_default_gives_way(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        relay = RelayProcess(directory / "data", metrics=f"127.0.0.1:{port}")
        done = relay.command("serve", "--data", str(relay.data), "--listen", "127.0.0.1:0")
    assert done.returncode == 78
    assert re.search(rb"settings: metrics: 127\.0\.0\.1:\d+: Address already in use\. Choose another", done.stderr)
    first, second = RelayProcess(directory / "data").start(), RelayProcess(directory / "second").start()
    try:
        assert first.call("GET", "/readyz").status == second.call("GET", "/readyz").status == 200
    finally:
        first.stop()
        second.stop()


def test_no_port_where_there_is_to_be_none(directory: Path) -> None:
    relay = RelayProcess(directory / "data", metrics="off").start()
    try:
        listening = {
            line.split()[1]
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/{relay.pid}/net/{table}").read_text().splitlines()
            if line.split()[3] == "0A" and line.split()[9] in _sockets(relay.pid)
        }
        assert len(listening) == 1
    finally:
        relay.stop()


def _sockets(pid: int) -> set[str]:
    found = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        target = str(one.readlink())
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found
