"""Every signed row, for whoever looks the whole database over. Read one by one: a database may be large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from stillvault.relay.store.connection import Connection

# Tables whose rows are one signed object each, by its oid: (table, name of the object; empty where there are several).
SIGNED = (("certs", "client-cert"), ("requests", "request"), ("decisions", "decision"), ("reports", ""))


def _blob(cell: object) -> bytes:
    """A cell that is bytes in every row that a relay wrote. Raises TypeError: `bytes` of a number would be as many zeros."""
    if not isinstance(cell, bytes):
        raise TypeError("a cell of another type")
    return cell


class SignedRow(NamedTuple):
    """A row that is one signed object."""

    oid: bytes
    signed: bytes


class SecretRow(NamedTuple):
    """A seal with its ciphertext."""

    seq: int
    oid: bytes
    path: str
    version: int
    revision: int
    newest: int
    signed: bytes
    ciphertext: bytes


class RequestRow(NamedTuple):
    """What a request's row says beside the signed request."""

    oid: bytes
    client: bytes
    path: str
    secret: bytes
    state: str
    threshold: int
    signed: bytes


def signed(db: Connection, table: str) -> Iterator[SignedRow]:
    """Rows of one of the tables of `SIGNED`."""
    if table not in {name for name, _ in SIGNED}:
        raise ValueError(table)
    for oid, wrapper in db.execute(f"SELECT oid, signed FROM {table} ORDER BY oid"):  # noqa: S608  one of the names above
        yield SignedRow(_blob(oid), _blob(wrapper))


def enrolments(db: Connection) -> Iterator[tuple[bytes, SignedRow]]:
    """Enrolments that joined, with their invite."""
    query = "SELECT invite, enrol_oid, enrol FROM invites WHERE enrol IS NOT NULL ORDER BY created"
    for invite, oid, wrapper in db.execute(query):
        yield _blob(invite), SignedRow(_blob(oid or b""), _blob(wrapper))


def reports(db: Connection) -> Iterator[tuple[bytes, SignedRow]]:
    """Receipts, uses and cancels, with the certificate that their request was raised under."""
    query = "SELECT q.client, r.oid, r.signed FROM reports r JOIN requests q ON q.oid = r.request ORDER BY r.oid"
    for client, oid, wrapper in db.execute(query):
        yield _blob(client), SignedRow(_blob(oid), _blob(wrapper))


class WrappedRow(NamedTuple):
    """A wrapped key of a device. Nobody signed it: the device itself finds out when it does not open."""

    person: str
    device: str
    kind: str
    public: str


def wrapped(db: Connection) -> Iterator[WrappedRow]:
    """All wrapped keys, by device."""
    for row in db.execute("SELECT person, device, kind, public FROM wrapped ORDER BY person, device, credential, kind"):
        yield WrappedRow(*row)


def rosters(db: Connection) -> Iterator[SignedRow]:
    """All rosters, in the order in which they came."""
    for oid, wrapper in db.execute("SELECT oid, signed FROM rosters ORDER BY seq"):
        yield SignedRow(_blob(oid), _blob(wrapper))


def secrets(db: Connection) -> Iterator[SecretRow]:
    """All seals, by path and age."""
    query = "SELECT seq, oid, path, version, revision, newest, signed, ciphertext FROM secrets ORDER BY path, version, revision"
    for row in db.execute(query):
        yield SecretRow(*row)


def requests(db: Connection) -> Iterator[RequestRow]:
    """All requests, in the order in which they came."""
    for row in db.execute("SELECT oid, client, path, secret, state, threshold, signed FROM requests ORDER BY seq"):
        yield RequestRow(*row)


# Tables with columns that say what their signed object says: those columns.
BESIDE = {
    "roots": ("version",),
    "rosters": ("version",),
    "certs": ("subject", "key", "issued"),
    "requests": ("client", "id", "path", "purpose", "expires"),
    "reports": ("request",),
}


def beside(db: Connection, table: str) -> Iterator[tuple[bytes, bytes, dict[str, Any]]]:
    """(oid, signed object, columns) of the rows of one of the tables of `BESIDE`."""
    names = BESIDE[table]
    for oid, wrapper, *values in db.execute(f"SELECT oid, signed, {', '.join(names)} FROM {table} ORDER BY oid"):  # noqa: S608  ours
        yield _blob(oid), _blob(wrapper), dict(zip(names, values, strict=True))


class VoteRow(NamedTuple):
    """A vote, and its decision's signed object; empty where that is not there."""

    request: bytes
    person: str
    device: str
    verdict: str
    expires: int
    window: int
    signed: bytes


def votes(db: Connection) -> Iterator[VoteRow]:
    """All votes, by request."""
    query = (
        "SELECT v.request, v.person, v.device, v.verdict, v.expires, v.window, coalesce(d.signed, x'') "
        "FROM votes v LEFT JOIN decisions d ON d.oid = v.decision ORDER BY v.request, v.person"
    )
    for row in db.execute(query):
        yield VoteRow(*row)
