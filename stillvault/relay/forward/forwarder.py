"""Sends every row of the audit log to each receiver, in order, at least once.

What a receiver has is a row of the database (`meta`), so a restart, a crash or a receiver that was away for a week loses nothing:
rows that were sent and whose cursor was not yet written are sent again, with the same `index`. The cursor belongs to the
receiver's address: another address begins at the first row.

A receiver that fails is tried again for ever, each wait twice the one before; it holds back nobody but itself. A disk that takes
no writes stops nothing either: the cursor in memory goes on, and the one on the disk follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stillvault.protocol.errors import Refused
from stillvault.protocol.rows import Row, row_of
from stillvault.protocol.siem import FORMS
from stillvault.relay.context import Relay
from stillvault.relay.forward.syslog import Syslog
from stillvault.relay.forward.webhook import Webhook
from stillvault.relay.notify.egress import Unsent
from stillvault.relay.problems import ProblemError
from stillvault.relay.settings import Settings
from stillvault.relay.store import tree
from stillvault.relay.store import trust as store
from stillvault.relay.store.transaction import LOG_TOPIC

BATCH = 200  # rows in one message or connection
GATHER = 1.0  # seconds: rows that come together go together
IDLE = 60.0  # seconds between two looks while nothing is written
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds after a failure

Form = Callable[[Row, str], str]


class Receiver(Protocol):
    """Where rows go to."""

    name: str  # in the metrics: which kind it is
    address: str

    async def send(self, rows: Sequence[Row], lines: Sequence[str]) -> None:
        """One try; `lines` are the rows in their form. Returns when the receiver has them. Raises `Unsent`."""


@dataclass(slots=True)
class Forwarder:
    """One receiver's task."""

    relay: Relay
    receiver: Receiver
    form: Form
    version: str

    @property
    def _fact(self) -> str:
        return f"forwarded {self.receiver.name} {self.receiver.address}"

    async def run(self) -> None:
        """Until the hub closes or the task is cancelled."""
        relay, wait = self.relay, FIRST_WAIT
        at = int(store.fact(relay.reader, self._fact) or 0)
        relay.forwarded[self.receiver.name] = at
        with contextlib.suppress(ProblemError), relay.hub.listen((LOG_TOPIC,)) as bell:
            while not relay.hub.closed:
                bell.clear()
                leaves = tree.leaves(relay.reader, at, BATCH)
                if not leaves:
                    await relay.hub.wait(bell, IDLE)
                    await asyncio.sleep(GATHER)
                    continue
                try:
                    await self._send(at, leaves)
                except (Unsent, Refused) as error:
                    relay.metrics.forward_failed(self.receiver.name)
                    relay.journal.warning("the audit log was not forwarded", receiver=self.receiver.name, code=error.code)
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, LONGEST_WAIT)
                else:
                    at, wait = at + len(leaves), FIRST_WAIT
                    relay.forwarded[self.receiver.name] = at
                    await self._keep(at)

    async def _send(self, first: int, leaves: Sequence[bytes]) -> None:
        rows = [row_of(first + number, leaf) for number, leaf in enumerate(leaves)]
        await self.receiver.send(rows, [self.form(row, self.version) for row in rows])

    async def _keep(self, at: int) -> None:
        try:
            await self.relay.writer.write(lambda tx: store.set_fact(tx.connection, self._fact, str(at)))
        except ProblemError as error:
            self.relay.journal.warning("the place in the audit log was not kept", code=error.code)


def receivers(settings: Settings, origin: str) -> list[Receiver]:
    """Those of the settings. Raises `BadSetting`."""
    forward, found = settings.forward, list[Receiver]()
    if forward.syslog:
        found.append(Syslog(forward, origin, _version()))
    if forward.webhook:
        found.append(Webhook(forward))
    return found


def start(relay: Relay, found: Sequence[Receiver]) -> list[asyncio.Task[None]]:
    """A task for each receiver."""
    form = FORMS[relay.settings.forward.format]
    return [asyncio.create_task(_guarded(relay, Forwarder(relay, one, form, _version()))) for one in found]


def _version() -> str:
    return importlib.metadata.version("stillvault")


async def _guarded(relay: Relay, forwarder: Forwarder) -> None:
    """Whatever fails in one, the relay and the other go on; it begins again where its cursor stands."""
    while not relay.hub.closed:
        try:
            await forwarder.run()
        except Exception as error:  # noqa: BLE001  a receiver must not end for good by a fault of ours
            relay.journal.failure("forward", error)
            await asyncio.sleep(LONGEST_WAIT)
