"""The columns beside the signed objects, held against what was signed: an edit that only moves a row is named as well (doctor).

1. What a row's columns say about its object is what the object says.
2. A vote is of a decision that is here, by its person and device, with its verdict, and about that request.

Columns that nobody signed (states, sessions, feeds, counters) are not looked at: no right follows from them, because clients and
approvers ask for signatures (B9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from stillvault.crypto import public
from stillvault.protocol.errors import Refused
from stillvault.relay.store import rows
from stillvault.relay.store.connection import Connection

Payload = dict[str, Any]
Facts = Callable[[Payload], dict[str, Any]]


def _cert(said: Payload) -> dict[str, Any]:
    return {"subject": said["subject"], "key": public.sha256(public.b64decode(said["key"]["public"])), "issued": said["issued"]}


def _request(said: Payload) -> dict[str, Any]:
    names = ("id", "path", "purpose", "expires")
    return {"client": public.b64decode(said["client"]), **{name: said[name] for name in names}}


# Table, name of the object, what its columns have to be.
BESIDE: tuple[tuple[str, str, Facts], ...] = (
    ("roots", "root", lambda said: {"version": said["version"]}),
    ("rosters", "roster", lambda said: {"version": said["version"]}),
    ("certs", "client-cert", _cert),
    ("requests", "request", _request),
)
REPORTS = ("receipt", "use", "cancel")


def differing(db: Connection) -> Iterator[str]:
    """`table row: what is wrong`. Rows whose object cannot be read are named elsewhere (rowcheck.py)."""
    # 1.
    for table, name, facts in BESIDE:
        for oid, signed, columns in rows.beside(db, table):
            said = _said(name, signed)
            wrong = [column for column, value in facts(said).items() if columns[column] != value] if said else []
            if wrong:
                yield f"{table} {public.b64encode(oid)[:12]}: {', '.join(wrong)} is not what was signed"
    for oid, signed, columns in rows.beside(db, "reports"):
        read = [said for name in REPORTS if (said := _said(name, signed))]
        if read and read[0]["request"] != public.b64encode(columns["request"]):
            yield f"reports {public.b64encode(oid)[:12]}: request is not what was signed"
    # 2.
    for vote in rows.votes(db):
        wrong_vote = _vote(vote)
        if wrong_vote:
            yield f"votes {public.b64encode(vote.request)[:12]} {public.visible(vote.person.encode())}: {wrong_vote}"


def _vote(vote: rows.VoteRow) -> str:
    if not vote.signed:
        return "its decision is not here"
    said = _said("decision", vote.signed)
    if not said:
        return ""
    says = said["person"], said["device"], said["verdict"], said["expires"]
    if says != (vote.person, vote.device, vote.verdict, vote.expires):
        return "it is not what the decision says"
    windows = [item["window"] for item in said["items"] if item["request"] == public.b64encode(vote.request)]
    return "" if windows == [vote.window] else "its decision is not about this request"


def _said(name: str, signed: bytes) -> Payload:
    try:
        said: Payload = msgspec.json.decode(public.payload_of(name, signed))
    except (Refused, msgspec.MsgspecError):
        return {}
    return said
