"""`stillvault org`: create, show, renew, admin add."""

from __future__ import annotations

from typing import Any

import click

from stillvault.cli.base import ID, Verbs, emit, home, new_passphrase, now, passphrase_options, say, table
from stillvault.cli.paper import read_setup_token, root_key_option
from stillvault.protocol.errors import Usage
from stillvault.protocol.text import HIDDEN, plain


@click.group(cls=Verbs)
def org() -> None:
    """Create, show and renew the organisation."""


@org.command()
@click.argument("name")
@click.option("--relay", required=True, help="The relay's address, https://HOST:PORT, as everybody will use it.")
@click.option("--fingerprint", required=True, help="From `stillvault-relay fingerprint`.")
@click.option("--setup-token", default="", help="The part after # of `stillvault-relay setup-url`, for others here to read.")
@click.option("--setup-token-file", default="", metavar="FILE", help="The same in a file, or - for stdin; a terminal is asked.")
@click.option("--person", required=True, type=ID, help="Your own id.")
@click.option("--no-recovery", is_flag=True, help="Make no recovery keys.")
@passphrase_options
def create(name: str, relay: str, fingerprint: str, setup_token: str, setup_token_file: str, person: str, no_recovery: bool,
           no_passphrase: bool) -> None:
    """Create an organisation: root key, administrator and a first device in this home.

    Prints the recovery kit once. Thresholds of root and administrators are 1 in this version.
    """
    from stillvault.admin import organisation

    if HIDDEN.search(name) or "\\" in name or not 1 <= len(name) <= 100:
        raise Usage("name", "the name is empty, too long or holds characters that cannot be seen", "choose another", "NAME")
    if bool(setup_token) == bool(setup_token_file):
        remedy = "give --setup-token-file FILE (- for stdin or the terminal), or --setup-token TOKEN"
        raise Usage("setup-token", "the setup token comes in one way", remedy, "--setup-token-file")
    setup_token = setup_token or read_setup_token(setup_token_file)
    setup_token = setup_token.rpartition("#")[2]  # the whole line of `setup-url` is as good
    if not setup_token.isascii() or not setup_token.isprintable() or " " in setup_token or not setup_token:
        raise Usage("setup-token", "this is not a setup token", "take the part after # of `stillvault-relay setup-url`",
                    "--setup-token-file" if setup_token_file else "--setup-token")
    passphrase = new_passphrase(no_passphrase)
    if person == "recovery":
        raise Usage("person", "nobody can be called recovery", "choose another id", "--person")
    made = organisation.create(home(), name=name, url=relay, fingerprint=fingerprint, setup_token=setup_token, person=person,
                               recovery=not no_recovery, passphrase=passphrase, now=now())
    if passphrase is None:
        say("warning: the keys of this home have no passphrase")
    say("No policy stands yet: nothing can be sealed before `stillvault policy set`.")
    emit(made, _kit_text(made))


def _kit_text(made: dict[str, Any]) -> str:
    """The kit as parts that are complete without one another, so that each can go to a place of its own."""
    kit = made["recovery_kit"]
    spare = kit.get("recovery_keys", [])
    keys = [("root key", kit["root_key"], "Names new administrators and renews the organisation. It opens no secret.")]
    keys += [(one["id"], one["secret"], f"Any {kit['recovery_threshold']} of the {len(spare)} recovery keys open every secret: "
                                        "give them to different people.") for one in spare]
    shared = [f"organisation  {plain(made['name'])}", f"org id        {made['org_id']}", f"relay         {kit['relay']}",
              f"fingerprint   {kit['fingerprint']}"]
    lines = [*shared[:2], f"person        {made['person']}", f"device        {made['device']}", "",
             f"RECOVERY KIT: printed once. {len(keys)} part{'' if len(keys) == 1 else 's, each complete on its own'}. "
             "Keep it on paper, apart from this machine."]
    for number, (name, secret, use) in enumerate(keys, 1):
        lines += ["", f"---- {number} of {len(keys)} ----", *shared, f"{name:<13} {secret}", use]
    return "\n".join(lines)


