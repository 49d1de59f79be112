"""A relay opens no connection to anywhere: watched from outside, through a whole life, where the operator allowed no host."""

from __future__ import annotations

import re
from pathlib import Path

from tests.relay.parties import Organisation
from tests.relay.process import RelayProcess

CALL = re.compile(r"\b(connect|sendto|sendmsg|sendmmsg)\((\d+)(?:<[^>]*>)?, (.*)$", re.MULTILINE)


def test_a_serving_relay_calls_nobody(directory: Path) -> None:
    log = directory / "calls"
    relay = RelayProcess(directory / "data")
    relay.before = ("strace", "-D", "-f", "-q", "-e", "trace=connect,sendto,sendmsg,sendmmsg,socket", "-o", str(log))
    relay.start()
    org = Organisation(relay).create()
    ben = org.person("ben", "approver")
    assert ben
    target = {"kind": "webhook", "url": "https://hooks.example.org/x", "label": "out"}
    refused = org.admin.post("/v1/targets", target)
    assert 400 <= refused.status < 500, "no host is allowed, so none can be named"
    client, secret = org.client(), org.seal()
    request, _, asked = client.ask()
    asked.ok()
    org.approve(org.admin, client, (request, secret)).ok()
    client.receipt(request, secret).ok()
    for path in ("/", "/setup", "/openapi.json", "/ca.pem", "/readyz"):
        relay.call("GET", path)
    assert relay.stop() == 0
    text = log.read_text()
    assert "socket(" in text, "the relay was watched"
    outward = [found[0] for found in CALL.finditer(text) if "sin_addr" in found[0] or "sin6_addr" in found[0]]
    assert outward == [], "a call with an address of a network"
    # Nor did it look up a name: neither a resolver's socket nor its cache was asked.
    assert not re.search(r"connect\(.*(AF_INET|nscd|resolve)", text)
