"""Taking a policy out of the roster, once nothing lies under it.

A secret carries the whole policy that stood when it was sealed, so one that another policy governs by now loses nothing. A
secret that this policy still governs would fall to another policy or to none: that is refused before anything is signed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from stillvault.admin.publish import publish, roster_of
from stillvault.admin.roster import without_policy
from stillvault.admin.sealing import listed, path_of
from stillvault.approver.account import Account
from stillvault.approver.memory import remembered
from stillvault.crypto.public import Trust, payload_of
from stillvault.protocol.errors import Refused, Usage
from stillvault.protocol.objects import Policy
from stillvault.protocol.objects import Secret as SecretPayload


def remove(account: Account, name: str) -> dict[str, Any]:
    """Removes the policy; `sealed_under` are paths whose seal still carries it while another governs them.

    The relay's list is not all that is looked at: a path that this home has seen counts too, listed or not.
    """
    trust = account.trust()
    policies = roster_of(trust).policies
    standing = next((one for one in policies if one.id == name), None)
    if standing is None:
        known = ", ".join(one.id for one in policies) or "none"
        raise Usage("unknown-policy", f"there is no policy {name}", f"known are: {known}", "NAME")
    seals = list(listed(account))
    paths = {path_of(one) for one in seals} | set(remembered(account.home).highest)
    governed = sorted(path for path in paths if _governing(trust, path) == name)
    cores = (msgspec.json.decode(payload_of("secret", one), type=SecretPayload).core for one in seals)
    under = sorted(core.path for core in cores if core.policy.id == name)
    after = publish(account, without_policy(standing, governed))
    return {"removed": name, "sealed_under": under, "roster_version": after.pair[1]}


def _governing(trust: Trust, path: str) -> str:
    try:
        return msgspec.json.decode(trust.select_policy(path), type=Policy).id
    except Refused:
        return ""