@org.command()
def show() -> None:
    """Show people, clients and policies as the signed roster says."""
    from stillvault.admin import organisation
    from stillvault.approver.screen import moment, span
    from stillvault.cli.account import open_account

    found = organisation.show(open_account())
    lines = [f"{plain(found['name'])}   {found['org_id']}",
             f"root {found['root_version']}, roster {found['roster_version']}, expires {moment(found['expires'])}", ""]
    lines.append(table([["person", "roles", "device", "tier", "until"]] + [
        [one["id"], ",".join(one["roles"]), each["id"], each["tier"], moment(each["expires"])]
        for one in found["people"] for each in one["devices"]]))
    if found["clients"]:
        lines += ["", table([["client", "host", "grade", "scopes", "state", "until"]] + [
            [one["subject"], one["host"], one["grade"], ",".join(one["scopes"]), one["state"], moment(one["expires"])]
            for one in found["clients"]])]
    if found["policies"]:
        lines += ["", table([["policy", "match", "people", "window"]] + [
            [one["id"], ",".join(one["match"]), f"{one['threshold']} of {','.join(one['people'])}", span(one["window"])]
            for one in found["policies"]])]
    emit(found, "\n".join(lines))


@org.command()
@root_key_option
def renew() -> None:
    """Re-sign what expires: the roster (90 days), certificates and devices (1 year), the root (5 years)."""
    from stillvault.admin import organisation
    from stillvault.approver.screen import moment
    from stillvault.cli.account import open_account

    done = organisation.renew(open_account())
    if done["root_needs_renewal"]:
        say("warning: the root itself expires; renew in the home that holds the root key, or give --root-key-file")
    emit(done, f"roster {done['roster_version']} until {moment(done['expires'])}; certificates renewed: "
               f"{len(done['certificates'])}, devices: {len(done['devices'])}")


@org.command(name="accept-restore")
@click.option("--yes", is_flag=True, help="Sign it. Without this, it is only said what went back.")
@root_key_option
def accept_restore(yes: bool) -> None:
    """After a restore of the relay: see what went back, and sign that the organisation goes on from there.

    In the home that holds the root key, or in an administrator's with the key on the recovery kit's sheet (--root-key-file). Only
    after whoever runs the relay said that it was restored, and why.
    """
    from stillvault.admin import restoring
    from stillvault.cli.account import open_account

    account = open_account()
    found = restoring.look(account)
    facts: dict[str, Any] = {"older": found.older, "roster": found.roster, "roster_seen": found.roster_seen, "rows": found.rows,
                             "rows_seen": found.rows_seen, "log": found.log, "accepted": False}
    had, seen = ("{}.{}".format(*one) for one in (found.roster, found.roster_seen))
    text = (f"roster: the relay has {had}, this home saw {seen}\n"
            f"log: the relay has {found.rows} rows, this home saw {found.rows_seen}")
    if not yes:
        went = "the relay went back" if found.older else "nothing went back that this home has seen; others may have seen more"
        emit(facts, f"{text}\n{went}.\nWhat rosters after {seen} changed would be undone for everybody, removals and revocations "
                    "too: compare that number with `stillvault org show` of the other administrators.\n"
                    "If you know of a restore, and no home saw more: stillvault org accept-restore --yes")
        return
    trust = restoring.accept(account, found)
    emit({**facts, "accepted": True, "root_version": trust.pair[0], "roster_version": trust.pair[1]},
         f"{text}\naccepted: root {trust.pair[0]}, roster {trust.pair[1]}. What was sealed or enrolled since must be done again.")


@org.group(cls=Verbs)
def admin() -> None:
    """Administrators whose keys the root names."""


@admin.command()
@click.argument("who", type=ID)
@root_key_option
def add(who: str) -> None:
    """A new root that names WHO's key, and its roster. With --root-key-file an administrator may so name themselves."""
    from stillvault.admin import organisation
    from stillvault.cli.account import open_account

    trust = organisation.add_admin(open_account(), who)
    emit({"admin": who, "root_version": trust.pair[0], "roster_version": trust.pair[1]},
         f"{who} is an administrator: root {trust.pair[0]}, roster {trust.pair[1]}")
