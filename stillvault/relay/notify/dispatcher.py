"""Takes what waits in the queue and sends it. The queue is rows of the database: a restart goes on where this one ended.

One message to a target at a time, and a bound for each server, so that one that is slow delays itself alone. A message that went
out just before a crash, with its row not yet written, goes out again: twice is better than never.

* Nothing is sent for a card that nobody needs to look at any more.
* One message to a target in `every_seconds`: what comes meanwhile is told by the next one, as a count.
* `per_hour` messages in an hour: what is above is written down as grouped and told by none.
* A failure that may pass is tried again, each wait three times the one before, until `tries` or until the card ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable

import msgspec

from stillvault.relay.context import Relay
from stillvault.relay.notify.channels import Address
from stillvault.relay.notify.egress import Unsent
from stillvault.relay.places import place
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import notifying
from stillvault.relay.store import targets
from stillvault.relay.store.targets import Notice, StoredTarget
from stillvault.relay.store.transaction import Transaction

AT_ONCE = 32  # messages under way
AT_ONE_PLACE = 8  # of them, to one server
ROUND = 0.5  # seconds between two looks while something waits
IDLE = 60.0  # seconds between two looks while nothing does
WRITE_AGAIN = 5.0  # seconds until an outcome that the disk did not take is written again
FACTOR = 3  # each wait is so many times the one before
HOUR = 3600
LEAVE = 0.5  # seconds that a stop gives to what is under way


class Dispatcher:
    """Runs beside the loop's other work, as one task with one more for each message under way."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._settings = relay.settings.notify
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._places: Counter[str] = Counter()

    async def run(self) -> None:
        """Until the hub closes or the task is cancelled."""
        hub = self._relay.hub
        try:
            with contextlib.suppress(ProblemError), hub.listen((notifying.TOPIC,)) as bell:
                while not hub.closed:
                    bell.clear()
                    await hub.wait(bell, self._start())
        finally:
            await self._end()

    def _start(self) -> float:
        """Starts what is due and can be. Returns the seconds until the next look."""
        relay = self._relay
        try:
            for name in targets.due(relay.reader, relay.clock()):
                if len(self._busy) >= AT_ONCE:
                    break
                target = targets.get(relay.reader, name)
                if target is not None and name not in self._busy:
                    self._start_one(target)
            return ROUND if targets.next_due(relay.reader) is not None else IDLE
        except Exception as error:  # noqa: BLE001  a round that failed must not be the last one
            relay.journal.failure("notify", error)
            return IDLE

    def _start_one(self, target: StoredTarget) -> None:
        address = msgspec.json.decode(target.address, type=Address)
        server = place(address.url).authority if address.url else target.kind
        if self._places[server] >= AT_ONE_PLACE:
            return

        def done(_: asyncio.Task[None]) -> None:
            del self._busy[target.id]
            self._places[server] -= 1
            self._relay.hub.wake((notifying.TOPIC,))  # there is room for the next one

        self._places[server] += 1
        task = self._busy[target.id] = asyncio.create_task(self._serve(target.id))
        task.add_done_callback(done)

    async def _end(self) -> None:
        """What is under way may finish if it does so at once; else its row waits for the next start."""
        tasks = list(self._busy.values())
        if tasks:
            await asyncio.wait(tasks, timeout=LEAVE)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, name: str) -> None:
        try:
            await self._send(name)
        except Exception as error:  # noqa: BLE001  one target never stops the others
            self._relay.journal.failure("notify", error)
            await asyncio.sleep(WRITE_AGAIN)

    async def _send(self, name: str) -> None:
        """One message, or the reason why there is none."""
        relay = self._relay
        now = relay.clock()
        target = targets.get(relay.reader, name)
        notices = targets.waiting(relay.reader, name, now)
        if target is None or not notices:
            return
        # 1. what still waits for this person
        cards = targets.cards_waiting(relay.reader, target.person, now)
        over = [one for one in notices if one.card not in cards]
        notices = [one for one in notices if one.card in cards]
        for said in sorted({one.said for one in over}):
            outcome = f"failed: {said}" if said else "not needed"
            await self._settle(target, [one for one in over if one.said == said], outcome)
        if not notices:
            return
        # 2. how much this target had already
        count, last = targets.sent_since(relay.reader, name, now - HOUR)
        if count >= self._settings.per_hour:
            await self._settle(target, notices, "grouped")
            return
        if now < last + self._settings.every_seconds:
            await asyncio.sleep(ROUND)  # told with what comes until then
            return
        # 3. one try
        try:
            address = msgspec.json.decode(target.address, type=Address)
            await relay.sender.send(target.kind, address, relay.sender.message(len(cards), notices[-1].card, now))
        except Unsent as error:
            await self._failed(target, notices, error)
        else:
            await self._settle(target, [one._replace(tries=one.tries + 1) for one in notices], "sent")

    async def _failed(self, target: StoredTarget, notices: list[Notice], error: Unsent) -> None:
        now = self._relay.clock()
        last: list[Notice] = []
        later: list[tuple[Notice, int]] = []
        for notice in notices:
            due = now + self._settings.retry_seconds * FACTOR**notice.tries
            if error.retry and notice.tries + 1 < self._settings.tries and due < notice.expires:
                later.append((notice, due))
            else:
                last.append(notice._replace(tries=notice.tries + 1))

        def change(tx: Transaction) -> None:
            for notice, due in later:
                targets.postpone(tx.connection, notice.seq, due, notice.tries + 1, error.code)
            notifying.settle(tx, target, last, f"failed: {error.code}", now)
            if error.code == "gone":
                targets.remove(tx.connection, target.id)  # the browser ended its subscription

        await self._write(change)

    async def _settle(self, target: StoredTarget, notices: list[Notice], outcome: str) -> None:
        now = self._relay.clock()
        await self._write(lambda tx: notifying.settle(tx, target, notices, outcome, now))

    async def _write(self, change: Callable[[Transaction], None]) -> None:
        """Until the disk takes it. Meanwhile the target stays busy, so that what went out does not go out again."""
        while True:
            try:
                await self._relay.writer.write(change, essential=True)
                return
            except ProblemError as error:
                self._relay.journal.warning("notify", code=error.code)
                await asyncio.sleep(WRITE_AGAIN)
