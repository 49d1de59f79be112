"""Every signed row against its own signature: what an edit of the database file cannot make look right (doctor).

What a row's columns say counts for nothing; this finds the rows that were flipped, swapped, renamed, inserted or edited, and
names them. A forged row has no power over secrets anyway: clients and approvers make every check again (protocol 7 and 8).

1. The root chain verifies, and each roster under the root that it names; each roster names the one before.
2. Every other signed object has the oid that it stands under.
3. A certificate that is in force is signed by the administrators of the root.
4. A seal is of the path and version of its row, follows the seal before it, has its ciphertext, and the newest one of a path is
   by a sealer of the roster.
5. A request is signed by its client, and its threshold is the sealed one; so are receipts, uses and cancels. A decision is
   signed by the device that it names, an enrolment by its own key.
6. A wrapped KEM key is that of a device of the roster. What is in it only its passkey can tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import msgspec

from stillvault.crypto import public
from stillvault.crypto.public import Cert, Trust
from stillvault.protocol.errors import Refused
from stillvault.protocol.objects import Root, Roster, Secret
from stillvault.relay.store import rows, trust
from stillvault.relay.store.connection import Connection

IN_FORCE = ("expired", "revoked")  # codes that say that a certificate stands no more: nothing is asked of it
REPORTS = ("receipt", "use", "cancel")
FORGED = ("signature", "alg", "json", "canonical", "field", "type", "base64", "challenge", "client-data")


def damaged(db: Connection, now: int) -> Iterator[str]:
    """`table row: what is wrong`, for each row that is not what was signed."""
    chain = trust.roots(db)
    if not chain:
        return
    standing, found = _standing(db, chain, now)
    yield from found
    certs: dict[bytes, Cert] = {}
    for table, name in rows.SIGNED:
        for row in rows.signed(db, table):
            wrong = _oid(row, name)
            if not wrong and standing is not None and table == "certs":
                wrong = _cert(standing, row, now, certs)
            if not wrong and standing is not None and table == "decisions":
                wrong = _signed(standing.verify_decision, row.signed, _issued("decision", row.signed))
            if wrong:
                yield f"{table} {_short(row.oid)}: {wrong}"
    thresholds: dict[bytes, int] = {}
    yield from _secrets(db, standing, now, thresholds)
    yield from _requests(db, standing, certs, thresholds)
    yield from _reports(db, standing, certs)
    if standing is not None:
        yield from _wrapped(db, standing)


def _standing(db: Connection, chain: list[tuple[int, bytes, bytes]], now: int) -> tuple[Trust | None, list[str]]:
    looked = ((version, _oid(rows.SignedRow(oid, signed), "root")) for version, oid, signed in chain)
    found = [f"roots {version}: {wrong}" for version, wrong in looked if wrong]
    before: tuple[int, str] | None = None
    newest = b""
    for number, row in enumerate(rows.rosters(db), 1):
        wrong = _oid(row, "roster")
        if not wrong:
            said = msgspec.json.decode(public.payload_of("roster", row.signed), type=Roster)
            if before is not None and said.version == before[0] + 1 and said.previous != before[1]:
                wrong = "it does not follow the roster before it"
            else:
                wrong = _rostered(chain, said, row.signed)
            before = (said.version, public.b64encode(row.oid))
        if wrong:
            found.append(f"rosters {number}: {wrong}")
        newest = row.signed
    try:
        return Trust.verify(chain[0][1], [signed for _, _, signed in chain], newest, now), found
    except Refused as error:
        if error.code != "expired":
            found.append(f"roots and the newest of rosters: they do not verify ({error.code})")
        return None, found


def _rostered(chain: list[tuple[int, bytes, bytes]], said: Roster, signed: bytes) -> str:
    """A roster under the root that it names, at the time when it was signed."""
    names = [public.b64encode(oid) for _, oid, _ in chain]
    if said.root not in names:
        return "it names no root that is here"
    try:
        Trust.verify(chain[0][1], [one for _, _, one in chain[: names.index(said.root) + 1]], signed, said.issued)
    except Refused as error:
        return f"it does not verify ({error.code})"
    return ""


def _oid(row: rows.SignedRow, name: str) -> str:
    try:
        if public.oid_of(row.signed) != row.oid:
            return "it is not the object of its oid"
        if name:
            public.payload_of(name, row.signed)
    except Refused as error:
        return f"it is no signed object ({error.code})"
    return ""


def _signed(verify: Callable[..., object], *given: object) -> str:
    """Whether a signature is good; what else a verifier asks for may have changed since."""
    try:
        verify(*given)
    except Refused as error:
        return f"its signature does not verify ({error.code})" if error.code in FORGED else ""
    return ""


class _Dated(msgspec.Struct):
    issued: int


def _issued(name: str, signed: bytes) -> int:
    return msgspec.json.decode(public.payload_of(name, signed), type=_Dated).issued


def _cert(standing: Trust, row: rows.SignedRow, now: int, certs: dict[bytes, Cert]) -> str:
    try:
        certs[row.oid] = standing.verify_cert(row.signed, now)
    except Refused as error:
        return "" if error.code in IN_FORCE else f"the root's administrators did not sign it ({error.code})"
    return ""


def _secrets(db: Connection, standing: Trust | None, now: int, thresholds: dict[bytes, int]) -> Iterator[str]:
    before: tuple[str, str] | None = None
    for row in rows.secrets(db):
        wrong = _oid(rows.SignedRow(row.oid, row.signed), "secret")
        if not wrong:
            core = msgspec.json.decode(public.payload_of("secret", row.signed), type=Secret).core
            thresholds[row.oid] = core.policy.threshold
            if (core.path, core.version, core.revision) != (row.path, row.version, row.revision):
                wrong = "the seal is of another path or version"
            elif public.b64encode(hashlib.sha256(row.ciphertext).digest()) != core.ciphertext_hash:
                wrong = "the ciphertext is not that of the seal"
            elif before is not None and before[0] == row.path and core.previous != before[1]:
                wrong = "it does not follow the seal before it"
            elif standing is not None:
                try:
                    standing.verify_secret(row.signed, row.path, [], now, reseal=True)
                except Refused as error:
                    if row.newest or error.code in FORGED:
                        wrong = f"the seal does not verify ({error.code})"
            before = (row.path, public.b64encode(row.oid))
        if wrong:
            yield f"secrets {row.seq} ({public.visible(row.path.encode())}): {wrong}"


def _requests(db: Connection, standing: Trust | None, certs: dict[bytes, Cert], thresholds: dict[bytes, int]) -> Iterator[str]:
    for row in rows.requests(db):
        wrong = ""
        cert = certs.get(row.client)
        if standing is not None and cert is not None and not _oid(rows.SignedRow(row.oid, row.signed), "request"):
            wrong = _signed(standing.verify_by_client, "request", row.signed, cert, _issued("request", row.signed))
        if not wrong and row.state in ("pending", "approved") and thresholds.get(row.secret, row.threshold) != row.threshold:
            wrong = "its threshold is not the sealed one"
        if wrong:
            yield f"requests {_short(row.oid)}: {wrong}"


def _reports(db: Connection, standing: Trust | None, certs: dict[bytes, Cert]) -> Iterator[str]:
    """Receipts, uses and cancels, by the client of their request. Enrolments, by their own key."""
    for client, row in rows.reports(db):
        cert = certs.get(client)
        if standing is None or cert is None or _oid(row, ""):
            continue  # of nobody who stands, or named above
        name = msgspec.json.decode(row.signed, type=_Typed).type.removeprefix("application/vnd.stillvault.").partition(".")[0]
        wrong = "it is no report"
        if name in REPORTS:
            wrong = _signed(standing.verify_by_client, name, row.signed, cert, _issued(name, row.signed))
        if wrong:
            yield f"reports {_short(row.oid)}: {wrong}"
    for invite, row in rows.enrolments(db):
        wrong = _oid(row, "enrol")
        if not wrong and standing is not None:
            origins = msgspec.json.decode(standing.root, type=Root).origins
            wrong = _signed(public.verify_enrol, standing.pin, origins, row.signed, invite)
        if wrong:
            yield f"invites {_short(row.oid)}: {wrong}"


def _wrapped(db: Connection, standing: Trust) -> Iterator[str]:
    roster = msgspec.json.decode(standing.roster, type=Roster)
    keys = {(person.id, device.id): device.kem.public for person in roster.people for device in person.devices}
    for row in rows.wrapped(db):
        if keys.get((row.person, row.device)) != row.public and row.kind == "kem":
            yield f"wrapped {public.visible(f'{row.person} {row.device}'.encode())}: it is not the key of that device"


class _Typed(msgspec.Struct):
    type: str


def _short(oid: bytes) -> str:
    return public.b64encode(oid)[:12]
