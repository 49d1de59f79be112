"""A world whose relay has been taken over: a proxy with the relay's own certificate stands at the relay's public URL.

`Town` is the world of tests/world.py with that proxy in front. `Stage` fills it with alice (all roles), bob and cleo
(approvers) and host/db-1, and drives all of them inside this process through the product's own Python, so that a run takes
a tenth of a second: people by `Account`, the joiner by `Join`, the host by a daemon whose socket, listener, broker and line
to the relay are the product's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from stillvault.admin import enrolment, organisation, publish, sealing
from stillvault.admin import roster as rosters
from stillvault.admin.joining import Join
from stillvault.approver import decide, prompts
from stillvault.approver.account import Account
from stillvault.approver.budget import Limits, Settings
from stillvault.approver.device import Card
from stillvault.client import listener, socketfile
from stillvault.client.agentfile import FILE
from stillvault.client.agents import Agents
from stillvault.client.broker import Broker
from stillvault.client.daemon import Links
from stillvault.client.executable import Hasher
from stillvault.client.identities import Identities
from stillvault.client.leasebook import LeaseBook
from stillvault.client.link import Line
from stillvault.client.peer import has_peer_pidfd
from stillvault.client.requester import Requester
from stillvault.client.standing import Standing
from stillvault.client.versions import VersionMemory
from stillvault.client.workers import Workers
from stillvault.crypto.private import KemKey, Value
from stillvault.protocol.errors import StillvaultError
from stillvault.transport.home import Home
from stillvault.transport.session import forget_session
from stillvault.transport.trust import TrustStore
from tests.client.caller import Call
from tests.hostile.proxy import Proxy, Script
from tests.world import World, free_port

T = TypeVar("T")
SUBJECT = "host/db-1"
WORKERS = 4


class Town(World):
    """A relay that listens behind a proxy. `script` says what the proxy does."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.front = self.port
        self.port = free_port()  # where the relay itself listens; `url` names the proxy
        self.script = Script()
        self.proxy: Proxy | None = None

    def start(self) -> None:
        super().start()
        if self.proxy is None:
            tls = self.data / "tls"
            self.proxy = Proxy(tls / "relay.pem", tls / "relay.key", self.port, tls / "ca.pem", self.front, self.script)

    def stop_relay(self, how: int = signal.SIGTERM) -> int:
        ended = super().stop_relay(how)
        if self.proxy is not None:
            self.proxy.cut()  # as a line to the relay itself would be
        return ended

    def stop(self) -> None:
        if self.proxy is not None:
            self.proxy.close()
        super().stop()


def clock() -> int:
    return int(time.time())


class InProcess:
    """The daemon of one home as `stillvault daemon` builds it, on a loop in a thread of this process."""

    def __init__(self, home: Path, socket: Path) -> None:
        self.home = Home(home)
        self._socket = socket
        self._line = Line(self.home.organisation().relay, self.home.ca())
        self._workers = Workers(WORKERS, "worker")
        self._hasher = Hasher()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="daemon", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def running(self) -> Iterator[Requester]:
        """A daemon that has just started, until the block ends. What it raised is in `requester.all()`."""
        requester, end = self._do(self._start())
        try:
            yield requester
        finally:
            self._do(end())

    def call(self) -> Call:
        """A caller at the socket: this very process."""
        caller = Call(str(self._socket))
        caller.hello()
        return caller

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _start(self) -> tuple[Requester, Callable[[], Any]]:
        store = TrustStore(self.home)
        identities = Identities(self.home, store.pin)
        identities.load()
        standing = Standing(identities)
        with contextlib.suppress(StillvaultError):
            standing.take(store.current(clock()))
        sock, lock = socketfile.open_socket(self._socket, system=False)
        book = LeaseBook()
        requester = Requester(standing, store, VersionMemory(self.home), self._workers)
        book.on_end = partial(requester.report_uses, book)
        agents = Agents(self.home.path / FILE, required=False)
        broker = Broker(standing, requester, book, host="db-1", system=False, agents=agents)
        links = Links(standing, requester, broker, book, store, self._line, agents)
        links.start_new()
        await links.first_try(5.0, asyncio.Event())
        door = listener.Listener(sock, broker.serve, self._hasher, self._workers, system=False, exact=has_peer_pidfd(),
                                 front=lambda: None)

        async def end() -> None:
            door.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            book.end_all()
            links.stop()
            await requester.settle(1.0)
            self._socket.unlink(missing_ok=True)
            os.close(lock)

        return requester, end


