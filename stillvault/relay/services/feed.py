"""The one event feed, by cursor: as long poll for clients, as a stream (SSE) for people.

A cursor is the id of the last event that somebody has. Whoever comes back with an old cursor gets what was missed; nothing
depends on a connection that lives. Both ways ask the guard again before they give anything out, so that a revoked client or
an ended session hears nothing more (C20), and both end at once when the relay stops.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from stillvault.crypto import public
from stillvault.protocol.messages import Event, Events
from stillvault.relay.context import Call, Principal
from stillvault.relay.problems import ProblemError
from stillvault.relay.store import events, requests
from stillvault.relay.store.transaction import Transaction

PAGE = 500


async def poll(call: Call, after: int, wait: float) -> Events:
    """The events behind `after`; waits up to `wait` seconds for the first."""
    relay = call.relay
    loop_end = relay.clock() + wait
    with relay.hub.listen(call.who.audiences) as bell:
        while True:
            bell.clear()
            found = events.after(relay.reader, call.who.audiences, after, PAGE)
            cursor = found[-1].id if found else max(after, 0)
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
                found = events.after(relay.reader, who.audiences, after, PAGE)
                await prompted(call, who, [event for event in found if event.kind == "prompt"], "sse")
                for event in found:
                    after = event.id
                    yield b"id: %d\nevent: %b\ndata: %b\n\n" % (event.id, event.kind.encode(), msgspec.json.encode(event))
                if not found and not await relay.hub.wait(bell, heartbeat) and not relay.hub.closed:
                    yield b": alive\n\n"
    except ProblemError:
        return  # the session ended: the stream does


async def prompted(call: Call, who: Principal, prompts: list[Event], channel: str) -> None:
    """Logs, before it goes out, that a prompt reached this device by this channel: once each, also across restarts."""
    await shown(call, who, [public.b64decode(event.request) for event in prompts], channel)


async def shown(call: Call, who: Principal, oids: list[bytes], channel: str) -> None:
    relay = call.relay
    new = [oid for oid in oids if not requests.was_prompted(relay.reader, oid, who.person, who.device, channel)]
    if not new:
        return

    def change(tx: Transaction) -> None:
        for oid in new:
            row = requests.get(tx.connection, oid)
            if row and requests.first_prompt(tx.connection, oid, who.person, who.device, channel):
                tx.leaf(
                    "prompted", who.person, relay.clock(), request=oid, secret=row.path, device=who.device, channel=channel,
                    people=f"1 of {len(row.people)}", outcome="sent",
                )  # fmt: skip

    await relay.writer.write(change)
