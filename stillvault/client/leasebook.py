"""Who was let in for how long: the daemon's leases, their ends, and the count of their uses.

The values lie in the core's `LeaseCache` (wiped memory); this book knows for each what it was for. It evicts on everything that
section 10 names: the window and the uses (the cache counts them), the exit of the process or session leader that a lease is bound
to, a newer version, a roster without a device that approved, a hold, a revoked client, a purge order, and the end of the daemon.

Time is CLOCK_BOOTTIME in milliseconds: a suspended machine does not lengthen a lease.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from stillvault.client.flow import Client
from stillvault.client.peer import Identity
from stillvault.client.process import Process
from stillvault.crypto.leases import LeaseCache
from stillvault.crypto.private import Opened
from stillvault.crypto.public import b64encode, encode, pattern_matches
from stillvault.protocol.errors import Refused
from stillvault.protocol.objects import Pair, Roster

MAX_REASONS = 1024  # ends of leases that are remembered, to say why people are asked again
REASONS = {"window": "the window of its lease is over", "uses": "every use of its lease is spent",
           "capacity": "its lease made room for others"}
TAKEN_BACK = "the relay ended its lease"
OTHERS = {"process": "process", "task": "task", "exe": "program", "unit": "unit or program"}
SWEEP = 0.5  # seconds between looks at what has ended: a value is gone within a second of its window
REPORT = 20.0  # seconds between use reports; section 10 allows 60
MOST_LINES = 128  # of one use report
MOST_NAMES = 24 * 1024  # bytes of programs' names after which a report takes no further one: the longest one fits behind them


def boot_ms() -> int:
    """CLOCK_BOOTTIME, in milliseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


@dataclass(frozen=True)
class Lease:
    """What a live lease was given for."""

    number: int
    client: Client
    path: str
    version: Pair
    uid: int
    scope: tuple[str, bytes]
    people: tuple[tuple[str, str], ...]
    request: bytes
    program: str


@dataclass
class Uses:
    """The hits of one request's lease that were not reported yet."""

    subject: str
    first: int
    last: int
    by: dict[tuple[int, str, str], int] = field(default_factory=dict)


