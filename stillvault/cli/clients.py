"""`stillvault client`: invite, list, revoke."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from stillvault.cli.base import ID, PATH, PATTERN, Verbs, emit, say, table
from stillvault.protocol.errors import Usage


@click.group(cls=Verbs)
def client() -> None:
    """Invite, list and revoke hosts and agents."""


@client.command()
@click.argument("subject", type=PATH)
@click.option("--host", default="", help="The host's name on the card; for host/NAME it is NAME.")
@click.option("--grade", type=click.Choice(["system", "user"]), default="system", help="How much the host's word counts.")
@click.option("--scope", "scopes", multiple=True, required=True, type=PATTERN, help="What it may ask for; several times.")
def invite(subject: str, host: str, grade: str, scopes: tuple[str, ...]) -> None:
    """Print a join URL for a host (host/db-1) or an agent (agent/claude --host db-1)."""
    from stillvault.admin import enrolment
    from stillvault.cli.account import open_account

    if subject.split("/")[0] == "person":
        raise Usage("subject", "person/.. belongs to people", "use host/NAME or agent/NAME", "SUBJECT")
    if not host and not subject.startswith("host/"):
        raise Usage("host", f"on which host does {subject} live?", "give --host NAME", "--host")
    shown = ID.convert(host or subject.rpartition("/")[2], None, None)
    made = enrolment.invite(open_account(), kind="client", subject=subject, roles=[], scopes=sorted(set(scopes)), host=shown,
                            grade=grade)
    say(f"Run on {shown}: stillvault join URL; then: stillvault confirm {subject} --words \"..\"")
    emit(made, made["url"])


@client.command(name="list")
def list_() -> None:
    """Every client as its certificate verifies, what holds it, and who froze it."""
    from stillvault.admin import clients
    from stillvault.cli.account import open_account

    account = open_account()
    found = clients.shown(account, account.trust())
    emit({"clients": found}, _text(found) if found else "no clients")


def _text(found: list[dict[str, Any]]) -> str:
    from stillvault.approver.screen import moment

    rows = [["client", "host", "grade", "scopes", "state", "until"]] + [
        [one["subject"] or "(cannot be read)", one["host"], one["grade"], ",".join(one["scopes"]), one["state"],
         moment(one["expires"]) if one["expires"] else ""] for one in found]
    held = {}
    for one in found:
        lines = [f"held until {moment(one['held_until'])}"] if "held_until" in one else []
        lines += [_freeze(each, moment) for each in one["freezes"]]
        if lines:
            held[one["subject"]] = lines  # several certificates of one client: said once
    return "\n".join([table(rows), *(f"{subject} is {line}" for subject, lines in held.items() for line in lines)])


def _freeze(one: dict[str, Any], moment: Callable[[int], str]) -> str:
    until = f"until {moment(one['until'])}"
    if "by" in one:
        return f"frozen by {one['by']} ({one['device']}) at {moment(one['since'])}, {until}"
    why = "after denied cards" if one["check"] == "relay" else f"by a decision that does not verify: {one['check']}"
    return f"frozen, says the relay, {why}, {until}"


@client.command()
@click.argument("subject", type=PATH)
def revoke(subject: str) -> None:
    """Revoke every certificate of a client. Its leases end, its requests are cancelled."""
    from stillvault.admin import roster as rosters
    from stillvault.admin.publish import certs_of, publish
    from stillvault.cli.account import open_account

    account = open_account()
    oids = certs_of(account, subject)
    if not oids:
        raise Usage("unknown-client", f"no certificate of {subject} stands", "see `stillvault org show`", "SUBJECT")
    trust = publish(account, rosters.with_revoked(oids))
    emit({"revoked": subject, "certificates": oids, "roster_version": trust.pair[1]},
         f"{subject} is revoked: roster {trust.pair[1]}")
