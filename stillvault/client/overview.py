"""What the daemon shows without asking anybody: who the caller is, what waits, what a question would ask of whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stillvault.client import flow
from stillvault.client.agents import Agents
from stillvault.client.flow import Client
from stillvault.client.frames import error_fields
from stillvault.client.peer import Identity
from stillvault.client.pending import Pending
from stillvault.client.standing import Standing
from stillvault.crypto.public import request_code
from stillvault.protocol.cards import card_id
from stillvault.protocol.errors import StillvaultError
from stillvault.protocol.objects import Policy


def whoami(one: Identity, standing: Standing, agents: Agents | None, *, fronted: bool, system: bool,
           exact: bool) -> dict[str, Any]:
    """How the daemon sees a caller, and why: the program, the account, the agent, under which clients it may ask."""
    agent = one.agent.client if one.agent is not None else ""
    event: dict[str, Any] = {
        "event": "whoami", "uid": one.uid, "user": one.user, "exe": one.exe.path, "exe_sha256": one.exe.sha256,
        "chain": [{"exe": up.exe, "exe_sha256": up.exe_sha256} for up in one.chain], "front": fronted,
        "grade": "system" if system else "user", "why": why(standing, agents, system=system, exact=exact),
        "clients": [{"subject": client.subject, "host": client.host, "scopes": list(client.scopes)}
                    for client in standing.clients if flow.may_use(client.subject, agent)],
        "task": {"kind": one.task[0], "pid": one.agent.task[0] if one.agent is not None and one.agent.task is not None
                 else one.leader[0] if one.leader is not None else one.process[0]},
    }
    if one.agent is not None:
        event["identity"] = {"client": one.agent.client, "entry": one.agent.entry}
        if one.agent.exe:
            event["identity"]["exe"] = one.agent.exe
        if one.agent.task is not None:
            event["identity"]["pid"] = one.agent.task[0]
    if one.unit:
        event["unit"] = one.unit
    if one.container:
        event["container"] = one.container
    return event


def why(standing: Standing, agents: Agents | None, *, system: bool, exact: bool) -> str:
    """One line: the grade, and what does not stand."""
    text = standing.why(system=system, exact=exact)
    if agents is not None and agents.refusal is not None:
        text += f"; {agents.path.name} was changed and is not in force: {agents.refusal.message}"
    return text


def listed(waiting: Iterable[Pending], uid: int | None) -> list[dict[str, Any]]:
    """What waits for people, raised by an account (None: by all), a card each."""
    cards: dict[str, list[Pending]] = {}
    for pending in waiting:
        if uid in (None, pending.request.observed.uid):
            cards.setdefault(card_id(pending.request), []).append(pending)
    shown = []
    for card, requests in cards.items():
        first = min(requests, key=lambda one: one.path)
        shown.append({"id": card, "paths": sorted(one.path for one in requests), "state": "pending",
                      "expires": first.request.expires, "code": request_code(first.oid)})
    return shown


def planned(path: str, client: Client, policy: Policy, *, leased: bool) -> dict[str, Any]:
    """What one path would ask of whom."""
    return {"path": path, "client": client.subject, "policy": policy.id, "people": sorted(policy.people),
            "needed": policy.threshold, "window": policy.window, "uses": policy.uses, "scope": policy.scope, "leased": leased}


def refused(path: str, error: StillvaultError) -> dict[str, Any]:
    """Why one path would not be asked for."""
    return {"path": path, "error": error_fields(error)}
