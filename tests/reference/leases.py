"""Protocol section 10: what a lease may be, and whether one still holds."""

from __future__ import annotations

import json
from typing import Any

from .encoding import Refused

CEILING = 28800  # seconds


def terms(
    policy: dict[str, Any], sealed: dict[str, Any], items: list[dict[str, Any]], request: dict[str, Any]
) -> dict[str, Any]:
    """The least of what policy, sealed policy, decisions and request allow. A reseal makes no lease."""
    sources = [policy, sealed, *items, request]
    window = min([CEILING, *(source["window"] for source in sources)])
    limited = [source["uses"] for source in sources if source["uses"] != 0]
    uses = min(limited, default=0)
    if window == 0 or request.get("purpose") == "reseal":
        return {"window": 0, "uses": 1, "scope": policy["scope"]}
    return {"window": window, "uses": uses, "scope": policy["scope"]}


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: to Python alone 1 is true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def hit(lease: dict[str, Any], start: int, boot: int, used: int, before: Any, after: Any) -> None:
    """One delivery out of a lease. `used` counts the deliveries so far, the first one with the request included."""
    # 10.1 live while elapsed < window, on the boot clock
    if not 0 <= boot - start < lease["window"]:
        raise Refused("lease-window")
    # 10.2 uses, where limited
    if lease["uses"] and used >= lease["uses"]:
        raise Refused("lease-uses")
    # 10.3 the scope, computed before and after the lookup, is the one that the lease was made for
    if not same(before, lease["id"]) or not same(after, lease["id"]):
        raise Refused("lease-scope")
