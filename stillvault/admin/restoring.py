"""What an owner does after the relay was restored from an older copy: look at what went back, and sign that it goes on.

Until then every device that saw more refuses (protocol 8 and 12: `rollback`, `log-rollback`, `log-fork`), which is what tells
people of a restore that nobody announced. The owner signs a new root, over the newest chain and roster that *this home*
accepted, never over what the relay shows. It names a new log: heads of the former log are not compared with it. The relay cannot
do this, nor an administrator without the root key.

Where that key is on paper alone, the administrator who brings it may be one whom no root names yet: nobody else could sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from stillvault.admin.publish import admin_key, check_next, root_of, roster_of
from stillvault.admin.roster import ROOT_LIFE, successor
from stillvault.approver.account import Account
from stillvault.crypto.public import Trust, b64encode, oid_of
from stillvault.protocol import messages
from stillvault.protocol.errors import Refused, Usage
from stillvault.protocol.objects import Log, Signers, canonical
from stillvault.transport.trust import log_key, open_checkpoint

Pair = tuple[int, int]
OLDER = ("log-rollback", "log-fork")  # a log that went back, and one that grew on from there


@dataclass(frozen=True)
class WentBack:
    """What the relay shows, beside what this home accepted before."""

    roster: Pair
    roster_seen: Pair
    rows: int
    rows_seen: int
    log: str  # the code of the check that the log failed; empty when it continues what was seen
    missing_roots: list[msgspec.Raw]

    @property
    def older(self) -> bool:
        return self.roster < self.roster_seen or bool(self.log)


def look(account: Account) -> WentBack:
    """Compares the relay with this home. Raises `Refused` where what the relay shows does not verify at all."""
    trust = account.store.current(account.clock())
    given = account.call("GET", "/v1/trust", returns=messages.Trust)
    roots = [bytes(one) for one in given.roots]
    own = account.store.stored()
    shown = Trust.verify(account.org, roots, bytes(given.roster), account.clock())
    # 1. The relay's chain is the beginning of ours: it is older, and not another one.
    if roots != [bytes(one) for one in own.roots][: len(roots)] or shown.pair > trust.pair:
        raise Usage("not-older", "the relay has a newer root chain or roster than this home has seen",
                    "run `stillvault org show`; then try again")
    if shown.pair == trust.pair and shown.oid != trust.oid:
        raise Refused("fork", "the relay shows another roster of the same version", "stop, and compare with another person")
    # 2. Its checkpoint is signed by the log key of that chain; whether it continues the head seen before is what is asked.
    checkpoint = account.call("GET", "/v1/log/checkpoint", returns=messages.Checkpoint).checkpoint
    rows, _ = open_checkpoint(checkpoint, *log_key(shown))
    seen, log = account.store.log_head(), ""
    try:
        account.store.check(account.relay, account.token(), shown, checkpoint)
    except Refused as error:
        if error.code not in OLDER:
            raise
        log = error.code
    return WentBack(shown.pair, trust.pair, rows, seen[0] if seen else 0, log, own.roots[len(roots):])


def accept(account: Account, found: WentBack) -> Trust:
    """Signs and publishes the root and the roster from which the organisation goes on. Needs the root key and an admin key."""
    trust, now = account.store.current(account.clock()), account.clock()
    root = root_of(trust)
    log = Log(origin=next_log(root.log.origin), public=root.log.public)
    following = msgspec.structs.replace(root, version=root.version + 1, previous=b64encode(trust.root_oid), issued=now,
                                        expires=now + ROOT_LIFE, log=log, admin=_with_own(account, trust))
    own = admin_key(account, trust, following.admin)
    signed = account.root_key().sign("root", canonical(following))
    roster = own.sign("roster", canonical(successor(roster_of(trust), b64encode(trust.oid), b64encode(oid_of(signed)), now)))
    stored = account.store.stored()
    check_next(account, messages.Trust(roots=[*stored.roots, msgspec.Raw(signed)], roster=stored.roster), roster, trust)
    body = messages.Publish(roster=msgspec.Raw(roster), roots=[*found.missing_roots, msgspec.Raw(signed)], certs=[])
    account.call("POST", "/v1/roster", body, returns=messages.Trust)
    accepted = account.trust(fresh=True)
    account.store.check(account.relay, account.token(), accepted)
    return accepted


def _with_own(account: Account, trust: Trust) -> Signers:
    """The root's administrators, and this device where the roster lists it as an administrator's and the root key is at hand."""
    admin, (person, device) = root_of(trust).admin, account.own
    found = next((one for one in roster_of(trust).people if one.id == person and "admin" in one.roles), None)
    named = {one.public for one in admin.keys}
    if found is None or not account.has_root_key():
        return admin
    fresh = [key for one in found.devices if one.id == device for key in one.auth if key.public not in named]
    return msgspec.structs.replace(admin, keys=[*admin.keys, *fresh])


def next_log(origin: str) -> str:
    """`host/log`, `host/log/2`, `host/log/3`: an origin names one log for good (C2SP)."""
    head, _, last = origin.rpartition("/")
    return f"{head}/{int(last) + 1}" if last.isdecimal() else f"{origin}/2"
