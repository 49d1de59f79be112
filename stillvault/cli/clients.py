"""`stillvault client`: invite, revoke."""

from __future__ import annotations

import click

from stillvault.cli.base import ID, PATH, PATTERN, Verbs, emit, say
from stillvault.protocol.errors import Usage


@click.group(cls=Verbs)
def client() -> None:
    """Invite and revoke hosts and agents."""


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
