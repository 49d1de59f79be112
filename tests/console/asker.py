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

import msgspec

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
    own = b64encode(oid_of(client.cert))
    now = int(time.time())
    org = organisation.org_id
    session = sign_in(relay, lambda payload: client.key.sign("login", payload), org=b64decode(org), now=now, client=own)
    store = TrustStore(home)
    trust = store.refresh(relay, session.token, now)
    size, root = store.check(relay, session.token, trust)
    same = {"org": org, "client": own, "minimum": [1, 0], "suite": "p256", "uses": 0, "purpose": "use",
            "roster": list(trust.pair), "log_head": [size, b64encode(root)]}
    for number, card in enumerate(json.load(sys.stdin)):
        made = [client.key.sign("request", encode({**same, **terms(one, now, number)})) for one in card]
        body = messages.NewRequests(requests=[msgspec.Raw(one) for one in made])
        relay.call("POST", "/v1/requests", body, returns=messages.RequestStates, token=session.token)
        print(json.dumps([b64encode(oid_of(one)) for one in made]))


def terms(given: dict[str, Any], now: int, number: int) -> dict[str, Any]:
    """What differs from request to request."""
    issued = given.get("issued", now)
    observed = {"host": "db-1", "uid": 1000 + number, "user": "agent", "exe": "/usr/bin/agent", "chain": [], "grade": "user",
                "exe_sha256": b64encode(sha256(b"agent"))}
    return {
        "id": b64encode(secrets.token_bytes(16)), "path": given["path"], "ephemeral": b64encode(Ephemeral.generate().public),
        "issued": issued, "expires": issued + given.get("life", 300), "window": given.get("window", 900),
        "observed": {**observed, **given.get("observed", {})}, "claimed": given.get("claimed", {}),
    }


if __name__ == "__main__":
    main()
