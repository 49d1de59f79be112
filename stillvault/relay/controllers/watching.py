"""What waits or reads along: enrolments, events, the stream, the log."""

from __future__ import annotations

from collections.abc import AsyncIterator

from stillvault.protocol import messages
from stillvault.relay.context import Call
from stillvault.relay.controllers import parameters
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import audit, enrolment, feed
from stillvault.relay.store import events


async def enrolment_state(call: Call) -> messages.EnrolState:
    return await enrolment.state(call, parameters.wait(call))


def _room(call: Call) -> None:
    """One caller holds only so many streams and long polls: each of them looks at the store whenever it is woken."""
    limits = call.relay.settings.limits
    if call.relay.hub.listening(call.who.audiences[0]) >= limits.streams_per_caller:
        raise ProblemError("rate-limited", field="limits.streams_per_caller", headers={"retry-after": "5"})


async def poll(call: Call) -> messages.Events:
    _room(call)
    return await feed.poll(call, parameters.number(call, "after", 0), parameters.wait(call))


async def stream(call: Call) -> AsyncIterator[bytes]:
    """From behind Last-Event-ID, else from now on: what waits already is in GET /v1/prompts."""
    after = call.last_event
    if after and not (after.isascii() and after.isdigit() and len(after) <= 16):
        raise ProblemError("query", "Last-Event-ID is the id of an event", "last-event-id")
    _room(call)
    return feed.stream(call, int(after) if after else events.cursor(call.relay.reader))


async def leaves(call: Call) -> messages.Leaves:
    limit = max(parameters.number(call, "limit", 500, parameters.MOST_ROWS), 1)
    return audit.leaves(call.relay, parameters.number(call, "after", 0), limit)


async def checkpoint(call: Call) -> messages.Checkpoint:
    return audit.checkpoint(call.relay)


async def consistency(call: Call) -> messages.Consistency:
    return audit.consistency(call.relay, parameters.number(call, "old", 0), parameters.number(call, "new", 0))


async def tile(call: Call) -> bytes:
    return audit.tile(call.relay, call.parameters["tile"].removeprefix("/"))
