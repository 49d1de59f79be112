"""The account of this home, with the command line's clock, passphrase and paper, and a word before something expires."""

from __future__ import annotations

from stillvault.approver.account import Account
from stillvault.cli.base import ask_passphrase, home, now, say
from stillvault.cli.paper import root_key_text
from stillvault.protocol.errors import StillvaultError


def open_account() -> Account:
    """The person's account. Raises `Usage` where the home holds no person."""
    account = Account(home(), ask_passphrase, now, root_key_text())
    _warn(account)
    return account


def _warn(account: Account) -> None:
    """Says on stderr what expires within the last quarter of its life: `org renew` is the remedy."""
    from stillvault.admin.publish import root_of, roster_of

    try:
        trust = account.store.current(now())
    except StillvaultError:
        return  # the command itself will meet it, and say it properly
    roster, root = roster_of(trust), root_of(trust)
    lives = [("the roster", roster.issued, roster.expires), ("the root", root.issued, root.expires)]
    lives += [(f"this device ({one.id})", one.added, one.expires) for person in roster.people for one in person.devices
              if (person.id, one.id) == account.own]
    for what, issued, expires in lives:
        left = expires - now()
        if 0 < left <= (expires - issued) // 4:
            say(f"warning: {what} expires in {left // 86400} days: an administrator runs `stillvault org renew`")
