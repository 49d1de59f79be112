"""Invites and the enrolments that they become: open -> joined -> challenged -> proved -> confirmed."""

from __future__ import annotations

import json
from typing import NamedTuple

from stillvault.relay.store.connection import Connection


class StoredInvite(NamedTuple):
    invite: bytes
    kind: str
    subject: str
    roles: list[str]
    scopes: list[str]
    host: str
    grade: str
    created: int
    expires: int
    created_by: str
    state: str
    enrol: bytes | None = None
    enrol_oid: bytes | None = None
    challenge_enc: str | None = None
    challenge_ct: str | None = None
    proof: str = ""
    cert: bytes | None = None
    device: str = ""  # of a passkey that is one more of this device
    transfer_enc: str | None = None
    transfer_ct: str | None = None


_COLUMNS = ", ".join(StoredInvite._fields)
_LISTS = (StoredInvite._fields.index("roles"), StoredInvite._fields.index("scopes"))
_OPEN = "'open', 'joined', 'challenged', 'proved'"


def _row(row: tuple[object, ...] | None) -> StoredInvite | None:
    if row is None:
        return None
    values = list(row)
    for place in _LISTS:
        values[place] = json.loads(str(values[place]))
    return StoredInvite(*values)  # type: ignore[arg-type]  # STRICT columns


def add(db: Connection, bearer: bytes, invite: StoredInvite) -> bool:
    """False when there is such an invite already."""
    query = (
        "INSERT INTO invites "
        "(invite, bearer, kind, subject, roles, scopes, host, grade, created, expires, created_by, device, state) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open') ON CONFLICT DO NOTHING RETURNING 1"
    )
    roles, scopes = json.dumps(invite.roles), json.dumps(invite.scopes)
    terms = (invite.host, invite.grade, invite.created, invite.expires, invite.created_by, invite.device)
    values = (invite.invite, bearer, invite.kind, invite.subject, roles, scopes, *terms)
    return db.execute(query, values).fetchone() is not None


def by_invite(db: Connection, invite: bytes) -> StoredInvite | None:
    return _row(db.execute(f"SELECT {_COLUMNS} FROM invites WHERE invite = ?", (invite,)).fetchone())  # noqa: S608  constant columns


def by_bearer(db: Connection, bearer: bytes) -> StoredInvite | None:
    return _row(db.execute(f"SELECT {_COLUMNS} FROM invites WHERE bearer = ?", (bearer,)).fetchone())  # noqa: S608  constant columns


def by_ticket(db: Connection, ticket: bytes) -> StoredInvite | None:
    return _row(db.execute(f"SELECT {_COLUMNS} FROM invites WHERE ticket = ?", (ticket,)).fetchone())  # noqa: S608  constant columns


def by_enrol(db: Connection, oid: bytes) -> StoredInvite | None:
    return _row(db.execute(f"SELECT {_COLUMNS} FROM invites WHERE enrol_oid = ?", (oid,)).fetchone())  # noqa: S608  constant columns


def listed(db: Connection, since: int) -> list[StoredInvite]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM invites WHERE created > ? ORDER BY created, invite", (since,))  # noqa: S608  constant columns
    return [one for one in (_row(row) for row in rows) if one]


def join(db: Connection, bearer: bytes, now: int, enrol: bytes, oid: bytes, ticket: bytes, expires: int) -> bool:
    """Uses the bearer. True for exactly one caller, and only in time.  # C8"""
    query = (
        "UPDATE invites SET state = 'joined', enrol = ?, enrol_oid = ?, ticket = ?, expires = ? "
        "WHERE bearer = ? AND state = 'open' AND expires > ? RETURNING 1"
    )
    return db.execute(query, (enrol, oid, ticket, expires, bearer, now)).fetchone() is not None


def challenge(db: Connection, invite: bytes, now: int, enc: str, ct: str) -> bool:
    query = (
        "UPDATE invites SET state = 'challenged', challenge_enc = ?, challenge_ct = ?, proof = '' "
        "WHERE invite = ? AND state IN ('joined', 'challenged') AND expires > ? RETURNING 1"
    )
    return db.execute(query, (enc, ct, invite, now)).fetchone() is not None


def transfer(db: Connection, invite: bytes, now: int, enc: str, ct: str) -> bool:
    """A later one replaces the earlier while the enrolment is open."""
    query = (
        "UPDATE invites SET transfer_enc = ?, transfer_ct = ? "
        "WHERE invite = ? AND state IN ('joined', 'challenged', 'proved') AND expires > ? RETURNING 1"
    )
    return db.execute(query, (enc, ct, invite, now)).fetchone() is not None


def prove(db: Connection, invite: bytes, now: int, proof: str) -> bool:
    query = "UPDATE invites SET state = 'proved', proof = ? WHERE invite = ? AND state = 'challenged' AND expires > ? RETURNING 1"
    return db.execute(query, (proof, invite, now)).fetchone() is not None


def confirm(db: Connection, invite: bytes, now: int, expires: int, cert: bytes | None) -> bool:
    """`joined` is enough where there is no KEM key to prove: a client's enrolment."""
    query = (
        "UPDATE invites SET state = 'confirmed', cert = ?, expires = ? "
        "WHERE invite = ? AND state IN ('joined', 'challenged', 'proved') AND expires > ? RETURNING 1"
    )
    return db.execute(query, (cert, expires, invite, now)).fetchone() is not None


def cancel(db: Connection, invite: bytes) -> bool:
    query = f"UPDATE invites SET state = 'cancelled' WHERE invite = ? AND state IN ({_OPEN}) RETURNING 1"  # noqa: S608  constant names
    return db.execute(query, (invite,)).fetchone() is not None


def sweep(db: Connection, now: int) -> list[bytes]:
    """Ends what ran out. Returns the invites that ended just now. A key on its way lies here no longer than its enrolment."""
    db.execute(
        "UPDATE invites SET transfer_enc = NULL, transfer_ct = NULL "
        "WHERE transfer_ct IS NOT NULL AND (expires <= ? OR state IN ('cancelled', 'expired'))",
        (now,),
    )
    query = (
        "UPDATE invites SET state = 'expired' WHERE expires <= ? AND state IN ('open', 'joined', 'challenged', 'proved') "
        "RETURNING invite"
    )
    return [row[0] for row in db.execute(query, (now,)).fetchall()]
