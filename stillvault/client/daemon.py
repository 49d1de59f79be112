"""`stillvault daemon`: starts everything, says that it is ready, and ends it cleanly.

Before any key is read the process is made unreadable to its own account (no core dumps, no ptrace); it starts no other process
afterwards. On SIGTERM or SIGINT the callers that wait are withdrawn, every lease is wiped, what is in the outboxes is sent as far
as two seconds allow, and the socket is removed; `ending` sees to it that nothing which hangs keeps the process. A kill leaves
nothing secret behind: values, leases and sessions live in memory alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ParamSpec

import msgspec

from stillvault.client import front, listener, socketfile
from stillvault.client.agentfile import FILE
from stillvault.client.agents import Agents
from stillvault.client.broker import Broker
from stillvault.client.ending import end_on_signal
from stillvault.client.executable import Hasher
from stillvault.client.identities import Identities
from stillvault.client.journal import Journal
from stillvault.client.leasebook import REPORT, LeaseBook
from stillvault.client.link import Line, Link
from stillvault.client.peer import has_peer_pidfd, require_peer_pidfd
from stillvault.client.requester import Requester
from stillvault.client.standing import Standing
from stillvault.client.versions import VersionMemory
from stillvault.client.workers import Workers
from stillvault.crypto.private import harden_process, memory_kind
from stillvault.crypto.public import Trust, visible
from stillvault.protocol.errors import StillvaultError
from stillvault.protocol.messages import Events
from stillvault.transport.home import Home
from stillvault.transport.trust import TrustStore

P = ParamSpec("P")
log = logging.getLogger("stillvault.daemon")

FIRST_TRY = 5.0  # seconds that the ready line waits for the relay
GOODBYE = 2.0  # seconds for the outboxes at the end
WORKERS = 6  # threads for the relay and for opening releases
HASHERS = 2  # threads for executables not seen before: a relay that hangs must not keep a caller from its lease
DESCRIPTORS = 65536
STDERR = 2


def keep_standard_streams() -> None:
    """Those that were closed before the start lead nowhere: their numbers must not become a socket's, or a caller's pipe's."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(fd)


def main(home: Home | Path | str | None = None, system: bool = False, socket: str = "", json: bool = False,
         identities: str = "") -> int:
    """Runs the daemon until it is told to end; returns 0. Raises an error of the tree where it cannot start.

    `identities` names the file of agents; else it is `identities.toml` of the home, where there is one.
    The ready line is JSON either way; `json` asks for nothing more.
    """
    del json
    keep_standard_streams()
    logging.basicConfig(level=logging.INFO, handlers=[Journal(STDERR)])
    harden_process()
    if memory_kind() == "plain":
        log.warning("no locked memory: values could reach the swap; raise LimitMEMLOCK")
    exact = has_peer_pidfd()
    if system:
        require_peer_pidfd()
    elif not exact:
        log.warning("this kernel has no SO_PEERPIDFD: callers are told apart by pid, which is weaker")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    place = home if isinstance(home, Home) else Home(home)
    agents = Agents(Path(identities).absolute() if identities else place.path / FILE, required=bool(identities))
    daemon = partial(_run, place, agents, system=system, socket=socket, exact=exact)
    try:
        import uvloop  # a daemon without it is slower, not weaker
    except ImportError:
        asyncio.run(daemon())
    else:
        uvloop.run(daemon())
    return 0


