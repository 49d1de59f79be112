"""`stillvault audit`: tail, export, verify.

A row is a leaf of the log with its `detail` laid flat beside `index`; laying flat loses nothing, so that an exported file can
be verified offline: the leaves are rebuilt from the rows, hashed, and compared with the signed checkpoint in its last line.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

import click
import msgspec

from stillvault.cli.base import STATE, Verbs, emit, say
from stillvault.cli.sentences import Teller
from stillvault.protocol.errors import Refused, Usage
from stillvault.protocol.rows import leaf_of, row_of
from stillvault.protocol.text import plain

POLL = 1.0  # seconds


@click.group(cls=Verbs)
def audit() -> None:
    """Show, export and verify the log."""


@audit.command()
@click.option("-f", "--follow", is_flag=True, help="Go on as rows are written.")
@click.option("-n", "--lines", type=click.IntRange(0, 100000), default=50, help="How many of the last rows (50).")
def tail(follow: bool, lines: int) -> None:
    """The last rows of the log, one a line."""
    from stillvault.approver.logbook import pages
    from stillvault.cli.account import open_account

    account = open_account()
    size, _ = account.store.check(account.relay, account.token(), account.trust())
    after = max(0, size - lines)
    teller = Teller()
    while True:
        for page in pages(account, after):
            for leaf in page.leaves:
                _print(row_of(after, leaf), teller)
                after += 1
        _lines(teller.rest())
        if not follow:
            return
        time.sleep(POLL)


def _print(row: dict[str, Any], teller: Teller) -> None:
    if STATE.json:
        print(msgspec.json.encode({"v": 1, **row}).decode(), flush=True)
    else:
        _lines(teller.tell(row))


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


@audit.command()
@click.option("--as", "kind", type=click.Choice(["jsonl", "ocsf", "cef"]), default="jsonl",
              help="jsonl (default) can be verified later; ocsf and cef are for log collectors.")
def export(kind: str) -> None:
    """All rows, one a line. As jsonl the last line carries the signed checkpoint and what verifies it."""
    if kind == "jsonl":
        _export_rows()
    else:
        _export_for_collectors(kind)


def _export_rows() -> None:
    from stillvault.approver.logbook import pages
    from stillvault.cli.account import open_account

    account = open_account()
    trust = account.trust()
    index, checkpoint = 0, ""
    for page in pages(account, 0):
        checkpoint = page.checkpoint
        for leaf in page.leaves:
            print(msgspec.json.encode(row_of(index, leaf)).decode())
            index += 1
    account.store.check(account.relay, account.token(), trust, checkpoint)
    stored = account.store.stored()
    last = Last(v=1, org_id=account.organisation.org_id, checkpoint=checkpoint, roots=stored.roots, roster=stored.roster)
    print(msgspec.json.encode(last).decode(), flush=True)
    say(f"{index} rows")


def _export_for_collectors(kind: str) -> None:
    """These forms carry no checkpoint, so nothing is printed that was not verified here and now."""
    from importlib.metadata import version

    from stillvault.approver.logbook import verified_leaves
    from stillvault.cli.account import open_account
    from stillvault.protocol.siem import FORMS

    leaves, _ = verified_leaves(open_account())
    form, program = FORMS[kind], version("stillvault")
    for index, leaf in enumerate(leaves):
        print(form(row_of(index, leaf), program))
    sys.stdout.flush()
    say(f"{len(leaves)} rows, verified; an export that can be verified later: --as jsonl")


class Last(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The last line of an export."""

    v: int
    org_id: str
    checkpoint: str
    roots: list[msgspec.Raw]
    roster: msgspec.Raw


class _Dated(msgspec.Struct):
    issued: int


@audit.command()
@click.option("--file", "name", default=None, help="Verify an export offline.")
@click.option("--org", "pin", default="", help="The org id that an export must be of; this home's where none is given.")
def verify(name: str | None, pin: str) -> None:
    """Recompute the log's root over all rows; check the signature and that it continues what was seen before."""
    size, root = _verify_file(name, pin) if name is not None else _verify_relay(pin)
    from stillvault.crypto.public import b64encode

    emit({"verified": True, "size": size, "root": b64encode(root)}, f"the log verifies: {size} rows, root {b64encode(root)}")


def _verify_relay(pin: str) -> tuple[int, bytes]:
    from stillvault.approver.logbook import verified_leaves
    from stillvault.cli.account import open_account

    account = open_account()
    if pin and pin != account.organisation.org_id:
        raise Refused("pin", "this home belongs to another organisation", "give its own id, or none", "--org")
    leaves, root = verified_leaves(account)
    return len(leaves), root


def _verify_file(name: str, pin: str) -> tuple[int, bytes]:
    from stillvault.approver.logbook import check_root
    from stillvault.cli.base import home
    from stillvault.crypto.public import Trust, b64decode, payload_of
    from stillvault.transport.home import Organisation
    from stillvault.transport.trust import log_key, open_checkpoint

    rows, last = _read(name)
    if not pin:
        organisation = home().read("home.json", Organisation)
        if organisation is None:
            raise Usage("pin", "nothing says which organisation this must be", "give --org PIN", "--org")
        pin = organisation.org_id
    # The dates of an archive may be over: it is judged by the time at which its newest part was signed.
    newest = [("root", last.roots[-1]), ("roster", last.roster)] if last.roots else []
    try:
        dates = [msgspec.json.decode(payload_of(kind, bytes(one)), type=_Dated).issued for kind, one in newest]
    except msgspec.MsgspecError:
        raise Refused("field", "root or roster in it is not of the form it must have", "the export was changed",
                      "--file") from None
    trust = Trust.verify(b64decode(pin), [bytes(one) for one in last.roots], bytes(last.roster), max(dates, default=0))
    size, root = open_checkpoint(last.checkpoint, *log_key(trust))
    for number, row in enumerate(rows):
        if row.get("index") != number:
            raise Refused("log-leaf", f"row {number} is missing or out of order", "the export is damaged or was changed")
    check_root([leaf_of(row) for row in rows], size, root)
    return size, root


def _read(name: str) -> tuple[list[dict[str, Any]], Last]:
    try:
        with sys.stdin.buffer if name == "-" else open(name, "rb") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise Usage("file", f"{plain(name)} cannot be read: {error.strerror}", "name an export", "--file") from None
    try:
        last = msgspec.json.decode(lines[-1], type=Last)
        return [msgspec.json.decode(one, type=dict[str, Any]) for one in lines[:-1]], last
    except (IndexError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused("log-leaf", "this is not a whole export", "the file is truncated or was changed", "--file") from None
