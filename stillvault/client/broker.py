"""Joins caller, leases, people and relay: what happens between a `get` and its value.

Belongs to the event loop; whatever blocks runs in worker threads. The order of a delivery is fixed: the release was opened and
checked by the core (protocol section 8), the highest version is on disk, the caller is looked at again, the value goes into its
pipe, the caller is looked at once more, the lease begins, the receipt goes out, the ephemeral key is erased.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from stillvault.client import flow, frames, overview
from stillvault.client.agents import Agents
from stillvault.client.flow import Client
from stillvault.client.handles import LIFE, MARK, Handles
from stillvault.client.leasebook import LeaseBook
from stillvault.client.listener import Connection
from stillvault.client.peer import Identity
from stillvault.client.pending import Pending, Visit, pending_event
from stillvault.client.pipes import check_pipe
from stillvault.client.process import Process
from stillvault.client.requester import Requester
from stillvault.client.standing import Standing
from stillvault.crypto.leases import is_interpreter
from stillvault.crypto.public import b64decode
from stillvault.protocol.cards import card_id
from stillvault.protocol.errors import Expired, Failed, Forbidden, Refused, StillvaultError
from stillvault.protocol.messages import Event, Events
from stillvault.protocol.objects import Policy

Hit = tuple[int, tuple[str, bytes]]  # a lease's number, and the scope and scope id that it was found under
Found = Hit | Pending

log = logging.getLogger("stillvault.daemon")

TAKEN_BACK = "the relay ended its lease"
MAX_VISITS_PER_UID = 200  # waiting calls of one account


class Broker:
    """Serves the verbs of the socket."""

    def __init__(self, standing: Standing, requester: Requester, book: LeaseBook, *, host: str, system: bool,
                 exact: bool = True, agents: Agents | None = None) -> None:
        self._standing = standing
        self._requester = requester
        self._book = book
        self._host = host
        self._system = system
        self._exact = exact
        self._agents = agents
        self._handles = Handles(self, time.time)
        self._visits: dict[int, int] = {}

    def serve(self, connection: Connection, call: frames.Call, fds: list[int]) -> Coroutine[Any, Any, None] | None:
        """One verb. What a lease can answer is answered at once; all else is a coroutine."""
        if isinstance(call, frames.Get):
            flow.check_call(call, len(fds))
            if self._from_leases(connection, call, fds):
                return None
            return self._get(connection, call, fds)
        if isinstance(call, frames.Ask):
            flow.check_question(call)
            return self._handles.ask(connection, call)
        match call:
            case frames.State():
                return self._handles.state(connection, call)
            case frames.Take():
                return self._handles.take(connection, call, fds)
            case frames.Plan():
                return self._plan(connection, call)
            case frames.Ping():
                connection.send({"event": "pong"})
            case frames.Leases():
                connection.send({"event": "leases", "leases": self._book.listed(own(connection))})
            case frames.Purge():
                uid, path = own(connection), call.path
                count = self._book.end(lambda lease: uid in (None, lease.uid) and path in (msgspec.UNSET, lease.path),
                                       "its lease was purged")
                connection.send({"event": "purged", "count": count})
            case frames.Requests():
                connection.send({"event": "requests", "requests": overview.listed(self._requester.all(), own(connection))})
            case frames.Cancel():
                connection.send({"event": "cancelled", "count": self._cancel(own(connection), call.id)})
            case frames.WhoAmI():
                return self._whoami(connection)
        return None

    # ---- get -----------------------------------------------------------------------------------------------------------

    def _from_leases(self, connection: Connection, call: frames.Get, fds: list[int]) -> bool:
        """Serves a `get` for which every value has a live lease. False where one has none."""
        place = self._agents is not None and bool(self._agents.table().entries)
        place = place or not {self._route(path, call, None)[1].scope for path in call.refs} <= {"process", "exe"}
        identity = connection.known_identity(place=place)
        if identity is None:
            return False
        found: list[Found] = []
        for path in call.refs:
            hit = self._find(path, call, identity)
            if hit is None:
                return False
            found.append(hit)
        for fd in fds:
            check_pipe(fd, early=False)
        self._deliver(connection, call.refs, identity, fds, found)
        return True

    def _find(self, path: str, call: frames.Question, identity: Identity) -> Hit | None:
        client, policy = self._route(path, call, identity)
        scope = self._scope(identity, policy.scope)
        number = self._book.find(client, path, scope)
        return None if number is None else (number, scope)

    def _route(self, path: str, call: frames.Question, identity: Identity | None) -> tuple[Client, Policy]:
        agent = identity.agent.client if identity is not None and identity.agent is not None else ""
        try:
            return self._standing.route(path, "" if call.client is msgspec.UNSET else call.client, agent)
        except Forbidden:
            # Without a newer roster than that, what keeps us from one is the reason to be told.
            if (reason := self._requester.turned_away()) is not None:
                raise reason from None
            raise

    def _scope(self, identity: Identity, scope: str) -> tuple[str, bytes]:
        return flow.lease_key(identity, scope, interpreter=is_interpreter(identity.exe.path))

    async def _get(self, connection: Connection, call: frames.Get, fds: list[int]) -> None:
        identity = await connection.identity()
        uid = connection.uid
        if self._visits.get(uid, 0) >= MAX_VISITS_PER_UID:
            raise Failed("too-many", "too many calls of this account wait already", "wait for some of them")
        visit = Visit(call=call, identity=identity, tell=connection.send, ends=fds)
        self._visits[uid] = self._visits.get(uid, 0) + 1
        try:
            self.check_pipes(fds)
            end = None if call.wait is msgspec.UNSET else asyncio.get_running_loop().time() + call.wait
            async with asyncio.timeout_at(end):
                while True:
                    while (found := self._gather(visit)) is None:
                        await self._wait(visit)
                    if connection.is_current(visit.identity):
                        break
                    visit.identity = unchanged(visit.identity, await connection.identity())
                self._deliver(connection, call.refs, visit.identity, fds, found)
        except TimeoutError:
            raise Expired("expired", "nobody answered in the time that the caller waits", "ask again, or wait longer") from None
        finally:
            self.leave(visit)
            self._visits[uid] -= 1
            if not self._visits[uid]:
                del self._visits[uid]

    def _gather(self, visit: Visit) -> list[Found] | None:
        """Everything, if everything is there; else sees to it that what is missing is asked for."""
        found: list[Found] = []
        missing = []
        for path in visit.call.refs:
            hit = self._find(path, visit.call, visit.identity)
            if visit.taken(path) is not None:
                found.append(visit.waits[path])
            elif hit is not None:
                found.append(hit)
            else:
                missing.append(path)
        if not missing:
            return found
        self._ask(visit, [path for path in missing if path not in visit.waits and path not in visit.behind])
        return None

    def _ask(self, visit: Visit, paths: list[str]) -> None:
        """Joins, queues or raises, for each path that is neither leased nor waited for."""
        fresh: dict[str, list[tuple[str, Client, Policy, tuple[str, bytes]]]] = {}
        for path in paths:
            client, policy = self._route(path, visit.call, visit.identity)
            scope = self._scope(visit.identity, policy.scope)
            seen = flow.observed(visit.identity, client, self._host, system=self._system)
            waiting = self._requester.waiting(flow.pending_key(client, path, seen))
            if waiting is None:
                fresh.setdefault(client.subject, []).append((path, client, policy, scope))
                continue
            window = min(waiting.policy.window, waiting.request.window)
            uses = flow.least_uses(waiting.policy.uses, waiting.request.uses)
            joined = flow.joins(waiting.scope, scope, window, uses)
            (visit.waits if joined else visit.behind)[path] = waiting
            waiting.visits.append(visit)
        for wanted in fresh.values():
            client = wanted[0][1]
            seen = flow.observed(visit.identity, client, self._host, system=self._system)
            why = {path: self._book.why(client, path, visit.identity.uid) for path, *_ in wanted}
            for pending in self._requester.raise_card(client, [(path, policy, scope) for path, _, policy, scope in wanted],
                                                      seen, visit.call, why):
                visit.waits[pending.path] = pending
                pending.visits.append(visit)

    async def _wait(self, visit: Visit) -> None:
        """Until something changed that this visit waits for. Raises what ended a request of its own."""
        while True:
            visit.bell.clear()
            for path, pending in list(visit.waits.items()):
                if pending.finished:
                    # The error of a request that one waits on is one's own; a success stands as a lease by now.
                    if pending.error is not None:
                        raise pending.error
                    del visit.waits[path]
                    return
            for path, pending in list(visit.behind.items()):
                if pending.finished:
                    del visit.behind[path]
                    return
            own = list(visit.waits)
            if own and not visit.behind and all(visit.taken(path) is not None for path in own):
                return
            self._show(visit)
            await visit.bell.wait()

    def _show(self, visit: Visit) -> None:
        event = pending_event(visit)
        if event is not None and event != visit.shown:
            visit.shown = event
            visit.tell(event)

    def leave(self, visit: Visit) -> None:
        """A visit waits no more: what nobody else waits for is withdrawn."""
        close(visit.ends)
        for pending in [*visit.waits.values(), *visit.behind.values()]:
            if visit in pending.visits:
                pending.visits.remove(visit)
            if not pending.finished and not any(one.waits.get(pending.path) is pending for one in pending.visits):
                self._requester.withdraw(pending)
            elif not pending.finished:
                pending.ring()

    # ---- handles -------------------------------------------------------------------------------------------------------

    async def follow(self, visit: Visit, ready: Callable[[], None]) -> None:
        """Asks for a handle, says when all is there, and goes on until one of its requests ends with an error. Never returns.

        What was there and is gone (a lease that ended) is not asked for again: nobody may be there to know of it.
        """
        while self._gather(visit) is None:
            await self._wait(visit)
        while True:
            ready()
            async with asyncio.timeout(None if visit.waits else LIFE):
                await visit.bell.wait()
            visit.bell.clear()
            for path, pending in list(visit.waits.items()):
                if pending.finished and pending.error is not None:
                    raise pending.error
                if pending.finished:
                    del visit.waits[path]

    def hand_over(self, connection: Connection, visit: Visit, identity: Identity, fds: list[int]) -> None:
        """Delivers what a handle stands for to a caller of its task, or raises. Nothing in here waits."""
        found: list[Found] = []
        for path in visit.call.refs:
            pending = visit.waits.get(path)
            if pending is not None and visit.taken(path) is not None:
                self._check_taker(pending, identity)
                found.append(pending)
            elif (hit := self._find(path, visit.call, identity)) is not None:
                found.append(hit)
            else:
                raise Expired("lease-ended", f"no lease of {path} serves this caller any more", "ask again")
        self._deliver(connection, visit.call.refs, identity, fds, found)

    def _check_taker(self, pending: Pending, identity: Identity) -> None:
        """A person decided about one program: the lease to come covers the taker, or a card would show the same of it."""
        agent = identity.agent.client if identity.agent is not None else ""
        seen = flow.observed(identity, pending.client, self._host, system=self._system)
        same = pending.scope == self._scope(identity, pending.policy.scope) or pending.key == flow.pending_key(
            pending.client, pending.path, seen)
        if not same or not flow.may_use(pending.client.subject, agent):
            raise Forbidden("handle-other", f"{pending.path} was asked for by another program than the one that takes it",
                            "take it the way it was asked for, or ask anew")

    def check_pipes(self, fds: list[int]) -> None:
        """Raises `Usage` where a pipe cannot take a value."""
        for fd in fds:
            check_pipe(fd)

    def close(self) -> None:
        """The daemon ends: handles are withdrawn."""
        self._handles.close()

    # ---- delivery ------------------------------------------------------------------------------------------------------

    def _deliver(self, connection: Connection, refs: list[str], identity: Identity, ends: list[int],
                 found: list[Found]) -> None:
        """Writes every value, or stops at the first that cannot be written. Nothing in here waits."""
        now = int(time.time())
        # The caller is looked at before anything is written, and after: a difference is a refusal, and makes no lease.
        connection.caller.check()
        values, releases = [], []
        try:
            for path, end, one in zip(refs, ends, found, strict=True):
                if isinstance(one, Pending):
                    values.append(self._write_release(path, end, one))
                    releases.append(one)
                else:
                    values.append(self._write_lease(path, end, one, identity, now))
            connection.caller.check(image=False)
        except StillvaultError as error:
            # What was written has left, whatever became of the rest: its receipt says so.
            for pending in releases:
                self._requester.close(pending, "delivered", error)
            raise
        for pending in releases:
            opened = pending.opened
            assert opened is not None  # noqa: S101  `found` holds what was taken
            scope = self._scope(identity, opened.scope)
            self._book.insert(pending.client, pending.path, scope, opened, identity, pending.oid, bound_to(connection, scope[0]))
            self._requester.close(pending, "delivered")
        close(ends)
        connection.send({"event": "delivered", "values": values})

    def _write_release(self, path: str, end: int, pending: Pending) -> dict[str, Any]:
        opened = pending.opened
        assert opened is not None  # noqa: S101  `found` holds what was taken
        try:
            opened.value.write_fd(end, wait=False)
        except OSError as error:
            self._requester.close(pending, "failed", unwritten(path, error), reason="pipe")
            raise unwritten(path, error) from None
        version, revision = opened.secret.version
        window = 0 if opened.uses == 1 else opened.window
        return {"path": path, "version": version, "revision": revision, "length": opened.value.length, "from": "release",
                "window": window, "left": window}

    def _write_lease(self, path: str, end: int, hit: Hit, identity: Identity, now: int) -> dict[str, Any]:
        number, scope = hit
        lease = self._book.lease(number)
        try:
            length, left = self._book.deliver(number, scope, end, identity, now)
        except OSError as error:
            raise unwritten(path, error) from None
        version, revision = lease.version
        return {"path": path, "version": version, "revision": revision, "length": length, "from": "lease", "window": left,
                "left": left}

    # ---- the other verbs -----------------------------------------------------------------------------------------------

    async def _whoami(self, connection: Connection) -> None:
        one = await connection.identity()
        self._standing.rescan()
        connection.send(overview.whoami(one, self._standing, self._agents, fronted=connection.caller.fronted, system=self._system,
                                        exact=self._exact))

    async def _plan(self, connection: Connection, call: frames.Plan) -> None:
        identity = await connection.identity()
        question = frames.Question(refs=call.refs, client=call.client)
        flow.check_question(question)
        refs = []
        for path in call.refs:
            try:
                client, policy = self._route(path, question, identity)
                self._standing.check_open(client, path, policy, int(time.time()))
                leased = self._book.find(client, path, self._scope(identity, policy.scope)) is not None
                refs.append(overview.planned(path, client, policy, leased=leased))
            except StillvaultError as error:
                refs.append(overview.refused(path, error))
        connection.send({"event": "plan", "refs": refs})

    def _cancel(self, uid: int | None, name: str) -> int:
        if name.startswith(MARK):
            return self._handles.cancel(uid, name)
        chosen = [one for one in self._requester.all()
                  if uid in (None, one.request.observed.uid) and name in (card_id(one.request), one.request.id)]
        for pending in chosen:
            self._requester.withdraw(pending, Failed("cancelled", "the request was withdrawn", "ask again"))
        return len(chosen)

    # ---- what the relay says -------------------------------------------------------------------------------------------

    def heard(self, subject: str, events: Events) -> None:
        """Events of one client's feed. Each is a hint to look; only a purge order is obeyed as it is."""
        for event in events.events:
            match event.kind:
                case "state":
                    for oid in oids(event):
                        self._requester.look(oid)
                        if event.state == "revoked":
                            self._book.end_request(oid)
                case "purge":
                    self._purge(subject, event)
                case "roster":
                    self._requester.refresh(subject)
                case "secret":
                    self._requester.newer(subject, event.path, self._book)
                case _:
                    pass

    def _purge(self, subject: str, event: Event) -> None:
        requests = set(oids(event))
        if requests:
            count = self._book.end(lambda lease: lease.request in requests, TAKEN_BACK)
        elif event.path:
            count = self._book.end(lambda lease: lease.client.subject == subject and lease.path == event.path, TAKEN_BACK)
        else:
            count = self._book.end(lambda lease: lease.client.subject == subject, TAKEN_BACK)
        log.info("purge order for %s: %d leases ended", subject, count)