class Stage:
    """Everybody. `script.reset()` before each run; `fresh()` puts every home back to how it was at `settled()`."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.script = town.script
        self.attacker = KemKey.generate()
        self.found("alice")
        for name in ("bob", "cleo"):
            self.join("person", name, ["approver"])
        self.join("client", SUBJECT, [])
        self.daemon = InProcess(self.path(SUBJECT), town.root / "daemon" / "s")
        (town.root / "daemon").mkdir(mode=0o700)
        self.secrets: dict[str, bytes] = {}  # the newest seal of a path, as it truly is
        self.asked: dict[str, tuple[str, bytes]] = {}  # every request that the daemon signed: path and wrapper, by oid
        self.resealing: set[str] = set()  # every request that alice's own command signed
        self._kept: dict[Path, bytes] = {}
        self.settled()

    def close(self) -> None:
        self.script.reset()
        self.daemon.close()

    # ---- homes -------------------------------------------------------------------------------------------------------------

    def path(self, name: str) -> Path:
        return self.town.root / "homes" / name.replace("/", "_")

    @contextlib.contextmanager
    def account(self, name: str) -> Iterator[Account]:
        """A person's home at work."""
        account = Account(Home(self.path(name)), lambda use: b"", clock)
        try:
            yield account
        finally:
            account.close()

    def settled(self) -> None:
        """From now on `fresh` means this."""
        self.look()
        for home in (self.town.root / "homes").iterdir():
            forget_session(Home(home))
        self._kept = {one: one.read_bytes() for one in (self.town.root / "homes").rglob("*") if one.is_file()}

    def look(self) -> None:
        """The truth: what the relay has now, without tampering."""
        with self.account("alice") as alice:
            forget_session(alice.home)
            self.trust = alice.trust(fresh=True)

    def fresh(self) -> None:
        """Every home as it was: nothing that a run was told stays."""
        for one in (self.town.root / "homes").rglob("*"):
            if one.is_file() and one not in self._kept:
                one.unlink()
        for one, content in self._kept.items():
            if not one.exists() or one.read_bytes() != content:
                one.write_bytes(content)
                one.chmod(0o600)

    # ---- what people do ------------------------------------------------------------------------------------------------------

    def found(self, name: str) -> None:
        home = Home(self.path(name))
        token = self.town.relay_command("setup-url").partition("#")[2]
        organisation.create(home, name="Example", url=self.town.url, fingerprint=self.town.relay_command("fingerprint"),
                            setup_token=token, person=name, recovery=False, passphrase=None, now=clock())
        self.without_limits(home)

    def without_limits(self, home: Home) -> None:
        """The device's own limits are not what the sweep is about."""
        many = 10**6
        home.write("settings.json", Settings(limits=Limits(shown_at_once=many, shown_per_hour=many)))

    def invite(self, kind: str, name: str, roles: Sequence[str]) -> str:
        with self.account("alice") as alice:
            client = kind == "client"
            return str(enrolment.invite(alice, kind=kind, subject=name, roles=list(roles), scopes=["prod/**"] if client else [],
                                        host="db-1" if client else "", grade="system" if client else "")["url"])

    def join(self, kind: str, name: str, roles: Sequence[str]) -> None:
        home = Home(self.path(name))
        joining = Join(home, self.invite(kind, name, roles), passphrase=lambda: None, label="laptop", now=clock())
        words = joining.begin()
        finish = Background(joining.finish)
        with self.account("alice") as alice:
            enrolment.confirm(alice, name, words)
        finish.result(60)
        if kind == "person":
            self.without_limits(home)

    def publish(self, edit: rosters.Edit) -> None:
        with self.account("alice") as alice:
            self.trust = publish.publish(alice, edit)

    def policy(self, name: str, people: Sequence[str], threshold: int = 1, ttl: int = 300) -> None:
        self.publish(rosters.with_policy(rosters.Rule(id=name, match=[f"prod/{name}/**"], people=people, threshold=threshold,
                                                      ttl=ttl), None))

    def seal(self, path: str, value: bytes, by: str = "alice") -> dict[str, Any]:
        with self.account(by) as sealer:
            return sealing.seal_value(sealer, path, Value.from_bytes(value))

    def approve(self, name: str) -> tuple[list[Card], list[prompts.RefusedPrompt]]:
        """Approves every card that a person is offered; returns the cards, and what could not be shown."""
        with self.account(name) as account:
            found = prompts.waiting(account)
            for card in found.cards:
                decide.approve(account, card)
            return found.cards, found.refused


class Background:
    """A function in a thread, with its result or its error."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # noqa: BLE001  handed to whoever waits
            self._error = error

    @property
    def failed(self) -> bool:
        return self._error is not None

    def done(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self, seconds: float) -> Any:
        assert self.done(seconds), "it does not end"
        if self._error is not None:
            raise self._error
        return self._value
