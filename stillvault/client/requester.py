"""Raises requests at the relay, follows them, opens what people released, and reports back.

Belongs to the event loop; calls to the relay and the core's long checks run in worker threads. What the relay says is a hint: a
release counts because the core verified it, a denial because a person signed it, and expiry because our own clock says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Coroutine, Iterable
from typing import Any

from stillvault.client import flow
from stillvault.client.flow import Client, Wish
from stillvault.client.frames import Question
from stillvault.client.leasebook import LeaseBook
from stillvault.client.link import Kind, Link
from stillvault.client.pending import Pending
from stillvault.client.standing import Standing
from stillvault.client.verifying import Verifying, secret_oid
from stillvault.client.versions import VersionMemory
from stillvault.client.workers import Workers
from stillvault.crypto.private import Ephemeral
from stillvault.crypto.public import b64encode, encode, oid_of
from stillvault.protocol.errors import Expired, Refused, StillvaultError, Unavailable
from stillvault.protocol.messages import RequestState
from stillvault.protocol.objects import Observed, Policy, canonical
from stillvault.transport.http import RelayRefused
from stillvault.transport.trust import TrustStore

log = logging.getLogger("stillvault.daemon")

PATIENCE = 2.9  # seconds for the relay to take a new request: a caller hears of a relay that is down within three
RETRY = 1.0  # seconds before a row that could not be read is read again
EXPLAINED = ("hold", "no-approver", "revoked", "cert", "conflict")  # refusals whose reason the client can verify itself


class Requester:
    """Every request of this daemon that waits."""

    def __init__(self, standing: Standing, store: TrustStore, versions: VersionMemory, workers: Workers) -> None:
        self.links: dict[str, Link] = {}
        self._standing = standing
        self._store = store
        self._versions = versions
        self._workers = workers
        self._verifying = Verifying(standing, versions)
        self._org = store.pin
        self._waiting: dict[tuple[str, str, str, bytes], Pending] = {}
        self._by_oid: dict[bytes, Pending] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def waiting(self, key: tuple[str, str, str, bytes]) -> Pending | None:
        """The request that waits under a key."""
        return self._waiting.get(key)

    def all(self) -> Iterable[Pending]:
        """Every request that waits."""
        return list(self._by_oid.values())

    def turned_away(self) -> StillvaultError | None:
        """Why the relay, which answers, gives us no roster: a wrong clock, say. None when a line stands or it is out of reach."""
        if any(link.up for link in self.links.values()):
            return None
        return next((link.error for link in self.links.values() if isinstance(link.error, (Refused, RelayRefused))), None)

    # ---- raising -------------------------------------------------------------------------------------------------------

    def raise_card(self, client: Client, wanted: list[tuple[str, Policy, tuple[str, bytes]]], seen: Observed,
                   call: Question, why: dict[str, str]) -> list[Pending]:
        """Makes and signs one request a path, and sends them off as one card. They wait from now on.

        `why` says to the caller, by path, why people are asked again; people are not told, for it is nothing that was observed.
        """
        now = int(time.time())
        link, trust = self._link(client), self._standing.require()
        for path, policy, _ in wanted:
            self._standing.check_open(client, path, policy, now)
        ephemerals = [Ephemeral.generate() for _ in wanted]
        wishes = [Wish(path=path, id=secrets.token_bytes(16), ephemeral=ephemeral.public,
                       minimum=self._versions.highest(path) or (1, 0))
                  for (path, _, _), ephemeral in zip(wanted, ephemerals, strict=True)]
        asked = flow.terms(call, [policy for _, policy, _ in wanted])
        requests = flow.request_payloads(wishes, org=self._org, client=client, seen=seen, said=flow.claimed(call), asked=asked,
                                         roster=trust.pair, log_head=self._store.log_head(), now=now)
        key = self._standing.identities.key(client.subject)
        card = []
        for (path, policy, scope), request, ephemeral in zip(wanted, requests, ephemerals, strict=True):
            signed = key.sign("request", canonical(request))
            pending = Pending(key=flow.pending_key(client, path, seen), client=client, policy=policy, scope=scope,
                              request=request, signed=signed, oid=oid_of(signed), ephemeral=ephemeral, why=why.get(path, ""))
            self._waiting[pending.key] = self._by_oid[pending.oid] = pending
            card.append(pending)
        self._spawn(self._submit(link, card, asked.life))
        return card

    def _link(self, client: Client) -> Link:
        link = self.links[client.subject]
        if not link.up and isinstance(link.error, Refused):
            raise link.error  # the relay shows what is not to be trusted: nothing is asked through it
        return link

    async def _submit(self, link: Link, card: list[Pending], life: int) -> None:
        given_up = threading.Event()

        def send() -> list[RequestState]:
            if given_up.is_set():  # it waited behind other calls until nobody waited for it
                raise link.error
            return link.raise_requests([one.signed for one in card])

        work = self._workers.run(send)
        try:
            states = await asyncio.wait_for(asyncio.shield(work), PATIENCE)
        except TimeoutError:
            # It may still arrive there: then it is withdrawn.
            given_up.set()
            work.add_done_callback(lambda done: self._regret(done, card))
            error = link.error if not link.up else Unavailable("timeout", "the relay did not answer in time", "try again")
            self._end_all(card, error)
            return
        except StillvaultError as error:
            self._end_all(card, await self._explained(link, card, error))
            return
        loop = asyncio.get_running_loop()
        rows = {state.oid: state for state in states}
        for pending in card:
            pending.raised = True
            if pending.finished:
                self._send_cancel(pending)
                continue
            pending.timer = loop.call_later(life, self._expire, pending)
            state = rows.get(b64encode(pending.oid))
            if state is not None:
                pending.asked, pending.needed = list(state.asked), state.needed
                self._follow(pending, state)
        for pending in card:
            pending.ring()

    async def _explained(self, link: Link, card: list[Pending], error: StillvaultError) -> StillvaultError:
        """The relay's refusal, or what the newest roster and the secret itself say: a verified reason beats a bare word."""
        if isinstance(error, RelayRefused) and error.code == "unknown":
            return await self._missing(link, card, error)
        if not isinstance(error, RelayRefused) or error.code not in EXPLAINED:
            return error
        try:
            await self._workers.run(link.refresh)
            for pending in card:
                client, policy = self._standing.route(pending.path, pending.client.subject, flow.agent_of(pending.client))
                self._standing.check_open(client, pending.path, policy, int(time.time()))
                if error.code == "no-approver":
                    secret = await self._workers.run(self._verifying.latest, link, pending.path)
                    self._standing.check_recipients(secret, pending.path, policy)
        except StillvaultError as found:
            return found
        return error

    async def _missing(self, link: Link, card: list[Pending], error: RelayRefused) -> StillvaultError:
        """The relay does not know one of the card's secrets: which. Still its word alone, so no more than `unavailable`."""
        for pending in card:
            try:
                await self._workers.run(self._verifying.latest, link, pending.path)
            except RelayRefused as refused:
                if refused.code == "unknown":
                    told = f"the relay has no secret {pending.path} for {pending.client.subject}"
                    return RelayRefused(refused.status, "unknown", told, "see `stillvault secrets` for the names")
            except StillvaultError as found:
                return found
        return error

    def _regret(self, done: asyncio.Future[list[RequestState]], card: list[Pending]) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        for pending in card:
            pending.raised = True
            self._send_cancel(pending)

    # ---- following -----------------------------------------------------------------------------------------------------

    def look(self, oid: bytes) -> None:
        """Reads the relay's row of one of our requests, if it waits."""
        pending = self._by_oid.get(oid)
        if pending is None or pending.finished:
            return
        if pending.looking:
            pending.look_again = True
            return
        pending.looking = True
        self._spawn(self._look(pending))

    def look_at_all(self, subject: str) -> None:
        """The line came back: every row of that client may have moved."""
        for pending in self.all():
            if pending.client.subject == subject and pending.raised:
                self.look(pending.oid)

    async def _look(self, pending: Pending) -> None:
        link = self.links[pending.client.subject]
        try:
            state = await self._workers.run(link.state, pending.oid)
        except StillvaultError as error:
            log.info("the row of a request could not be read: %s", error.code)
            if link.up and not pending.finished:
                asyncio.get_running_loop().call_later(RETRY, self.look, pending.oid)
            return
        finally:
            pending.looking = False
        self._follow(pending, state)
        if pending.look_again and not pending.finished:
            pending.look_again = False
            self.look(pending.oid)

    def _follow(self, pending: Pending, state: RequestState) -> None:
        if pending.finished or pending.opening:
            return
        step, error = flow.verdict(state)
        match step:
            case "wait":
                pending.approved = state.approvals
                pending.asked, pending.needed = list(state.asked) or pending.asked, state.needed or pending.needed
                pending.ring()
            case "open":
                pending.approved, pending.opening = state.approvals, True
                self._spawn(self._open(pending, state))
            case "denial":
                pending.opening = True
                self._spawn(self._denial(pending, state))
            case "end":
                self._end(pending, error)

    # ---- a release -----------------------------------------------------------------------------------------------------

    async def _open(self, pending: Pending, state: RequestState) -> None:
        link = self.links[pending.client.subject]
        try:
            opened = await self._workers.run(self._verifying.opened, link, pending, state)
        except Unavailable:
            pending.opening = False  # the newest roster could not be fetched: looked at again when the line is back
            asyncio.get_running_loop().call_later(RETRY, self.look, pending.oid)
            return
        except StillvaultError as error:
            if isinstance(error, Refused):
                self._receipt(pending, "failed", secret_oid(state), reason=error.code)
            self._end(pending, error)
            return
        if pending.finished:
            opened.value.wipe()
            self._receipt(pending, "discarded", opened.secret.oid)
            return
        pending.opened = opened
        pending.ring()

    async def _denial(self, pending: Pending, state: RequestState) -> None:
        link = self.links[pending.client.subject]
        error: StillvaultError
        try:
            error = await self._workers.run(self._verifying.denied, link, pending, state)
        except StillvaultError as failed:
            error = failed
        self._end(pending, error)

    # ---- ending --------------------------------------------------------------------------------------------------------

    def close(self, pending: Pending, result: str, error: StillvaultError | None = None, reason: str = "") -> None:
        """A release was delivered, or could not be: the receipt goes out and the request is over."""
        assert pending.opened is not None  # noqa: S101  only what was opened is closed
        self._receipt(pending, result, pending.opened.secret.oid, reason=reason)
        if error is not None:
            pending.opened.value.wipe()
        self._end(pending, error)

    def withdraw(self, pending: Pending, error: StillvaultError | None = None) -> None:
        """Nobody waits any more, or somebody withdrew it."""
        if pending.finished:
            return
        if pending.opened is not None:
            pending.opened.value.wipe()
            self._receipt(pending, "discarded", pending.opened.secret.oid, reason="caller-gone")
        elif pending.raised:
            self._send_cancel(pending)
        self._end(pending, error)

    def _expire(self, pending: Pending) -> None:
        """Our own clock ends it (section 8: unexpired), also a release that waits for others of its command."""
        if pending.opened is not None and not pending.finished:
            pending.opened.value.wipe()
            self._receipt(pending, "discarded", pending.opened.secret.oid, reason="expired")
        self._end(pending, Expired("expired", f"{pending.path} was not released in time", "ask again, and tell the approvers"))

    def _end_all(self, card: list[Pending], error: StillvaultError) -> None:
        for pending in card:
            self._end(pending, error)

    def _end(self, pending: Pending, error: StillvaultError | None) -> None:
        self._waiting.pop(pending.key, None)
        self._by_oid.pop(pending.oid, None)
        pending.finish(error)

    # ---- what goes to the relay ----------------------------------------------------------------------------------------

    def _receipt(self, pending: Pending, result: str, secret: bytes, reason: str = "") -> None:
        payload: dict[str, Any] = {"org": b64encode(self._org), "request": b64encode(pending.oid), "secret": b64encode(secret),
                                   "result": result, "issued": int(time.time())}
        if reason:
            payload["reason"] = reason
        self._post(pending.client.subject, "receipts", "receipt", encode(payload))

    def _send_cancel(self, pending: Pending) -> None:
        payload = {"org": b64encode(self._org), "request": b64encode(pending.oid), "issued": int(time.time())}
        self._post(pending.client.subject, "cancels", "cancel", encode(payload))

    def report_uses(self, book: LeaseBook) -> None:
        """Signs and sends the counts of lease hits."""
        for subject, payload in book.reports(self._org, int(time.time())):
            self._post(subject, "uses", "use", payload)
        for link in self.links.values():
            self._spawn(self._flush(link))

    def _post(self, subject: str, kind: Kind, name: str, payload: bytes) -> None:
        link = self.links.get(subject)
        if link is not None:
            link.post(kind, self._standing.identities.key(subject).sign(name, payload))
            self._spawn(self._flush(link))

    async def _flush(self, link: Link) -> None:
        await self._workers.run(link.flush)

    async def settle(self, seconds: float) -> None:
        """The daemon ends: what is in the outboxes gets that long to go out."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(self._flush(link) for link in self.links.values() if link.up))

    # ---- what the relay tells ------------------------------------------------------------------------------------------

    def refresh(self, subject: str) -> None:
        """Fetches the newest trust; whoever takes it acts on it."""
        self._spawn(self._refresh(self.links[subject]))

    async def _refresh(self, link: Link) -> None:
        try:
            await self._workers.run(link.refresh)
        except StillvaultError as error:
            log.warning("the newest roster was not accepted: %s", error)

    def newer(self, subject: str, path: str, book: LeaseBook) -> None:
        """A path has a newer version, says the relay: leases of older ones end. Without a verified answer all of them do."""
        if path:
            self._spawn(self._newer(self.links[subject], path, book))

    async def _newer(self, link: Link, path: str, book: LeaseBook) -> None:
        try:
            version = (await self._workers.run(self._verifying.latest, link, path)).version
        except StillvaultError as error:
            log.warning("the newest version of %s was not accepted: %s", path, error.code)
            book.end(lambda lease: lease.path == path, "there may be a newer version")
            return
        book.end_older(path, version)

    def check_leases(self, subject: str, book: LeaseBook) -> None:
        """The line came back: a lease whose release was taken back in the meantime ends."""
        for oid, owner in book.requests().items():
            if owner == subject:
                self._spawn(self._check_lease(self.links[subject], oid, book))

    async def _check_lease(self, link: Link, oid: bytes, book: LeaseBook) -> None:
        with contextlib.suppress(StillvaultError):
            if (await self._workers.run(link.state, oid)).state == "revoked":
                book.end_request(oid)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background step failed", exc_info=error)
