"""Joins caller, leases, people and relay: what happens between a `get` and its value.

Belongs to the event loop; whatever blocks runs in worker threads. `Hits` says what a question comes down to, `Visits` waits until
all of it is there, `Delivery` hands it over, `Handles` keeps what is fetched later. A release was opened and checked by the core
(protocol section 8), and the highest version is on disk, before any of it goes to a caller.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from stillvault.client import flow, frames, overview
from stillvault.client.agents import Agents
from stillvault.client.connection import Connection
from stillvault.client.delivery import Delivery
from stillvault.client.handles import MARK, Handles
from stillvault.client.hits import Found, Hits
from stillvault.client.leasebook import TAKEN_BACK, LeaseBook
from stillvault.client.peer import Identity
from stillvault.client.pending import Visit
from stillvault.client.pipes import check_pipe
from stillvault.client.requester import Requester
from stillvault.client.standing import Standing
from stillvault.client.visits import Visits
from stillvault.crypto.public import b64decode, b64encode
from stillvault.protocol.cards import card_id
from stillvault.protocol.errors import Expired, Failed, Forbidden, Refused, StillvaultError
from stillvault.protocol.messages import Event, Events

log = logging.getLogger("stillvault.daemon")

MAX_VISITS_PER_UID = 200  # waiting calls of one account


class Broker:
    """Serves the verbs of the socket."""

    def __init__(self, standing: Standing, requester: Requester, book: LeaseBook, *, host: str, system: bool,
                 exact: bool = True, agents: Agents | None = None) -> None:
        self._standing = standing
        self._requester = requester
        self._book = book
        self._system = system
        self._exact = exact
        self._agents = agents
        self._hits = Hits(standing, requester, book)
        self._waiting = Visits(self._hits, requester, book, host=host, system=system)
        self._delivery = Delivery(self._hits, requester, book)
        self._handles = Handles(self._hits, self._waiting, self._delivery, time.time)
        self._visits: dict[int, int] = {}

    def close(self) -> None:
        """The daemon ends: handles are withdrawn."""
        self._handles.close()

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
        place = place or not {self._hits.route(path, call, None)[1].scope for path in call.refs} <= {"process", "exe"}
        identity = connection.known_identity(place=place)
        if identity is None:
            return False
        found: list[Found] = []
        for path in call.refs:
            hit = self._hits.find(path, call, identity)
            if hit is None:
                return False
            found.append(hit)
        for fd in fds:
            check_pipe(fd, early=False)
        self._delivery.deliver(connection, call.refs, identity, fds, found)
        return True

    async def _get(self, connection: Connection, call: frames.Get, fds: list[int]) -> None:
        identity = await connection.identity()
        uid = connection.uid
        if self._visits.get(uid, 0) >= MAX_VISITS_PER_UID:
            raise Failed("too-many", "too many calls of this account wait already", "wait for some of them")
        visit = Visit(call=call, identity=identity, tell=connection.send, ends=fds)
        self._visits[uid] = self._visits.get(uid, 0) + 1
        try:
            for fd in fds:
                check_pipe(fd)
            end = None if call.wait is msgspec.UNSET else asyncio.get_running_loop().time() + call.wait
            async with asyncio.timeout_at(end):
                while True:
                    while (found := self._waiting.gather(visit)) is None:
                        await self._waiting.wait(visit)
                    if connection.is_current(visit.identity):
                        break
                    visit.identity = unchanged(visit.identity, await connection.identity())
                self._delivery.deliver(connection, call.refs, visit.identity, fds, found)
        except TimeoutError:
            raise Expired("expired", "nobody answered in the time that the caller waits", "ask again, or wait longer") from None
        finally:
            self._waiting.leave(visit)
            self._visits[uid] -= 1
            if not self._visits[uid]:
                del self._visits[uid]

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
                client, policy = self._hits.route(path, question, identity)
                self._standing.check_open(client, path, policy, int(time.time()))
                leased = self._book.find(client, path, self._hits.scope(identity, policy.scope)) is not None
                refs.append(overview.planned(path, client, policy, leased=leased))
            except StillvaultError as error:
                refs.append(overview.refused(path, error))
        connection.send({"event": "plan", "refs": refs})

    def _cancel(self, uid: int | None, name: str) -> int:
        if name.startswith(MARK):
            return self._handles.cancel(uid, name)
        chosen = [one for one in self._requester.all() if uid in (None, one.request.observed.uid)
                  and name in (card_id(one.request), one.request.id, b64encode(one.oid))]
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
