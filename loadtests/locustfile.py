"""The users of Locust: hosts, the people who approve for them, people with the console open.

`python -m loadtests` starts this once a process, with a job (job.py). Signing, sealing and opening are the product's own core:
a request, a decision and a receipt that were not made with it do not pass the relay. A value that comes back is compared.

A host does what its daemon does: request, long poll, outcome, open, receipt. An approver holds the stream, fetches what waits
when it says so, verifies, seals to the host, decides. Locust drives them and counts their calls; times under load come from the
open loop alone.
"""

from __future__ import annotations

import os
import ssl
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gevent.event import Event
from gevent.queue import Queue
from locust import FastHttpUser, events, task
from locust.env import Environment

from loadtests.job import VARIABLE, Done, Place, put
from loadtests.laboratory import VALUE, Laboratory, revived
from loadtests.openloop import OpenLoop
from stillvault.crypto.private import check_prompt, open_releases, release
from stillvault.crypto.public import b64decode, b64encode, encode, oid_of
from stillvault.protocol import messages
from tests.relay.parties import Client, Device, now, wire

POLL = 25  # seconds of a long poll
RENEW = 600  # seconds after which a session is made anew: it lives for 900
LOOK = 5.0  # seconds between two looks of somebody with the console open


class Gone(Exception):
    """The relay's answer is not what it must be."""


class Share:
    """What the users of this process have in common."""

    def __init__(self, place: Place) -> None:
        self.place, self.job = place, place.read()
        self.lab: Laboratory = revived(self.job.given)
        self.people: Queue[Device] = Queue(items=list(self.lab.devices.values()))
        self.watchers: Queue[Device] = Queue(items=[list(self.lab.devices.values())[number % len(self.lab.devices)]
                                                    for number in range(self.job.given.consoles)])
        paths = {one.subject: one.path for one in self.job.given.hosts}
        self.hosts: Queue[tuple[Client, str]] = Queue(items=[(client, paths[name]) for name, client in self.lab.clients.items()])
        self.go, self.began = Event(), 0.0
        self.standing = 0
        self.finished: Counter[int] = Counter()
        self.failed: list[str] = []
        self.loop: OpenLoop | None = None

    def wait(self) -> None:
        """A user stands; it goes on when all do, everywhere."""
        self.standing += 1
        self.go.wait()

    @property
    def under_way(self) -> bool:
        """Whether the open loop has not seen the end of all that it began."""
        return self.loop is None or not self.loop.ended

    def note(self) -> None:
        """One more release ended with its value."""
        self.finished[int(time.monotonic() - self.began)] += 1


SHARE = Share(Place(Path(os.environ[VARIABLE])))


class Party(FastHttpUser):
    """Anybody who calls the relay, over verified TLS, in a session of their own."""

    abstract = True
    host = SHARE.lab.relay.url
    network_timeout = POLL + 10.0
    insecure = False

    @staticmethod
    def ssl_context_factory() -> ssl.SSLContext:
        return SHARE.lab.relay.context()

    def call(self, who: Client | Device, method: str, path: str, body: object = None, name: str = "") -> bytes:
        """One call; raises `Gone` when it is refused."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Authorization": f"Bearer {bearer(who)}", **({"Content-Type": "application/json"} if content else {})}
        with self.client.request(method, path, data=content, headers=headers, name=name or path, catch_response=True) as answer:
            if not 200 <= answer.status_code < 300:
                reason = f"{method} {name or path}: {answer.status_code} {(answer.content or b'')[:200]!r}"
                answer.failure(reason)
                raise Gone(reason)
            return bytes(answer.content)


_signed_in: dict[int, float] = {}


def bearer(who: Client | Device) -> str:
    """The session's token, made anew before it ends."""
    if time.monotonic() - _signed_in.get(id(who), 0) > RENEW:
        who.token = ""
        _signed_in[id(who)] = time.monotonic()
    return who.session


