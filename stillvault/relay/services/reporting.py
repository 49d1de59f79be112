"""What a client says after the decision: receipts, use reports, cancels. Each is signed and of its own requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from stillvault.crypto import public
from stillvault.protocol import objects
from stillvault.protocol.lifecycle import RESULTS, Event
from stillvault.relay.context import Call
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import moving, sealing
from stillvault.relay.services.moving import Cause
from stillvault.relay.services.verified import read
from stillvault.relay.store import requests
from stillvault.relay.store.requests import StoredRequest
from stillvault.relay.store.transaction import Transaction

MOST_OBJECTS = 100
MOST_LINES = 256  # of a use report: programs that used one lease within a minute
MOST_WORDS = 2  # receipts of one request, and cancels: the second one is logged as late, a third is refused


class Used(objects.Object):
    """A line of a use report."""

    uid: int
    exe: str
    exe_sha256: str
    count: int


class Use(objects.Object):
    """The payload of a `use`."""

    org: str
    request: str
    by: list[Used]
    first: int
    last: int
    issued: int


class _Named(msgspec.Struct):
    """All three name their request."""

    request: str


Take = Callable[[Transaction, StoredRequest, bytes, bytes, int], None]


async def _report(call: Call, name: str, signed: Sequence[bytes], take: Take) -> None:
    """Each object: signature of the session's certificate, and a request that the same client raised.

    One client can make the log grow only so fast (limits.reports_per_minute), and use reports never take the reserved space. Each
    line of a use report is a row, so it counts as one report: what one call brings is taken whole, and the next has to wait.
    """
    standing, cert = sealing.standing_of(call), call.who.client()
    rates, key = call.relay.rates, public.b64encode(call.who.key)
    rates.count("reports_per_minute", key, call.relay.settings.limits.reports_per_minute, len(signed))
    if not 1 <= len(signed) <= MOST_OBJECTS:
        raise ProblemError("body-form", f"1 to {MOST_OBJECTS} objects", "objects")
    verified: list[tuple[bytes, bytes, bytes]] = []
    for one in signed:
        payload = standing.trust.verify_by_client(name, one, cert, call.now)
        verified.append((public.oid_of(one), one, payload))
        lines = len(read(Use, payload).by) if name == "use" else 0
        if lines > MOST_LINES:
            raise ProblemError("body-form", f"a use report has at most {MOST_LINES} lines", "objects")
        rates.add("reports_per_minute", key, max(lines - 1, 0))

    def change(tx: Transaction) -> None:
        for oid, wrapper, payload in verified:
            row = requests.get(tx.connection, public.b64decode(msgspec.json.decode(payload, type=_Named).request))
            if row is None or row.key != call.who.key:
                raise ProblemError("unknown")  # C5
            if name != "use" and requests.reports_of(tx.connection, row.oid, name, besides=oid) >= MOST_WORDS:
                raise ProblemError("conflict", f"this request has {MOST_WORDS} of them already", name)
            if requests.add_report(tx.connection, oid, row.oid, wrapper, call.now):
                take(tx, row, oid, payload, call.now)

    await call.relay.writer.write(change, essential=name != "use")


async def receipts(call: Call, signed: Sequence[bytes]) -> None:
    await _report(call, "receipt", signed, _receipt)


async def cancels(call: Call, signed: Sequence[bytes]) -> None:
    await _report(call, "cancel", signed, _cancel)


async def uses(call: Call, signed: Sequence[bytes]) -> None:
    await _report(call, "use", signed, _use)


def _receipt(tx: Transaction, row: StoredRequest, oid: bytes, payload: bytes, now: int) -> None:
    said = read(objects.Receipt, payload)
    if public.b64decode(said.secret) != row.secret or said.result not in RESULTS:
        raise ProblemError("conflict", "the receipt names another secret than was handed over", "secret")
    event = Event("receipt", now, oid=public.b64encode(oid), result=said.result)
    window = moving.lease_window(tx, row)
    moving.move(tx, row, event, Cause(oid=oid, actor=row.subject, lease_ends=now + window if window else 0))


def _cancel(tx: Transaction, row: StoredRequest, oid: bytes, _payload: bytes, now: int) -> None:
    moving.move(tx, row, Event("cancel", now, oid=public.b64encode(oid)), Cause(oid=oid, actor=row.subject))


def _use(tx: Transaction, row: StoredRequest, oid: bytes, payload: bytes, now: int) -> None:
    said = read(Use, payload).by
    requests.add_uses(tx.connection, row.oid, sum(one.count for one in said))
    for one in said:
        tx.leaf(
            "lease-used", row.subject, now, oid=oid, request=row.oid, secret=row.path, host=row.host, uid=one.uid, exe=one.exe,
            count=one.count,
        )
