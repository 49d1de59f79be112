"""The account of this home, with the command line's clock and passphrase."""

from __future__ import annotations

from stillvault.approver.account import Account
from stillvault.cli.base import ask_passphrase, home, now


def open_account() -> Account:
    """The person's account. Raises `Usage` where the home holds no person."""
    return Account(home(), ask_passphrase, now)