class Asking(Party):
    """Whoever carries out releases for hosts."""

    abstract = True

    def carry_out(self, client: Client, path: str) -> None:
        """One release, from the signature to the receipt."""
        lab = SHARE.lab
        signed, ephemeral = client.request(path, exe="/usr/bin/load")
        oid = b64encode(oid_of(signed))
        cursor = self._cursor(client)
        self.call(client, "POST", "/v1/requests", {"requests": wire(signed)})
        while True:
            query = f"/v1/events?after={cursor}&wait={POLL}"
            heard = msgspec.json.decode(self.call(client, "GET", query, name="/v1/events"), type=messages.Events)
            cursor = heard.cursor
            states = [one.state for one in heard.events if one.kind == "state" and one.request == oid]
            if states and states[-1] != "pending":
                break
        self._cursors[client.subject] = cursor
        found = msgspec.json.decode(self.call(client, "GET", f"/v1/requests/{oid}", name="/v1/requests/OID"),
                                    type=messages.RequestState)
        if found.state != "approved" or not isinstance(found.secret, msgspec.Raw):
            raise Gone(f"the request came to {found.state}")
        secret, entries = bytes(found.secret), [bytes(one) for one in found.releases]
        opened = open_releases(lab.trust(), signed, ephemeral, secret, b64decode(found.ciphertext), entries, None, now())
        if opened.value.reveal() != VALUE:
            raise Gone("another value came back")
        receipt = {"org": lab.pin, "request": oid, "secret": b64encode(oid_of(secret)), "result": "delivered", "issued": now()}
        self.call(client, "POST", "/v1/receipts", {"objects": wire(client.key.sign("receipt", encode(receipt)))})
        SHARE.note()

    _cursors: dict[str, int] = {}  # noqa: RUF012  where each client's feed stands: one for all users of the process

    def _cursor(self, client: Client) -> int:
        if client.subject not in self._cursors:
            quiet = msgspec.json.decode(self.call(client, "GET", "/v1/events?after=0&wait=0", name="/v1/events"),
                                        type=messages.Events)
            self._cursors[client.subject] = quiet.cursor
        return self._cursors[client.subject]


class Host(Asking):
    """The closed loop: one release after another."""

    def on_start(self) -> None:
        self.mine = SHARE.hosts.get()
        self._cursor(self.mine[0])
        SHARE.wait()

    @task
    def ask(self) -> None:
        try:
            self.carry_out(*self.mine)
        except Exception as error:  # noqa: BLE001  each is counted and shown, whatever it was
            SHARE.failed.append(f"{type(error).__name__}: {error}")


class Arrivals(Asking):
    """The open loop: one user that begins a release at each start of the plan, on whichever host is free."""

    concurrency = 512

    def on_start(self) -> None:
        for client in SHARE.lab.clients.values():
            self._cursor(client)
        SHARE.wait()

    @task
    def arrive(self) -> None:
        if SHARE.loop is None and SHARE.job.plan is not None:
            SHARE.loop = OpenLoop(self.one)
            SHARE.loop.run(SHARE.job.plan, SHARE.began + SHARE.job.warm, SHARE.job.drain)
        gevent.sleep(3600)

    def one(self) -> None:
        client, path = SHARE.hosts.get()  # waits while all have one under way: that time counts
        try:
            self.carry_out(client, path)
        finally:
            SHARE.hosts.put((client, path))


class Watching(Party):
    """Somebody with the stream open."""

    abstract = True

    def listen(self, device: Device, heard: Callable[[bytes], None]) -> None:
        """Holds the stream for as long as it lives. `heard` gets each block without its end."""
        headers = {"Authorization": f"Bearer {bearer(device)}"}
        answer = self.client.get("/v1/stream", headers=headers, stream=True, name="/v1/stream")
        if answer.status_code != 200:
            raise Gone(f"/v1/stream: {answer.status_code}")
        heard(b"")
        while block := answer.stream.readline(b"\n\n"):
            heard(block)


