"""Notification targets of the person who calls."""

from __future__ import annotations

from stillvault.protocol import messages
from stillvault.relay.context import Call
from stillvault.relay.services import targets

NOTHING = messages.Nothing()


async def listed(call: Call) -> messages.Targets:
    return targets.listed(call)


async def add(call: Call, body: messages.NewTarget) -> messages.Target:
    return await targets.add(call, body)


async def remove(call: Call, body: messages.TargetId) -> messages.Nothing:
    await targets.remove(call, body.id)
    return NOTHING


async def test(call: Call, body: messages.TargetId) -> messages.TargetTried:
    return await targets.test(call, body.id)
