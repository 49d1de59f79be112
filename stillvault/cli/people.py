"""`stillvault person`: invite, set, remove."""

from __future__ import annotations

import click

from stillvault.cli.base import ID, Verbs, emit, say
from stillvault.cli.paper import root_key_option
from stillvault.protocol.errors import Usage

ROLE = click.Choice(["admin", "approver", "sealer", "auditor"])


@click.group(cls=Verbs)
def person() -> None:
    """Invite, change and remove people."""


@person.command()
@click.argument("who", type=ID)
@click.option("--role", "roles", multiple=True, type=ROLE, help="May be given several times.")
def invite(who: str, roles: tuple[str, ...]) -> None:
    """Print a join URL for a person, or for a further device of theirs. Single use, 30 minutes."""
    from stillvault.admin import enrolment
    from stillvault.cli.account import open_account

    if who == "recovery":
        raise Usage("person", "nobody can be called recovery", "choose another id", "WHO")
    made = enrolment.invite(open_account(), kind="person", subject=who, roles=sorted(set(roles)), scopes=[], host="", grade="")
    say(f"Give this to {who} alone; then: stillvault confirm {who} --words \"..\"")
    emit(made, made["url"])


@person.command(name="set")
@click.argument("who", type=ID)
@click.option("--role", "roles", multiple=True, required=True, type=ROLE, help="All roles that the person is to have.")
def set_(who: str, roles: tuple[str, ...]) -> None:
    """Set a person's roles."""
    from stillvault.admin import roster as rosters
    from stillvault.admin.publish import publish, roster_of
    from stillvault.admin.sealing import check_no_seals
    from stillvault.cli.account import open_account

    account = open_account()
    seen = rosters.person_of(roster_of(account.trust()), who).roles
    if "sealer" not in roles:
        check_no_seals(account, who)
    trust = publish(account, rosters.with_roles(who, roles, seen))
    emit({"person": who, "roles": sorted(set(roles)), "roster_version": trust.pair[1]},
         f"{who} is now {', '.join(sorted(set(roles)))}: roster {trust.pair[1]}")


@person.command()
@click.argument("who", type=ID)
@click.option("--device", type=ID, default=None, help="Remove this device alone.")
@root_key_option
def remove(who: str, device: str | None) -> None:
    """Remove a person or one device: retire, seal everything they could open again, drop. Resumes when interrupted."""
    from stillvault.admin import removal
    from stillvault.cli.account import open_account

    done = removal.remove(open_account(), who, device or "", say)
    text = [f"{device or who} is removed: roster {done['roster_version']}, {len(done['resealed'])} secrets sealed again"]
    if done["rotate"]:
        text += ["A removal makes nobody forget. Rotate at the source:"] + [f"  {one}" for one in done["rotate"]]
    emit(done, "\n".join(text))
