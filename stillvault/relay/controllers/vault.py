"""Secrets, requests, prompts, decisions, reports."""

from __future__ import annotations

from stillvault.protocol import messages
from stillvault.relay.context import Call
from stillvault.relay.controllers import parameters
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import asking, deciding, feed, leasing, reporting, sealing
from stillvault.relay.store import events

NOTHING = messages.Nothing()


async def seal(call: Call, body: messages.NewSecret) -> messages.Stored:
    return await sealing.store(call, body)


async def secrets(call: Call) -> messages.Secrets:
    limit = max(parameters.number(call, "limit", sealing.PAGE, sealing.PAGE), 1)
    return sealing.listed(call, parameters.text(call, "prefix", ""), parameters.text(call, "after", ""), limit)


async def latest(call: Call) -> messages.LatestSecret:
    return sealing.newest(call, parameters.text(call, "path"))


async def history(call: Call) -> messages.Secrets:
    return sealing.history(call, parameters.text(call, "path"))


async def ask(call: Call, body: messages.NewRequests) -> messages.RequestStates:
    return messages.RequestStates(await asking.ask(call, [bytes(one) for one in body.requests]))


async def request(call: Call) -> messages.RequestState:
    return asking.one_state(call, parameters.oid(call, "oid"))


async def requests(call: Call) -> messages.RequestStates:
    if parameters.text(call, "state", "pending") != "pending":
        raise ProblemError("query", "state is `pending`", "state")
    return messages.RequestStates(asking.waiting(call))


async def prompts(call: Call) -> messages.Prompts:
    # The cursor is read first: what comes between is heard twice rather than never.
    cursor = events.cursor(call.relay.reader)
    oids, found = asking.prompts(call)
    await feed.shown(call, call.who, oids, "inbox")
    return messages.Prompts(found, cursor)


async def decide(call: Call, body: messages.Decide) -> messages.Decided:
    return await deciding.decide(call, body)


async def receipts(call: Call, body: messages.SignedList) -> messages.Nothing:
    await reporting.receipts(call, [bytes(one) for one in body.objects])
    return NOTHING


async def uses(call: Call, body: messages.SignedList) -> messages.Nothing:
    await reporting.uses(call, [bytes(one) for one in body.objects])
    return NOTHING


async def cancels(call: Call, body: messages.SignedList) -> messages.Nothing:
    await reporting.cancels(call, [bytes(one) for one in body.objects])
    return NOTHING


async def leases(call: Call) -> messages.Leases:
    return leasing.listed(call)


async def end_leases(call: Call, body: messages.EndLeases) -> messages.Ended:
    return messages.Ended(await leasing.end(call, body))