def unchanged(before: Identity, now: Identity) -> Identity:
    """The caller by the identities of now. Raises `Forbidden` where it asked as another client or task than it would today."""
    agents = [one.agent and (one.agent.client, one.agent.task) for one in (before, now)]
    if agents[0] != agents[1]:
        raise Forbidden("identity-changed", "identities.toml was changed while this call waited: the caller is another one now",
                        "ask again; `stillvault whoami` says as whom")
    return now


def own(connection: Connection) -> int | None:
    """Whose leases and requests a caller sees: its own account's; root's are all."""
    return None if connection.uid == 0 else connection.uid


def oids(event: Event) -> list[bytes]:
    """The request oids that an event names."""
    found = []
    for text in (event.request, event.oid):
        with suppress(Refused):
            raw = b64decode(text)
            if len(raw) == 32 and raw not in found:
                found.append(raw)
    return found


def bound_to(connection: Connection, scope: str) -> Process | None:
    """The process whose exit ends a lease of that scope."""
    caller = connection.caller
    if scope == "process":
        return caller.socket_process if caller.is_alone() else caller.process
    return (caller.agent or caller.leader) if scope == "task" else None


def unwritten(path: str, error: OSError) -> Failed:
    """A value that did not go into the caller's pipe."""
    return Failed("delivery", f"{path} could not be written to the caller's pipe ({error.strerror or 'full'})", "ask again")


def close(fds: list[int]) -> None:
    """Closes and forgets descriptors."""
    while fds:
        with suppress(OSError):
            os.close(fds.pop())
