"""The last step: values go into the caller's pipes, leases begin, receipts go out.

The caller is looked at again, the value goes into its pipe, the caller is looked at once more, the lease begins, the receipt goes
out, the ephemeral key is erased.
"""

from __future__ import annotations

import time
from typing import Any

from stillvault.client.connection import Connection
from stillvault.client.hits import Found, Hit, Hits
from stillvault.client.leasebook import LeaseBook
from stillvault.client.peer import Identity
from stillvault.client.pending import Pending
from stillvault.client.pipes import close_all
from stillvault.client.process import Process
from stillvault.client.requester import Requester
from stillvault.protocol.errors import Failed, StillvaultError


class Delivery:
    """Belongs to the event loop. Nothing in here waits."""

    def __init__(self, hits: Hits, requester: Requester, book: LeaseBook) -> None:
        self._hits = hits
        self._requester = requester
        self._book = book

    def deliver(self, connection: Connection, refs: list[str], identity: Identity, ends: list[int],
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
            scope = self._hits.scope(identity, opened.scope)
            self._book.insert(pending.client, pending.path, scope, opened, identity, pending.oid, bound_to(connection, scope[0]))
            self._requester.close(pending, "delivered")
        close_all(ends)
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


def bound_to(connection: Connection, scope: str) -> Process | None:
    """The process whose exit ends a lease of that scope."""
    caller = connection.caller
    if scope == "process":
        return caller.socket_process if caller.is_alone() else caller.process
    return (caller.agent or caller.leader) if scope == "task" else None


def unwritten(path: str, error: OSError) -> Failed:
    """A value that did not go into the caller's pipe."""
    return Failed("delivery", f"{path} could not be written to the caller's pipe ({error.strerror or 'full'})", "ask again")
