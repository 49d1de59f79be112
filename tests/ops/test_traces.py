"""Traces: off by default and then nothing is loaded; where they are asked for, routes and numbers and no name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.relay.listeners import Listener, listening, until
from tests.relay.parties import Organisation
from tests.relay.process import RelayProcess


def spans(listener: Listener) -> list[Span]:
    found: list[Span] = []
    for one in listener.arrived:
        assert (one.path, one.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
        for resource in ExportTraceServiceRequest.FromString(one.body).resource_spans:
            assert resource.resource.attributes[0].value.string_value == "stillvault-relay"
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def test_a_span_has_the_route_and_no_name(directory: Path) -> None:
    with listening() as listener:
        host = f"http://127.0.0.1:{listener.port}"
        settings = {"forward.egress": host, "forward.traces": f"{host}/v1/traces"}
        relay = RelayProcess(directory / "data", **settings).start()
        try:
            org = Organisation(relay).create()
            db, _ = org.client(), org.seal()
            request, _, asked = db.ask()
            asked.ok()
            db.state(request)
            parent = {"traceparent": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"}
            assert relay.call("GET", "/v1/canary-7f3a91", headers=parent).status == 404
            until(lambda: {"POST /v1/requests", "GET"} <= {span.name for span in spans(listener)})
        finally:
            relay.stop()
    names = {span.name for span in spans(listener)}
    assert "GET /v1/requests/{oid}" in names
    asked_for = next(span for span in spans(listener) if span.name == "POST /v1/requests")
    said = {one.key: one.value for one in asked_for.attributes}
    assert said["http.response.status_code"].int_value == 201
    assert said["http.request.method"].string_value == "POST"
    everything = b"".join(one.body for one in listener.arrived)
    assert [one for one in (b"prod/", b"canary", b"alice", b"psql", bytes.fromhex("ab" * 16)) if one in everything] == []


def test_a_collector_that_is_away_costs_nothing(directory: Path) -> None:
    with listening(500) as listener:
        host = f"http://127.0.0.1:{listener.port}"
        settings = {"forward.egress": host, "forward.traces": f"{host}/v1/traces"}
        relay = RelayProcess(directory / "data", **settings).start()
        try:
            until(lambda: relay.call("GET", "/readyz").status == 200 and listener.arrived)
            until(lambda: any(b"traces were not sent" in line and b"http-500" in line for line in relay.stderr))
        finally:
            assert relay.stop() == 0


def test_nothing_of_it_is_loaded_where_it_is_off(relay: RelayProcess) -> None:
    assert relay.call("GET", "/readyz").status == 200
    loaded = Path(f"/proc/{relay.pid}/maps").read_text()
    assert "google/_upb" not in loaded, "the encoder's library is not in memory"
    code = "import sys, stillvault.relay.app; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert relay_python(code) == 0


def relay_python(code: str) -> int:
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_without_the_extra_it_says_what_to_install(directory: Path) -> None:
    """The libraries are hidden by a folder that comes first on the path."""
    hidden = directory / "hidden" / "opentelemetry"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('hidden')")
    settings = {"forward.egress": "otel.corp", "forward.traces": "https://otel.corp/v1/traces"}
    relay = RelayProcess(directory / "data", **settings)
    relay.environment = lambda: {**RelayProcess.environment(relay), "PYTHONPATH": str(hidden.parent)}  # type: ignore[method-assign]
    done = relay.command("serve", "--data", str(relay.data), "--listen", "127.0.0.1:0")
    assert done.returncode == 78
    assert b"forward.traces: the extra that makes traces is not installed. Install stillvault[otel]." in done.stderr
