"""`stillvault scan --seal`: each value of a KEY=VALUE line is sealed, then its line rewritten, in this order.

A path that has a secret already is never sealed over: whoever uses it would get another value. Two variables of one name and
one value share a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillvault.cli.base import say, yes_or_no
from stillvault.cli.findings import Found, place_of, reference_in, value_in
from stillvault.cli.rewriting import read_own, rewrite
from stillvault.protocol.errors import Failed
from stillvault.protocol.text import plain

if TYPE_CHECKING:
    from stillvault.approver.account import Account


def seal_all(found: list[Found], prefix: str, yes: bool) -> None:
    """Seals what can be sealed and notes the rest. No policy or no relay ends it with that error; what was done stays done."""
    from stillvault.cli.account import open_account
    from stillvault.crypto.private import harden_process

    account = open_account()
    account.keys()  # the passphrase is asked for before anything is changed
    harden_process()
    sealed: dict[str, bytes] = {}
    # From the end of each file, so that what stands before keeps its place.
    for one in sorted(found, key=lambda one: (one.file, -one.finding.start)):
        if not one.finding.sealable:
            one.why_not = "not the value of a NAME=value line"
            continue
        try:
            _seal(account, one, prefix, yes, sealed)
        except Failed as error:
            one.why_not = error.message
            say(f"{plain(one.file)}:{one.finding.line}: {error.message}")


def _seal(account: Account, one: Found, prefix: str, yes: bool, sealed: dict[str, bytes]) -> None:
    from stillvault.admin import sealing
    from stillvault.crypto.private import Value

    path = place_of(prefix, one.finding.name)
    reference = f"sv://{path}"
    before = read_own(one.file, one.top) or b""
    after = reference_in(before, one, reference)
    value = value_in(before, one)
    if path in sealed and sealed[path] != value:
        raise Failed("two-values", f"{path} was just sealed with another value", "seal one of them under another prefix")
    if path not in sealed and sealing.latest(account, path) is not None:
        raise Failed("exists", f"{path} has a secret already, which is left as it is",
                     "give another prefix, or put the reference into the file by hand")
    if not yes and not yes_or_no(f"{plain(one.file)}:{one.finding.line} {plain(one.finding.name)} -> {reference}? [y/N] "):
        one.why_not = "left by choice"
        return
    if path not in sealed:
        secret = Value.from_bytes(value)
        try:
            sealing.seal_value(account, path, secret)
        finally:
            secret.wipe()
        sealed[path] = value
    try:
        rewrite(one.file, before, after, one.top)
    except Failed as error:
        raise Failed(error.code, f"{error.message}; its value is sealed as {path}", error.remedy) from None
    one.reference = reference
    say(f"{plain(one.file)}:{one.finding.line} {plain(one.finding.name)} is now {reference}")
