"""Requests of a host whose daemon is somebody else's program: signed by its own key, with whatever it likes to say.

A process of its own, in the environment of the host's home; from stdin one JSON list of cards, each a list of requests
{path, observed?, claimed?, issued?, life?, window?}; answers with the list of their oids. Nothing is ever delivered to it.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from typing import Any

from stillvault.crypto.private import Ephemeral
from stillvault.crypto.public import b64decode, b64encode, encode, oid_of, sha256
from stillvault.protocol import messages
from stillvault.transport.home import Home
from stillvault.transport.http import Relay
from stillvault.transport.identity import load_clients
from stillvault.transport.session import sign_in
from stillvault.transport.trust import TrustStore


def main() -> None:
    home = Home()
    organisation = home.organisation()
    relay = Relay(organisation.relay, home.ca())
    client = load_clients(home)[0]
    now = int(time.time())
    session = sign_in(relay, lambda payload: client.key.sign("login", payload), org=b64decode(organisation.org_id), now=now,
                      client=b64encode(oid_of(client.cert)))
    store = TrustStore(home)
    trust = store.refresh(relay, session.token, now)
    head = store.check(relay, session.token, trust)
    for number, card in enumerate(json.load(sys.stdin)):
        signed = [client.key.sign("request", encode(request(organisation.org_id, client.cert, trust.pair, head, now, number, one)))
                  for one in card]
        relay.call("POST", "/v1/requests", messages.NewRequests(requests=signed), returns=messages.RequestStates, token=session.token)  # type: ignore[arg-type]
        print(json.dumps([b64encode(oid_of(one)) for one in signed]))


def request(org: str, cert: bytes, pair: tuple[int, int], head: tuple[int, bytes], now: int, number: int, given: dict[str, Any]) -> dict[str, Any]:
    issued = given.get("issued", now)
    return {
        "org": org, "id": b64encode(secrets.token_bytes(16)), "client": b64encode(oid_of(cert)), "path": given["path"], "minimum": [1, 0],
        "suite": "p256", "ephemeral": b64encode(Ephemeral.generate().public), "issued": issued, "expires": issued + given.get("life", 300),
        "window": given.get("window", 900), "uses": 0, "roster": list(pair), "log_head": [head[0], b64encode(head[1])], "purpose": "use",
        "observed": {"host": "db-1", "uid": 1000 + number, "user": "agent", "exe": "/usr/bin/agent", "exe_sha256": b64encode(sha256(b"agent")),
                     "chain": [], "grade": "user", **given.get("observed", {})},
        "claimed": given.get("claimed", {}),
    }


if __name__ == "__main__":
    main()