class LeaseBook:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._cache = LeaseCache()
        self._leases: dict[int, Lease] = {}
        self._uses: dict[bytes, Uses] = {}
        self._watched: dict[bytes, int] = {}  # scope id -> pidfd
        self._reasons: OrderedDict[tuple[str, str, int], tuple[str, Pair]] = OrderedDict()
        self.on_end: Callable[[], None] = lambda: None  # a lease with unreported uses has ended
        self._sweeping: asyncio.TimerHandle | None = None

    # ---- giving and using ----------------------------------------------------------------------------------------------

    def find(self, client: Client, path: str, scope: tuple[str, bytes]) -> int | None:
        """The live lease of this client, path and scope. Counts nothing."""
        return self._cache.find(client.subject, path, [scope], boot_ms())

    def length(self, number: int) -> int:
        """The length of the value, in bytes."""
        return self._cache.value_length(number)

    def lease(self, number: int) -> Lease:
        """What the lease was given for."""
        return self._leases[number]

    def deliver(self, number: int, scope: tuple[str, bytes], fd: int, caller: Identity, now: int) -> tuple[int, int]:
        """Writes the value to `fd` from the core and counts the use. Returns (bytes, seconds left)."""
        written, left = self._cache.deliver(number, scope[1], fd, boot_ms())
        lease = self._leases[number]
        uses = self._uses.setdefault(lease.request, Uses(subject=lease.client.subject, first=now, last=now))
        uses.last = max(uses.last, now)
        who = (caller.uid, caller.exe.path, caller.exe.sha256)
        uses.by[who] = uses.by.get(who, 0) + 1
        return written, left

    def insert(self, client: Client, path: str, scope: tuple[str, bytes], opened: Opened, caller: Identity, request: bytes,
               bound_to: Process | None) -> None:
        """Keeps a value that was just delivered, where its terms give a lease. `bound_to` ends it by its exit."""
        if opened.window <= 0 or opened.uses == 1:
            opened.value.wipe()
            return
        people = tuple(opened.approvers)
        version = opened.secret.version
        # One lease a scope: the newer delivery replaces the older one.
        old = self.find(client, path, scope)
        if old is not None:
            self._cache.evict(number=old)
            self._leases.pop(old, None)
        number = self._cache.insert(client.subject, path, scope[0], scope[1], opened.value, version, opened.window, opened.uses,
                                    boot_ms(), uid=caller.uid, people=list(people), request=request)
        self._leases[number] = Lease(number=number, client=client, path=path, version=version, uid=caller.uid, scope=scope,
                                     people=people, request=request, program=caller.exe.path)
        if bound_to is not None:
            self._watch(scope[1], bound_to)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(SWEEP, self._sweep)

    # ---- ending --------------------------------------------------------------------------------------------------------

    def end(self, which: Callable[[Lease], bool], why: str) -> int:
        """Ends every lease of which this holds, and remembers why. Returns how many."""
        ended = [number for number, lease in self._leases.items() if which(lease)]
        for number in ended:
            self._cache.evict(number=number)
        self._forget((number, why) for number in ended)
        return len(ended)

    def _forget(self, ended: Iterable[tuple[int, str]]) -> None:
        requests = set()
        for number, why in ended:
            lease = self._leases.pop(number, None)
            if lease is None:
                continue
            requests.add(lease.request)
            key = (lease.client.subject, lease.path, lease.uid)
            self._reasons[key] = (why, lease.version)
            self._reasons.move_to_end(key)
            while len(self._reasons) > MAX_REASONS:
                self._reasons.popitem(last=False)
        if requests & self._uses.keys():
            self.on_end()

    def end_all(self) -> None:
        """The daemon ends: everything is wiped."""
        self._cache.evict()
        self._leases.clear()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for scope_id in list(self._watched):
            self._unwatch(scope_id)

    def wipe(self) -> None:
        """Wipes every value, from any thread: the process ends, and the loop does not answer."""
        self._cache.evict()

    def end_by_roster(self, roster: Roster, clients: Iterable[Client], now: int) -> int:
        """Ends what a new roster no longer carries: a device that approved, the client, or a path or client on hold."""
        devices = {(person.id, device.id) for person in roster.people if "approver" in person.roles
                   for device in person.devices if now < device.expires}
        standing = {client.oid for client in clients}
        subjects = {client.subject for client in clients}

        def gone(lease: Lease) -> bool:
            held = any(now < hold.until and (hold.subject == lease.client.subject if isinstance(hold.subject, str)
                                             else pattern_matches(str(hold.match), lease.path)) for hold in roster.holds)
            # A renewed certificate of the same client carries on.
            stands = lease.client.oid in standing or (lease.client.subject in subjects
                                                      and b64encode(lease.client.oid) not in roster.revoked)
            return held or not stands or any(one not in devices for one in lease.people)

        return self.end(gone, "the organisation's rules ended its lease")

    def end_older(self, path: str, version: Pair) -> int:
        """Ends the leases of older versions of a path."""
        newer = "there is a newer version"
        for key, (_, known) in list(self._reasons.items()):
            if key[1] == path and known < version:
                self._reasons[key] = (newer, known)
        return self.end(lambda lease: lease.path == path and lease.version < version, newer)

    def end_request(self, request: bytes) -> int:
        """Ends the lease of one request: a purge order."""
        return self.end(lambda lease: lease.request == request, TAKEN_BACK)

    # ---- showing -------------------------------------------------------------------------------------------------------

    def listed(self, uid: int | None) -> list[dict[str, Any]]:
        """The live leases of an account (None: all), as the socket shows them."""
        self._expire()
        shown = []
        for number, client, path, scope, owner, version, left, uses, _ in self._cache.list(boot_ms()):
            if uid in (None, owner):
                shown.append({"number": number, "client": client, "path": path, "version": version[0], "revision": version[1],
                              "uid": owner, "scope": scope, "left": left, "uses": uses, "program": self._leases[number].program})
        return shown

    def why(self, client: Client, path: str, uid: int) -> str:
        """Why a caller of this account has no lease of a path, where there is or was one; else empty."""
        self._expire()
        for lease in self._leases.values():
            if (lease.client.subject, lease.path, lease.uid) == (client.subject, path, uid):
                return f"the lease that lives is for another {OTHERS[lease.scope[0]]}"
        return self._reasons[(client.subject, path, uid)][0] if (client.subject, path, uid) in self._reasons else ""

    def requests(self) -> dict[bytes, str]:
        """The requests whose leases live, and the client of each."""
        return {lease.request: lease.client.subject for lease in self._leases.values()}

    # ---- use reports ---------------------------------------------------------------------------------------------------

    def reports(self, org: bytes, now: int) -> list[tuple[str, bytes]]:
        """(client, payload of a `use`) for all hits since the last call. Where many programs used a lease, or such with long
        names, it is several: no caller can make a report too large to be sent."""
        made = [(uses.subject, use_payload(org, request, part, now))
                for request, uses in self._uses.items() for part in parts(uses)]
        self._uses.clear()
        return made

    # ---- time and exits ------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        try:
            self._expire()
        finally:  # whoever hears of an end may fail: the next value is wiped in its time all the same
            self._sweeping = self._loop.call_later(SWEEP, self._sweep) if self._leases else None

    def _expire(self) -> None:
        self._forget([(number, REASONS.get(reason, "its lease has ended")) for number, reason in self._cache.expire(boot_ms())])
        for scope_id in set(self._watched) - {lease.scope[1] for lease in self._leases.values()}:
            self._unwatch(scope_id)

    def _watch(self, scope_id: bytes, process: Process) -> None:
        if scope_id in self._watched:
            return
        try:
            process.check_alive()
            pidfd = os.dup(process.pidfd)
        except (Refused, OSError):
            self._exited(scope_id)
            return
        self._watched[scope_id] = pidfd
        self._loop.add_reader(pidfd, self._exited, scope_id)

    def _unwatch(self, scope_id: bytes) -> None:
        pidfd = self._watched.pop(scope_id, -1)
        if pidfd >= 0:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)

    def _exited(self, scope_id: bytes) -> None:
        self.end(lambda lease: lease.scope[1] == scope_id, "the process that its lease was for has exited")
        self._unwatch(scope_id)


def parts(uses: Uses) -> Iterator[Uses]:
    """The same hits, in as many reports as they take."""
    by: dict[tuple[int, str, str], int] = {}
    size = 0
    for who, count in sorted(uses.by.items()):
        if len(by) == MOST_LINES or size > MOST_NAMES:
            yield replace(uses, by=by)
            by, size = {}, 0
        by[who] = count
        size += len(encode(who[1]))
    yield replace(uses, by=by)


def use_payload(org: bytes, request: bytes, uses: Uses, now: int) -> bytes:
    """The canonical payload of a `use`: who was given the value from the lease, and how often."""
    by = [{"uid": uid, "exe": exe, "exe_sha256": digest, "count": count} for (uid, exe, digest), count in sorted(uses.by.items())]
    return encode({"org": b64encode(org), "request": b64encode(request), "by": by, "first": uses.first, "last": uses.last,
                   "issued": now})
