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
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from stillvault.client import flow, frames
from stillvault.client.flow import Client
from stillvault.client.leasebook import LeaseBook
from stillvault.client.listener import Connection
from stillvault.client.peer import Identity, Process
from stillvault.client.pending import Pending, Visit, pending_event
from stillvault.client.pipes import check_pipe
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

MAX_VISITS_PER_UID = 200  # waiting calls of one account


class Broker:
    """Serves the verbs of the socket."""

    def __init__(self, standing: Standing, requester: Requester, book: LeaseBook, *, host: str, system: bool,
                 exact: bool = True) -> None:
        self._standing = standing
        self._requester = requester
        self._book = book
        self._host = host
        self._system = system
        self._exact = exact
        self._visits: dict[int, int] = {}

    def serve(self, connection: Connection, call: frames.Call, fds: list[int]) -> Coroutine[Any, Any, None] | None:
        """One verb. What a lease can answer is answered at once; all else is a coroutine."""
        if isinstance(call, frames.Get):
            flow.check_call(call, len(fds))
            if self._from_leases(connection, call, fds):
                return None
            return self._get(connection, call, fds)
        match call:
            case frames.Ping():
                connection.send({"event": "pong"})
            case frames.Leases():
                connection.send({"event": "leases", "leases": self._book.listed(own(connection))})
            case frames.Purge():
                uid, path = own(connection), call.path
                count = self._book.end(lambda lease: uid in (None, lease.uid) and path in (msgspec.UNSET, lease.path))
                connection.send({"event": "purged", "count": count})
            case frames.Requests():
                connection.send({"event": "requests", "requests": self._listed(own(connection))})
            case frames.Cancel():
                connection.send({"event": "cancelled", "count": self._cancel(own(connection), call.id)})
            case frames.WhoAmI():
                return self._whoami(connection)
        return None

    # ---- get -----------------------------------------------------------------------------------------------------------

    def _from_leases(self, connection: Connection, call: frames.Get, fds: list[int]) -> bool:
        """Serves a `get` for which every value has a live lease. False where one has none."""
        scopes = {self._route(path, call)[1].scope for path in call.refs}
        identity = connection.known_identity(place=not scopes <= {"process", "exe"})
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
        self._deliver(connection, call, identity, fds, found)
        return True

    def _find(self, path: str, call: frames.Get, identity: Identity) -> Hit | None:
        client, policy = self._route(path, call)
        scope = self._scope(identity, policy.scope)
        number = self._book.find(client, path, scope)
        return None if number is None else (number, scope)

    def _route(self, path: str, call: frames.Get) -> tuple[Client, Policy]:
        try:
            return self._standing.route(path, "" if call.client is msgspec.UNSET else call.client)
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
        visit = Visit(connection=connection, call=call, identity=identity, ends=fds)
        self._visits[uid] = self._visits.get(uid, 0) + 1
        try:
            for fd in fds:
                check_pipe(fd)
            end = None if call.wait is msgspec.UNSET else asyncio.get_running_loop().time() + call.wait
            async with asyncio.timeout_at(end):
                while not self._complete(visit):
                    await self._wait(visit)
        except TimeoutError:
            raise Expired("expired", "nobody answered in the time that the caller waits", "ask again, or wait longer") from None
        finally:
            self._leave(visit)
            self._visits[uid] -= 1
            if not self._visits[uid]:
                del self._visits[uid]

    def _complete(self, visit: Visit) -> bool:
        """Delivers everything if everything is there; else sees to it that what is missing is asked for."""
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
            self._deliver(visit.connection, visit.call, visit.identity, visit.ends, found)
            return True
        self._ask(visit, [path for path in missing if path not in visit.waits and path not in visit.behind])
        return False

    def _ask(self, visit: Visit, paths: list[str]) -> None:
        """Joins, queues or raises, for each path that is neither leased nor waited for."""
        fresh: dict[str, list[tuple[str, Client, Policy, tuple[str, bytes]]]] = {}
        for path in paths:
            client, policy = self._route(path, visit.call)
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
            for pending in self._requester.raise_card(client, [(path, policy, scope) for path, _, policy, scope in wanted],
                                                      seen, visit.call):
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
            visit.connection.send(event)

    def _leave(self, visit: Visit) -> None:
        close(visit.ends)
        for pending in [*visit.waits.values(), *visit.behind.values()]:
            if visit in pending.visits:
                pending.visits.remove(visit)
            if not pending.finished and not any(one.waits.get(pending.path) is pending for one in pending.visits):
                self._requester.withdraw(pending)
            elif not pending.finished:
                pending.ring()

    # ---- delivery ------------------------------------------------------------------------------------------------------

    def _deliver(self, connection: Connection, call: frames.Get, identity: Identity, ends: list[int],
                 found: list[Found]) -> None:
        """Writes every value, or stops at the first that cannot be written. Nothing in here waits."""
        now = int(time.time())
        # The caller is looked at before anything is written, and after: a difference is a refusal, and makes no lease.
        connection.caller.check()
        values, releases = [], []
        try:
            for path, end, one in zip(call.refs, ends, found, strict=True):
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
        event: dict[str, Any] = {
            "event": "whoami", "uid": one.uid, "user": one.user, "exe": one.exe.path, "exe_sha256": one.exe.sha256,
            "chain": [{"exe": up.exe, "exe_sha256": up.exe_sha256} for up in one.chain], "front": connection.caller.fronted,
            "grade": "system" if self._system else "user", "why": self._standing.why(system=self._system, exact=self._exact),
            "clients": [{"subject": client.subject, "host": client.host, "scopes": list(client.scopes)}
                        for client in self._standing.clients],
        }
        if one.unit:
            event["unit"] = one.unit
        if one.container:
            event["container"] = one.container
        connection.send(event)

    def _listed(self, uid: int | None) -> list[dict[str, Any]]:
        cards: dict[str, list[Pending]] = {}
        for pending in self._requester.all():
            if uid in (None, pending.request.observed.uid):
                cards.setdefault(card_id(pending.request), []).append(pending)
        shown = []
        for card, requests in cards.items():
            first = min(requests, key=lambda one: one.path)
            shown.append({"id": card, "paths": sorted(one.path for one in requests), "state": "pending",
                          "expires": first.request.expires, "code": self._requester.code(first)})
        return shown

    def _cancel(self, uid: int | None, name: str) -> int:
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
            count = self._book.end(lambda lease: lease.request in requests)
        elif event.path:
            count = self._book.end(lambda lease: lease.client.subject == subject and lease.path == event.path)
        else:
            count = self._book.end(lambda lease: lease.client.subject == subject)
        log.info("purge order for %s: %d leases ended", subject, count)


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
    return caller.leader if scope == "task" else None


def unwritten(path: str, error: OSError) -> Failed:
    """A value that did not go into the caller's pipe."""
    return Failed("delivery", f"{path} could not be written to the caller's pipe ({error.strerror or 'full'})", "ask again")


def close(fds: list[int]) -> None:
    """Closes and forgets descriptors."""
    while fds:
        with suppress(OSError):
            os.close(fds.pop())
