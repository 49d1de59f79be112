"""The one event feed, by cursor: as long poll for clients, as a stream (SSE) for people.

A cursor is the id of the last event that somebody has. Whoever comes back with an old cursor gets what was missed; nothing
depends on a connection that lives. Both ways ask the guard again before they give anything out, so that a revoked client or
an ended session hears nothing more (C20), and both end at once when the relay stops.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from stillvault.crypto import public
from stillvault.protocol.messages import Event, Events
from stillvault.relay.context import Call, Principal
from stillvault.relay.problems import ProblemError
from stillvault.relay.store import requests
from stillvault.relay.store.transaction import Transaction

PAGE = 500


async def poll(call: Call, after: int, wait: float) -> Events:
    """The events behind `after`; waits up to `wait` seconds for the first."""
    relay = call.relay
    loop_end, cursor = relay.clock() + wait, max(after, 0)
    with relay.hub.listen(call.who.audiences) as bell:
        while True:
            bell.clear()
            found, cursor = relay.tail.read(call.who.audiences, cursor, PAGE)
            left = loop_end - relay.clock()
            if found or left <= 0 or relay.hub.closed:
                return Events(found, cursor)
            await relay.hub.wait(bell, left)
            call.admit()


async def stream(call: Call, after: int) -> AsyncIterator[bytes]:
    """SSE: `id` is the cursor, a comment every few seconds shows that the line is alive."""
    relay = call.relay
    heartbeat = relay.settings.limits.heartbeat_seconds
    yield b": stillvault\n\n"
    try:
        with relay.hub.listen(call.who.audiences) as bell:
            while not relay.hub.closed:
                bell.clear()
                who = call.admit()
                found, after = relay.tail.read(who.audiences, after, PAGE)
                waiting = await shown(call, who, [public.b64decode(one.request) for one in found if one.kind == "prompt"], "sse")
                # What was decided or ended meanwhile is nothing to look at any more.
                lines = [_line(event) for event in found if event.kind != "prompt" or event.request in waiting]
                if lines:
                    yield b"".join(lines)
                # The bell was cleared before the store was read: what came since has rung it.
                if len(found) < PAGE and not await relay.hub.wait(bell, heartbeat) and not relay.hub.closed:
                    yield b": alive\n\n"
    except ProblemError:
        return  # the session ended: the stream does


def _line(event: Event) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.id, event.kind.encode(), msgspec.json.encode(event))


async def shown(call: Call, who: Principal, oids: list[bytes], channel: str) -> set[str]:
    """Logs, before it goes out, that a prompt reached this device by this channel: once each, also across restarts, and only
    while the request waits. Returns the requests that do."""
    relay = call.relay
    oids = [oid for oid in dict.fromkeys(oids) if requests.is_pending(relay.reader, oid)]
    waiting = {public.b64encode(oid) for oid in oids}
    new = [oid for oid in oids if not requests.was_prompted(relay.reader, oid, who.person, who.device, channel)]
    if not new:
        return waiting

    def change(tx: Transaction) -> None:
        for oid in new:
            row = requests.get(tx.connection, oid)
            pending = row is not None and row.state == "pending"
            if row and pending and requests.first_prompt(tx.connection, oid, who.person, who.device, channel):
                rule = f"{'any' if row.threshold == 1 else row.threshold}-of-{len(row.people)}"
                people = f"{requests.people_prompted(tx.connection, oid)} of {rule}"
                facts: dict[str, Any] = {
                    "secret": row.path,
                    "host": row.host,
                    "device": who.device,
                    "channel": channel,
                    "people": people,
                }
                tx.leaf("prompted", who.person, relay.clock(), request=oid, **facts, outcome="sent")

    await relay.writer.write(change)
    return waiting