class Approver(Watching):
    """Says yes to everything, at once."""

    def on_start(self) -> None:
        self.device = SHARE.people.get()
        self.bell, self.decided = Event(), set[str]()
        self.line = gevent.spawn(self.listen, self.device, self.hear)
        self.bell.wait()
        SHARE.wait()

    def hear(self, block: bytes) -> None:
        if not block or b"event: prompt" in block:
            self.bell.set()

    @task
    def decide(self) -> None:
        if self.line.dead:
            self.line = gevent.spawn(self.listen, self.device, self.hear)
        if not self.bell.wait(timeout=POLL):
            return
        self.bell.clear()
        waiting = msgspec.json.decode(self.call(self.device, "GET", "/v1/prompts"), type=messages.Prompts)
        for prompt in waiting.prompts:
            request = bytes(prompt.request)
            oid = b64encode(oid_of(request))
            if oid not in self.decided:
                self.decided.add(oid)
                try:
                    self.approve(bytes(prompt.cert), request, bytes(prompt.secret))
                except Exception as error:  # noqa: BLE001  likewise
                    SHARE.failed.append(f"{type(error).__name__}: {error}")

    def approve(self, cert: bytes, request: bytes, secret: bytes) -> None:
        trust, device = SHARE.lab.trust(), self.device
        prompt = check_prompt(trust, (device.person, device.id), cert, request, secret, False, None, now())
        decision = SHARE.lab.decision(device, "approve", (request, secret))
        sealed = release(trust, [prompt], decision, device.kem, now())
        self.call(device, "POST", "/v1/decisions", {"release": wire(sealed)[0]})


class Console(Watching):
    """Somebody who has the web console open and goes from screen to screen."""

    SCREENS = ("/v1/prompts", "/v1/requests?state=pending", "/v1/audit?after=0&limit=100", "/v1/leases", "/v1/secrets?limit=100",
               "/v1/log/checkpoint")

    def on_start(self) -> None:
        self.device = SHARE.watchers.get()
        self.line = gevent.spawn(self.listen, self.device, lambda _block: None)
        SHARE.wait()

    @task
    def look(self) -> None:
        for screen in self.SCREENS:
            self.call(self.device, "GET", screen, name=screen.partition("?")[0])
            gevent.sleep(LOOK)


for kind, count in ((Host, len(SHARE.job.given.hosts)), (Arrivals, 1), (Approver, len(SHARE.job.given.approvers)),
                    (Console, SHARE.job.given.consoles)):
    kind.fixed_count = count


@events.test_start.add_listener
def start(environment: Environment, **_: Any) -> None:
    gevent.spawn(lead, environment)


def lead(environment: Environment) -> None:
    """Ready, go, done."""
    share, job = SHARE, SHARE.job
    runner = environment.runner
    assert runner is not None
    while share.standing < runner.target_user_count or not runner.target_user_count:
        gevent.sleep(0.05)
    put(share.place.ready, share.standing)
    while not share.place.go.exists():
        gevent.sleep(0.02)
    share.began = msgspec.json.decode(share.place.go.read_bytes(), type=float)
    gevent.sleep(max(share.began - time.monotonic(), 0))
    share.go.set()
    gevent.sleep(job.warm)
    before = time.process_time()
    gevent.sleep(job.seconds)
    spent = time.process_time() - before
    if job.plan is not None:
        until = time.monotonic() + job.drain + 1
        while time.monotonic() < until and share.under_way:
            gevent.sleep(0.05)
    put(share.place.done, outcome(share, spent))
    environment.process_exit_code = 0  # what failed is in the result, and judged there
    runner.quit()


def outcome(share: Share, spent: float) -> Done:
    reasons = [*share.failed, *(share.loop.failed if share.loop else [])]
    done = Done(failures=len(reasons), reasons=reasons[:20], finished=dict(share.finished), processor=spent)
    if (loop := share.loop) is not None:
        done.offered, done.completed, done.times, done.lag = loop.offered, loop.completed, loop.times.pairs(), loop.lag.pairs()
    return done