async def _run(home: Home, agents: Agents, *, system: bool, socket: str, exact: bool) -> None:
    organisation, store = home.organisation(), TrustStore(home)
    line = Line(organisation.relay, home.ca())
    identities = Identities(home, store.pin)
    identities.load()
    identities.require_one()
    standing = Standing(identities)
    with suppress(StillvaultError):
        standing.take(store.current(int(time.time())))
    path = socketfile.socket_path(system, socket)
    sock, lock = socketfile.open_socket(path, system=system)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    book = LeaseBook()

    def give_up() -> None:
        book.wipe()
        path.unlink(missing_ok=True)

    end_on_signal(partial(loop.call_soon_threadsafe, stop.set), give_up)
    loop.add_signal_handler(signal.SIGHUP, agents.reload)
    workers = Workers(WORKERS, "worker")
    requester = Requester(standing, store, VersionMemory(home), workers)
    book.on_end = partial(requester.report_uses, book)
    broker = Broker(standing, requester, book, host=visible(os.fsencode(os.uname().nodename)), system=system and exact,
                    exact=exact, agents=agents)
    links = Links(standing, requester, broker, book, store, line, agents)
    door: listener.Listener | None = None
    try:
        links.start_new()
        await links.first_try(FIRST_TRY, stop)
        door = listener.Listener(sock, broker.serve, Hasher(), Workers(HASHERS, "hasher"), system=system, exact=exact,
                                 front=front.installed(), agents=agents)
        ready = {"v": 1, "event": "ready", "socket": str(path), "relay": links.state()}
        print(msgspec.json.encode(ready).decode(), flush=True)  # noqa: T201  the ready line is the daemon's one output
        housekeeping = loop.create_task(links.keep_house())
        await stop.wait()
        housekeeping.cancel()
    finally:
        if door is not None:
            door.close()
            broker.close()
            await asyncio.sleep(0)  # cancelled calls withdraw their requests
            await asyncio.sleep(0)
        else:
            sock.close()
        book.end_all()
        requester.report_uses(book)
        await requester.settle(GOODBYE)
        links.stop()
        path.unlink(missing_ok=True)
        os.close(lock)


class Links:
    """The lines of all identities, and what comes in through them, brought to the event loop."""

    def __init__(self, standing: Standing, requester: Requester, broker: Broker, book: LeaseBook, store: TrustStore,
                 line: Line, agents: Agents) -> None:
        self._loop = asyncio.get_running_loop()
        self._standing, self._requester, self._broker, self._book = standing, requester, broker, book
        self._store, self._line, self._agents = store, line, agents
        standing.on_new = self.start_new

    def start_new(self) -> None:
        """A line for each identity that has none yet."""
        for subject in self._standing.identities.subjects():
            if subject not in self._requester.links:
                link = Link(subject, self._standing.identities, self._store, self._line, on_trust=self._in_loop(self._trust),
                            on_up=self._in_loop(self._up), on_events=self._in_loop(self._events),
                            on_refused=self._in_loop(self._refused), on_down=self._in_loop(self._down))
                self._requester.links[subject] = link
                link.start()

    async def first_try(self, seconds: float, stop: asyncio.Event) -> None:
        """Until every line was tried once, or so long, or until the daemon is to end."""
        end = self._loop.time() + seconds
        links = self._requester.links
        while not (stop.is_set() or self._loop.time() >= end or all(link.tried.is_set() for link in links.values())):
            await asyncio.sleep(0.02)

    def state(self) -> str:
        """`up` when every line stands."""
        return "up" if all(link.up for link in self._requester.links.values()) else "down"

    def stop(self) -> None:
        """Listens no more."""
        for link in self._requester.links.values():
            link.stop()

    async def keep_house(self) -> None:
        """Use reports, certificates that run out, identities that joined, programs that were renewed."""
        while True:
            await asyncio.sleep(REPORT)
            try:
                self._agents.look()
                self._standing.rescan()
                self._standing.look_again()
                self._requester.report_uses(self._book)
            except Exception:
                log.exception("a round of the house failed; the next one follows")

    def _in_loop(self, function: Callable[P, None]) -> Callable[P, None]:
        def later(*args: P.args, **named: P.kwargs) -> None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(partial(function, *args, **named))

        return later

    def _trust(self, trust: Trust) -> None:
        if self._standing.take(trust):
            ended = self._book.end_by_roster(self._standing.roster, self._standing.clients, int(time.time()))
            log.info("roster %d.%d; %d leases ended by it", *trust.pair, ended)

    def _up(self, subject: str) -> None:
        log.info("%s is signed in at the relay", subject)
        self._requester.look_at_all(subject)
        self._requester.check_leases(subject, self._book)
        self._requester.report_uses(self._book)

    def _down(self, error: StillvaultError) -> None:
        if self._standing.trust is None:
            self._standing.missing = error  # callers are told why there is no roster

    def _refused(self, subject: str) -> None:
        ended = self._book.end(lambda lease: lease.client.subject == subject, "the relay lets this client in no more")
        log.warning("the relay does not let %s sign in any more; %d leases ended", subject, ended)

    def _events(self, subject: str, events: Events) -> None:
        self._broker.heard(subject, events)

