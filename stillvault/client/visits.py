"""A visit from its question to the moment when all that it asked for is there: asked, joined or queued, and withdrawn."""

from __future__ import annotations

from stillvault.client import flow
from stillvault.client.flow import Client
from stillvault.client.hits import Found, Hits
from stillvault.client.leasebook import LeaseBook
from stillvault.client.peer import Identity
from stillvault.client.pending import Visit, pending_event
from stillvault.client.pipes import close_all
from stillvault.client.requester import Requester
from stillvault.protocol.objects import Observed, Policy


class Visits:
    """What callers and handles wait for. Belongs to the event loop."""

    def __init__(self, hits: Hits, requester: Requester, book: LeaseBook, *, host: str, system: bool) -> None:
        self._hits = hits
        self._requester = requester
        self._book = book
        self._host = host
        self._system = system

    def observed(self, identity: Identity, client: Client) -> Observed:
        """What people would be shown of a caller."""
        return flow.observed(identity, client, self._host, system=self._system)

    def gather(self, visit: Visit) -> list[Found] | None:
        """Everything, if everything is there; else sees to it that what is missing is asked for."""
        found: list[Found] = []
        missing = []
        for path in visit.call.refs:
            hit = self._hits.find(path, visit.call, visit.identity)
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
            client, policy = self._hits.route(path, visit.call, visit.identity)
            scope = self._hits.scope(visit.identity, policy.scope)
            seen = self.observed(visit.identity, client)
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
            seen = self.observed(visit.identity, client)
            why = {path: self._book.why(client, path, visit.identity.uid) for path, *_ in wanted}
            for pending in self._requester.raise_card(client, [(path, policy, scope) for path, _, policy, scope in wanted],
                                                      seen, visit.call, why):
                visit.waits[pending.path] = pending
                pending.visits.append(visit)

    async def wait(self, visit: Visit) -> None:
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
        close_all(visit.ends)
        for pending in [*visit.waits.values(), *visit.behind.values()]:
            if visit in pending.visits:
                pending.visits.remove(visit)
            if not pending.finished and not any(one.waits.get(pending.path) is pending for one in pending.visits):
                self._requester.withdraw(pending)
            elif not pending.finished:
                pending.ring()
