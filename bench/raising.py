"""Raises requests in the name of a host's home, on demand: a program of its own, in the environment of that home.

A line on stdin raises one request; a line on stdout answers with its oid and the wall clock just before the bytes left (seconds).
The line `cancel` withdraws the one before.
"""

from __future__ import annotations

import json
import sys
import time

import msgspec

from stillvault.crypto.private import Ephemeral
from stillvault.crypto.public import b64decode, b64encode, encode, oid_of
from stillvault.protocol import messages
from stillvault.transport.home import Home
from stillvault.transport.http import Relay
from stillvault.transport.identity import load_clients
from stillvault.transport.session import sign_in
from stillvault.transport.trust import TrustStore
from tests.console.asker import terms


def main() -> None:
    home = Home()
    organisation = home.organisation()
    relay = Relay(organisation.relay, home.ca())
    client = load_clients(home)[0]
    own, org = b64encode(oid_of(client.cert)), organisation.org_id
    session = sign_in(relay, lambda payload: client.key.sign("login", payload), org=b64decode(org), now=int(time.time()),
                      client=own)
    trust = TrustStore(home).refresh(relay, session.token, int(time.time()))
    same = {"org": org, "client": own, "minimum": [1, 0], "suite": "p256", "uses": 0, "purpose": "use",
            "roster": list(trust.pair)}
    raised = ""
    for number, line in enumerate(sys.stdin):
        if line.strip() == "cancel":
            said = {"org": org, "request": raised, "issued": int(time.time())}
            body = messages.SignedList(objects=[msgspec.Raw(client.key.sign("cancel", encode(said)))])
            relay.call("POST", "/v1/cancels", body, returns=messages.Nothing, token=session.token)
            print("{}", flush=True)
            continue
        ephemeral = b64encode(Ephemeral.generate().public)
        asked = {**terms({"path": line.strip()}, int(time.time()), number), "ephemeral": ephemeral}
        signed = client.key.sign("request", encode({**same, **asked}))
        raised = b64encode(oid_of(signed))
        body_of = messages.NewRequests(requests=[msgspec.Raw(signed)])
        began = time.time()
        relay.call("POST", "/v1/requests", body_of, returns=messages.RequestStates, token=session.token)
        print(json.dumps({"oid": raised, "began": began}), flush=True)


if __name__ == "__main__":
    main()
