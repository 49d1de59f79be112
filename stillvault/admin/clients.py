"""Clients as their certificates verify, and what approvers' freezes put on them.

The lists are the relay's. What a certificate or a freeze says counts where it verifies; a row that does not is named with the
check that refused it, and hides none of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UnsetType

from stillvault.admin.publish import all_clients, roster_of
from stillvault.approver.account import Account
from stillvault.crypto.public import Trust, b64encode, oid_of, payload_of
from stillvault.protocol import messages
from stillvault.protocol.errors import Refused
from stillvault.protocol.objects import ClientCert, Decision, Request


def shown(account: Account, trust: Trust) -> list[dict[str, Any]]:
    """A line for each certificate that the relay lists: `state` is "valid" or the check that refused it."""
    rows = all_clients(account)
    frozen = freezes(account, trust, {oid: cert.subject for row in rows for oid, cert in _claimed(row)})
    return [_line(account, trust, row, frozen) for row in rows]


def subjects(account: Account) -> set[str]:
    """The names on the relay's list, not verified: to tell a client from a path."""
    return {cert.subject for row in all_clients(account) for _, cert in _claimed(row)}


def _claimed(row: messages.Client) -> list[tuple[str, ClientCert]]:
    """Oid and content, not verified; nothing where the row cannot be read."""
    try:
        return [(b64encode(oid_of(bytes(row.cert))), _read(row))]
    except Refused:
        return []


def _read(row: messages.Client) -> ClientCert:
    return msgspec.json.decode(payload_of("client-cert", bytes(row.cert)), type=ClientCert)


def _line(account: Account, trust: Trust, row: messages.Client, frozen: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    line: dict[str, Any] = {"subject": "", "host": "", "grade": "", "scopes": [], "expires": 0, "cert": row.oid,
                            "last_seen": row.last_seen, "state": "revoked" if row.revoked else "valid"}
    now = account.clock()
    try:
        cert = _read(row)
        line |= {"subject": cert.subject, "host": cert.host, "grade": cert.grade, "scopes": cert.scopes, "expires": cert.expires}
        trust.verify_cert(bytes(row.cert), now)
    except Refused as error:
        line["state"] = error.code
    held = [one.until for one in roster_of(trust).holds if one.subject == line["subject"] and now < one.until]
    return line | ({"held_until": max(held)} if held else {}) | {"freezes": frozen.get(line["subject"], [])}


def freezes(account: Account, trust: Trust, subject_of: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """What freezes put on clients at the relay, by subject. `subject_of`: oid of a certificate to its subject.

    `by`, `device` and `since` stand where the signed decision verifies, and `until` is not beyond its end; else `check` is what
    refused it, or "relay" where the relay itself stopped the client after denied cards. That a freeze still stands is the relay's
    word in any case.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for hold in account.call("GET", "/v1/holds", returns=messages.Freezes).holds:
        line: dict[str, Any] = {"until": hold.until}
        try:
            line |= _decided(account, trust, hold, subject_of)
        except Refused as error:
            line["check"] = error.code
        found.setdefault(hold.subject, []).append(line)
    return found


def _decided(account: Account, trust: Trust, hold: messages.Freeze, subject_of: Mapping[str, str]) -> dict[str, Any]:
    """Who froze this very client.

    1. a rostered approver's device in date signed it (section 8), and it is a freeze
    2. it names the request that came with it, by hash
    3. that request names a certificate of this subject, by hash
    """
    if isinstance(hold.decision, UnsetType):
        return {"check": "relay"}
    # 1.
    said = msgspec.json.decode(trust.verify_decision(bytes(hold.decision), account.clock()).payload, type=Decision)
    if said.verdict != "freeze":
        raise Refused("verdict", "the decision freezes nothing")
    # 2.
    request = b"" if isinstance(hold.request, UnsetType) else bytes(hold.request)
    if not request or b64encode(oid_of(request)) not in [item.request for item in said.items]:
        raise Refused("item", "the decision does not name this request")
    # 3.
    client = msgspec.json.decode(payload_of("request", request), type=Request).client
    if subject_of.get(client) != hold.subject:
        raise Refused("cert", "the request is another client's")
    return {"by": said.person, "device": said.device, "since": said.issued, "until": min(hold.until, said.expires)}
