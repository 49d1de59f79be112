"""Handles: a question whose answer is fetched later, by the task that asked.

`ask` raises the requests and gives a handle at once; `state` says how it stands; `take` delivers its values, once. A handle is

* of one account and one task: the agent's process, else the session's leader, else the process. When that exits, it is withdrawn.
* for what a person was shown: the values go to a caller that the lease to come would cover, or about which a person would be
  shown exactly the same (`observed`). Any other caller of the task is refused.
* as short-lived as its requests: what nobody took by their end is wiped (section 8).
* bounded: `MAX_OPEN` that wait or are ready for each account, and `MAX_ENDED` whose end is remembered.

A connection that closes leaves a handle as it is, but for one that its caller was never told.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from stillvault.client import flow, frames
from stillvault.client.connection import Connection
from stillvault.client.delivery import Delivery
from stillvault.client.hits import Found, Hits
from stillvault.client.peer import Identity
from stillvault.client.pending import Pending, Visit
from stillvault.client.pipes import check_pipe
from stillvault.client.process import Process
from stillvault.client.visits import Visits
from stillvault.crypto.public import b64encode
from stillvault.protocol.errors import Expired, Failed, Forbidden, RateLimited, StillvaultError, Usage

MAX_OPEN = 64  # handles of one account that wait or are ready
MAX_ENDED = 256  # handles whose end is remembered, of all accounts
MAX_WAIT = 3600  # seconds that a `state` or `take` may wait
LIFE = 300  # seconds that a handle stands for which leases answer
MARK = "h-"


@dataclass(eq=False)
class Handle:
    """One of them. `pending`, then `ready`, then `delivered`; or `ended`, with its error."""

    name: str
    task: tuple[object, ...]
    visit: Visit
    state: str = "pending"
    error: StillvaultError | None = None
    event: dict[str, Any] | None = None  # the newest `pending` event
    expires: int = 0
    told: bool = False  # its caller knows its name
    keeper: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def refs(self) -> list[str]:
        return self.visit.call.refs

    @property
    def uid(self) -> int:
        return self.visit.identity.uid

    @property
    def open(self) -> bool:
        return self.state in ("pending", "ready")

    def move(self, state: str, error: StillvaultError | None = None) -> None:
        """Another state; wakes whoever waits."""
        self.state, self.error = state, error
        self.ring()

    def ring(self) -> None:
        """Wakes whoever waits for news."""
        self.changed.set()
        self.changed = asyncio.Event()

    def hear(self, event: dict[str, Any]) -> None:
        """News of its requests."""
        self.event, self.expires = event, event["expires"]
        self.ring()

    def fields(self) -> dict[str, Any]:
        """What its caller is shown."""
        shown: dict[str, Any] = {"handle": self.name, "refs": self.refs, "state": self.state}
        if self.expires:
            shown["expires"] = self.expires
        if self.state == "pending" and self.event is not None:
            shown |= {name: part for name, part in self.event.items() if name != "event"}
        if self.error is not None:
            shown["error"] = frames.error_fields(self.error)
        return shown


class Handles:
    """All of them. Belongs to the event loop."""

    def __init__(self, hits: Hits, visits: Visits, delivery: Delivery, clock: Callable[[], float]) -> None:
        self._hits = hits
        self._visits = visits
        self._delivery = delivery
        self._clock = clock
        self._all: dict[str, Handle] = {}

    # ---- the verbs -----------------------------------------------------------------------------------------------------

    async def ask(self, connection: Connection, call: frames.Ask) -> None:
        """Raises what must be asked, and answers with a handle once the relay has it, or with the reason why not."""
        identity = await connection.identity()
        if identity.alone and identity.task[0] != "agent":
            raise Usage("handle", "no session and no agent stands behind this caller, so nobody could take the values later",
                        "ask from a session whose leader lives, or wait for the answer")
        handle = self._same(call, identity) or self._open(connection, call, identity)
        try:
            while handle.state == "pending" and handle.event is None:
                await handle.changed.wait()
        except asyncio.CancelledError:
            if not handle.told:
                self._end(handle, Failed("caller-gone", "its caller has gone"))
            raise
        if handle.error is not None and not handle.told:
            del self._all[handle.name]
            raise handle.error
        handle.told = True
        connection.send({"event": "handle", **handle.fields()})

    async def state(self, connection: Connection, call: frames.State) -> None:
        """How it stands, once it is decided or the time is up."""
        handle = self._find(call.handle, await connection.identity())
        await self._wait(handle, connection, call.wait)
        connection.send({"event": "state", **handle.fields()})

    async def take(self, connection: Connection, call: frames.Take, fds: list[int]) -> None:
        """Delivers the values of a handle."""
        identity = await connection.identity()
        handle = self._find(call.handle, identity)
        flow.check_pipes(handle.refs, len(fds))
        for fd in fds:
            check_pipe(fd)
        await self._wait(handle, connection, call.wait)
        # Meanwhile identities.toml may say otherwise who is calling.
        identity = await connection.identity()
        handle = self._find(call.handle, identity)
        if handle.state == "pending":
            raise Expired("pending", "nobody has decided yet; the handle stands",
                          f"come back with it: stillvault wait {handle.name} --state")
        if handle.state == "delivered":
            raise Failed("handle-used", "the values of this handle were taken", "ask again")
        if handle.error is not None:
            raise handle.error
        # Nothing from here on waits: two that take at once cannot both have it.
        self._hand_over(connection, handle.visit, identity, fds)
        self._end(handle, None)

    def _hand_over(self, connection: Connection, visit: Visit, identity: Identity, fds: list[int]) -> None:
        """Delivers what a handle stands for to a caller of its task, or raises. Nothing in here waits."""
        found: list[Found] = []
        for path in visit.call.refs:
            pending = visit.waits.get(path)
            if pending is not None and visit.taken(path) is not None:
                self._check_taker(pending, identity)
                found.append(pending)
            elif (hit := self._hits.find(path, visit.call, identity)) is not None:
                found.append(hit)
            else:
                raise Expired("lease-ended", f"no lease of {path} serves this caller any more", "ask again")
        self._delivery.deliver(connection, visit.call.refs, identity, fds, found)

    def _check_taker(self, pending: Pending, identity: Identity) -> None:
        """A person decided about one program: the lease to come covers the taker, or a card would show the same of it."""
        agent = identity.agent.client if identity.agent is not None else ""
        seen = self._visits.observed(identity, pending.client)
        same = pending.scope == self._hits.scope(identity, pending.policy.scope) or pending.key == flow.pending_key(
            pending.client, pending.path, seen)
        if not same or not flow.may_use(pending.client.subject, agent):
            raise Forbidden("handle-other", f"{pending.path} was asked for by another program than the one that takes it",
                            "take it the way it was asked for, or ask anew")

    def cancel(self, uid: int | None, name: str) -> int:
        """Withdraws a handle of an account. Returns how many there were."""
        handle = self._all.get(name)
        if handle is None or not handle.open or uid not in (None, handle.uid):
            return 0
        self._end(handle, Failed("cancelled", "the request was withdrawn", "ask again"))
        return 1

    def close(self) -> None:
        """The daemon ends."""
        for handle in list(self._all.values()):
            if handle.open:
                self._end(handle, Failed("daemon", "the daemon has ended", "ask again"))

    # ---- finding and making ----------------------------------------------------------------------------------------------

    def _find(self, name: str, identity: Identity) -> Handle:
        handle = self._all.get(name)
        if handle is None or handle.uid != identity.uid:
            raise Failed("handle", "there is no such handle, or not any more", "ask again")
        if handle.task != identity.task:
            raise Forbidden("handle-other", "this handle belongs to another task of this account",
                            "use it from the session or the agent that asked")
        return handle

    def _same(self, call: frames.Ask, identity: Identity) -> Handle | None:
        """The handle that stands for the same question of the same caller already."""
        for handle in self._all.values():
            same = handle.open and handle.told and handle.task == identity.task and terms(handle.visit.call) == terms(call)
            if same and shown(handle.visit.identity) == shown(identity):
                return handle
        return None

    def _open(self, connection: Connection, call: frames.Ask, identity: Identity) -> Handle:
        if sum(one.open and one.uid == identity.uid for one in self._all.values()) >= MAX_OPEN:
            raise RateLimited("handles", f"this account has {MAX_OPEN} handles that nobody took",
                              "take them or withdraw them with `stillvault cancel HANDLE`")
        handle = Handle(name=MARK + b64encode(secrets.token_bytes(16)), task=identity.task,
                        visit=Visit(call=call, identity=identity, tell=lambda event: handle.hear(event), attached=False))
        pidfd = os.dup(self._task_process(connection, identity).pidfd)
        self._all[handle.name] = handle
        handle.keeper = asyncio.get_running_loop().create_task(self._keep(handle, pidfd))
        return handle

    def _task_process(self, connection: Connection, identity: Identity) -> Process:
        caller = connection.caller
        process = {"agent": caller.agent, "session": caller.leader}.get(str(identity.task[0])) or caller.process
        process.check_alive()
        return process

    # ---- while it stands ---------------------------------------------------------------------------------------------------

    async def _keep(self, handle: Handle, pidfd: int) -> None:
        """Follows its requests until it is taken or ends. Whoever ends it cancels this."""
        loop = asyncio.get_running_loop()
        gone = Failed("task-gone", "the task that asked has ended", "ask again")
        loop.add_reader(pidfd, lambda: self._end(handle, gone))
        try:
            await self._follow(handle)
        except StillvaultError as error:
            self._finish(handle, error)
        except TimeoutError:
            self._finish(handle, Expired("expired", "nobody took the values in time", "ask again"))
        except asyncio.CancelledError:
            pass
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
            self._visits.leave(handle.visit)

    async def _follow(self, handle: Handle) -> None:
        """Asks for a handle, says when all is there, and goes on until one of its requests ends with an error. Never returns.

        What was there and is gone (a lease that ended) is not asked for again: nobody may be there to know of it.
        """
        visit = handle.visit
        while self._visits.gather(visit) is None:
            await self._visits.wait(visit)
        while True:
            self._ready(handle)
            async with asyncio.timeout(None if visit.waits else LIFE):
                await visit.bell.wait()
            visit.bell.clear()
            for path, pending in list(visit.waits.items()):
                if pending.finished and pending.error is not None:
                    raise pending.error
                if pending.finished:
                    del visit.waits[path]

    def _ready(self, handle: Handle) -> None:
        if not handle.visit.waits:
            handle.expires = int(self._clock()) + LIFE
        handle.move("ready")

    async def _wait(self, handle: Handle, connection: Connection, seconds: int) -> None:
        """Until it is decided, or so long; tells the caller what is new."""
        if not 0 <= seconds <= MAX_WAIT:
            raise Usage("wait", f"wait must be from 0 to {MAX_WAIT}", "", "wait")
        said = None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while handle.state == "pending" and seconds:
                    if handle.event is not None and handle.event != said:
                        said = handle.event
                        connection.send(said)
                    await handle.changed.wait()

    def _end(self, handle: Handle, error: StillvaultError | None) -> None:
        if handle.open:
            self._finish(handle, error)
            if handle.keeper is not None:
                handle.keeper.cancel()

    def _finish(self, handle: Handle, error: StillvaultError | None) -> None:
        if not handle.open:
            return
        handle.move("delivered" if error is None else "ended", error)
        ended = [one for one in self._all.values() if not one.open]
        for one in ended[: max(0, len(ended) - MAX_ENDED)]:
            del self._all[one.name]


def terms(call: frames.Question) -> tuple[object, ...]:
    """What makes two questions one."""
    reason, argv = ("" if part is UNSET else str(part) for part in (call.reason, call.argv))
    return (tuple(call.refs), call.client, call.ttl, call.window, call.uses, reason, argv)


def shown(identity: Identity) -> tuple[object, ...]:
    """What a person would see of a caller."""
    return (identity.uid, identity.exe.path, identity.exe.sha256, [(one.exe, one.exe_sha256) for one in identity.chain],
            identity.unit, identity.container)
