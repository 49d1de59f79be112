"""`stillvault join`, `invites`, `confirm`."""

from __future__ import annotations

import click

from stillvault.cli.base import STATE, Verb, emit, home, new_passphrase, now, passphrase_options, say, table
from stillvault.protocol.errors import Usage
from stillvault.protocol.text import HIDDEN, plain

CUSTODIES = click.Choice(["soft", "pkcs11", "tpm", "fido2"])


@click.command(cls=Verb)
@click.argument("url")
@click.option("--name", "label", default="", help="A label for this device; the machine's name where none is given.")
@click.option("--custody", type=CUSTODIES, default="soft", help="Where the keys live. This version: soft.")
@passphrase_options
def join(url: str, label: str, custody: str, no_passphrase: bool) -> None:
    """Join by the URL of an invite. Shows five words; the administrator confirms by them."""
    if custody != "soft":
        raise Usage("custody", f"{custody}: not in this version", "join with --custody soft", "--custody")
    if HIDDEN.search(label) or "\\" in label or len(label) > 64:
        raise Usage("name", "the label is too long or holds characters that cannot be seen", "choose another", "--name")
    from stillvault.admin.joining import Join
    from stillvault.admin.organisation import label_here

    one = Join(home(), url, passphrase=lambda: new_passphrase(no_passphrase), label=label or label_here(), now=now())
    words = one.begin()
    if not STATE.json:
        say("Read these words to the administrator; they confirm them on their side:")
    emit({"event": "words", "words": " ".join(words)}, "    " + " ".join(words))
    done = one.finish()
    what = done.get("person") or done.get("subject")
    emit({"event": "joined", **done}, f"joined {plain(done['name'])} as {what}")


@click.command(cls=Verb)
def invites() -> None:
    """What waits: who was invited, who has joined and waits for `confirm`. Never the words."""
    from stillvault.admin.enrolment import pending
    from stillvault.approver.screen import moment
    from stillvault.cli.account import open_account

    found = [{"subject": one.subject, "kind": one.kind, "state": one.state, "roles": one.roles, "scopes": one.scopes,
              "host": one.host, "grade": one.grade, "created": one.created, "expires": one.expires}
             for one in pending(open_account()) if one.state not in ("confirmed", "expired")]
    rows = [["who", "kind", "state", "until"]] + [[str(one["subject"]), str(one["kind"]), str(one["state"]),
                                                   moment(int(str(one["expires"])))] for one in found]
    emit({"invites": found}, table(rows) if found else "no invites")


@click.command(cls=Verb)
@click.argument("who")
@click.option("--words", required=True, help="The five words on the joiner's screen, in quotes.")
def confirm(who: str, words: str) -> None:
    """Confirm who joined: signs the roster or the certificate."""
    from stillvault.admin import enrolment
    from stillvault.cli.account import open_account

    typed = words.lower().split()
    if len(typed) != 5 or not all(one.isascii() and one.isalpha() for one in typed):
        raise Usage("words", "five words are needed", 'give them in quotes: --words "a b c d e"', "--words")
    done = enrolment.confirm(open_account(), who, typed)
    emit(done, f"{done['confirmed']} is confirmed")
