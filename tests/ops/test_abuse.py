"""A relay under attack from strangers: a flood of connections, slow ones, malformed requests, bodies without end. R10, R11, R12.

`make abuse` runs the malformed requests in their full number; here a seeded part. Nothing is timed: what is asked is whether
honest callers are served, what the relay keeps in memory, and what it writes to its log.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stillvault.relay.arrivals import Arrivals
from stillvault.relay.problems import ProblemError
from stillvault.relay.room import SMALL_BODY, Room
from stillvault.relay.seats import Seat, Seats
from tests.ops import malformed
from tests.relay.listeners import until
from tests.relay.process import PATIENCE, RelayProcess

COUNT = int(os.environ.get("MALFORMED", "600"))
MIB = 1_048_576


def resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def logged(relay: RelayProcess) -> int:
    return sum(len(line) for line in relay.stderr)


@pytest.fixture
def narrow(directory: Path) -> Iterator[RelayProcess]:
    """A relay with the standard settings, where the system allows 1,024 descriptors."""
    raised = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, raised[1]), raised[1]))
    relay = RelayProcess(directory / "data", profile="standard")
    relay.before = ("prlimit", "--nofile=1024:1024")
    relay.start()
    try:
        yield relay
        assert relay.stop() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, raised)


class Crowd:
    """Connections that were opened to stay. Which of them the relay has ended does not matter."""

    def __init__(self, relay: RelayProcess) -> None:
        self.relay, self.open, self.context = relay, list[socket.socket](), relay.context()

    def join(self, address: str, *, tls: bool, sent: bytes = b"") -> None:
        plain = socket.create_connection(("127.0.0.1", self.relay.port), timeout=PATIENCE, source_address=(address, 0))
        self.open.append(plain)
        if tls:
            with contextlib.suppress(OSError):
                wrapped = self.context.wrap_socket(plain, server_hostname="localhost")
                self.open[-1] = wrapped
                wrapped.sendall(sent)

    def answer(self) -> bytes:
        """The first that comes to any of them."""
        for one in itertools.cycle(self.open):
            one.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                return one.recv(65_536)
        raise AssertionError("nobody is here")

    def leave(self) -> None:
        for one in self.open:
            one.close()


POST = b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
SLOW = [b"GET /livez HTT", POST + b"99\r\n\r\n{"]


@pytest.mark.parametrize("addresses", [40, 1], ids=["from 40 addresses", "from the honest caller's own"])
def test_two_thousand_idle_and_two_hundred_slow_connections(narrow: RelayProcess, addresses: int) -> None:  # R10, R11
    before = resident(narrow.pid)
    crowd = Crowd(narrow)
    names = [f"127.0.1.{number + 1}" for number in range(addresses)] if addresses > 1 else ["127.0.0.1"]
    try:
        for number in range(2000):  # half of them never shake hands: no limit of HTTP would ever see those
            crowd.join(names[number % addresses], tls=number % 4 == 0)
        for number in range(200):
            crowd.join(names[number % addresses], tls=True, sent=SLOW[number % 2])
        for _ in range(20):
            connection = narrow.connection()  # a new one each time: that is what a flood takes from honest callers
            connection.request("GET", "/readyz")
            assert connection.getresponse().status == 200
            connection.close()
        assert narrow.call("POST", "/v1/login/nonce", {}).status == 201
        assert resident(narrow.pid) - before < 150 * MIB
    finally:
        crowd.leave()
    assert narrow.call("GET", "/livez").status == 200
    assert logged(narrow) < 64_000, b"".join(narrow.stderr)[-2000:]


@pytest.fixture
def started(directory: Path) -> Iterator[Callable[..., RelayProcess]]:
    """Starts a relay; it must be alive at the end."""
    running: list[RelayProcess] = []

    def start(**settings: str) -> RelayProcess:
        running.append(RelayProcess(directory / "data", **settings).start())
        return running[-1]

    yield start
    assert [relay.stop() for relay in running] == [0] * len(running)


def test_malformed_requests(started: Callable[..., RelayProcess]) -> None:  # R12
    relay = started(**{"limits.header_seconds": "1", "limits.body_seconds": "1", "limits.idle_seconds": "5"})
    context = relay.context()
    asyncio.run(malformed.send_all(relay.port, context, list(malformed.requests(400, 0, f"localhost:{relay.port}"))))
    before = resident(relay.pid)
    seen: dict[int, int] = {}
    sent = [one for seed in (1, 2, 3) for one in malformed.requests(COUNT // 3, seed, f"localhost:{relay.port}")]
    for one, answer in asyncio.run(malformed.send_all(relay.port, context, sent)):
        for status in malformed.statuses(answer):
            seen[status] = seen.get(status, 0) + 1
            assert status < 500, (one[:2000], answer[:2000])
        assert b"Traceback" not in answer
    assert relay.call("GET", "/livez").status == 200
    assert resident(relay.pid) - before < 50 * MIB
    assert logged(relay) < 64_000, b"".join(relay.stderr)[-2000:]
    print(f"{COUNT} malformed requests: {dict(sorted(seen.items()))}")
    assert {200, 400, 404, 405, 415, 431} <= seen.keys(), "the requests reach the rules"


def test_requests_sent_ahead_without_taking_answers(started: Callable[..., RelayProcess]) -> None:
    relay = started()
    plain = socket.create_connection(("127.0.0.1", relay.port), timeout=PATIENCE)
    with relay.context().wrap_socket(plain, server_hostname="localhost") as connection:
        request = f"GET /readyz HTTP/1.1\r\nHost: localhost:{relay.port}\r\n\r\n".encode()
        connection.sendall(request * 400)
        got = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while block := connection.recv(65_536):
                got += block
    assert len(malformed.statuses(got)) < 400
    assert relay.call("GET", "/livez").status == 200


LARGE = b'{"login":"' + b"x" * 900_000 + b'"}'


def test_large_bodies_share_a_room(started: Callable[..., RelayProcess]) -> None:
    """Whoever has no room is told so, and everybody else goes on."""
    relay = started(**{"limits.bodies_bytes": str(2 * MIB), "limits.body_bytes": str(MIB)})
    head = POST + b"1000000\r\n\r\n"
    crowd = Crowd(relay)
    try:
        for number in range(3):
            crowd.join(f"127.0.2.{number + 1}", tls=True, sent=head + LARGE[:-2])
        assert b" 429 " in crowd.answer()  # two of them fit; those stay, for their bodies do not end
        refused = relay.call("POST", "/v1/login", raw=LARGE)
        assert (refused.status, refused.code) == (429, "rate-limited")
        assert refused.json["field"] == "limits.bodies_bytes"
        assert relay.call("POST", "/v1/login", raw=LARGE[:9000] + b'"}').code == "no-organisation", "a small one is read"
    finally:
        crowd.leave()


# ---- who gives way ---------------------------------------------------------------------------------------------------------


class Table:
    """Seats, and who had to leave."""

    def __init__(self, most: int, each: int) -> None:
        self.seats, self.dropped = Seats(most, each), list[str]()

    def sit(self, name: str, *, bounded: bool = True) -> Seat | None:
        seat = Seat(name.partition("-")[0], lambda: self.dropped.append(name), bounded=bounded)
        return seat if self.seats.enter(seat) else None


def test_a_peer_at_its_bound_loses_its_own_that_is_quiet_for_longest() -> None:
    table = Table(10, 3)
    a, b, c = (table.sit(f"evil-{name}") for name in "abc")
    assert a and b and c
    table.seats.busy(a)
    table.seats.busy(b)
    table.seats.quiet(b)  # after c
    assert table.sit("evil-d")
    assert table.sit("evil-e")
    assert table.dropped == ["evil-c", "evil-b"]
    assert table.sit("good-a")
    assert len(table.seats) == 4


def test_when_all_is_taken_those_who_hold_most_give_way() -> None:
    table = Table(8, 8)
    quiet_one = table.sit("good-a")
    assert quiet_one
    for name in "abcdefg":
        assert table.sit(f"evil-{name}")
    assert table.sit("new-a")
    assert table.sit("new-b")
    assert table.dropped == ["evil-a", "evil-b"]


def test_where_nobody_is_quiet_the_newcomer_goes() -> None:
    table = Table(3, 2)
    for name in ("a-1", "a-2", "b-1"):
        seat = table.sit(name)
        assert seat
        table.seats.busy(seat)
    assert table.sit("a-3") is None
    assert table.sit("c-1") is None
    table.seats.leave(seat)
    table.seats.leave(seat)
    assert table.sit("c-1")
    assert not table.dropped


def test_a_proxy_is_bound_by_the_whole_alone() -> None:
    table = Table(5, 2)
    assert all(table.sit(f"proxy-{number}", bounded=False) for number in range(5))
    assert not table.dropped
    assert table.sit("other-1")
    assert table.dropped == ["proxy-0"]


def served_at(relay: RelayProcess, address: str) -> bool:
    """Whether a new connection of this address gets an answer."""
    try:
        plain = socket.create_connection(("127.0.0.1", relay.port), timeout=PATIENCE, source_address=(address, 0))
        with plain, relay.context().wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(f"GET /livez HTTP/1.1\r\nHost: localhost:{relay.port}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(4096).startswith(b"HTTP/1.1 200")
    except (ConnectionError, ssl.SSLError):
        return False


def test_who_comes_too_often_is_closed_before_the_handshake_and_others_are_served(started: Callable[..., RelayProcess]) -> None:
    relay = started(**{"limits.connections_per_minute": "2"})
    assert [served_at(relay, "127.0.0.77") for _ in range(4)] == [True, True, False, False]
    assert served_at(relay, "127.0.0.78")
    until(lambda: [line for line in relay.stderr if b"limits.connections_per_minute" in line])


def test_arrivals_come_back_evenly() -> None:
    arrivals = Arrivals(60)
    assert [arrivals.admits("a", 1000.0) for _ in range(61)] == [True] * 60 + [False]
    assert arrivals.admits("b", 1000.0)
    assert not arrivals.admits("a", 1000.9)
    assert [arrivals.admits("a", 1003.5) for _ in range(4)] == [True] * 3 + [False]
    assert [arrivals.admits("a", 9000.0) for _ in range(61)] == [True] * 60 + [False], "and never more than a minute's worth"
    for number in range(30_000):
        assert arrivals.admits(f"crowd-{number}", 9001.0)
    assert len(arrivals._peers) <= 10_000


def test_room_for_bodies() -> None:
    room = Room(8_000_000, 1_000_000)
    room.take("a", 2_000_000)
    with pytest.raises(ProblemError):
        room.take("a", 1)
    for peer in "bcd":
        room.take(peer, 2_000_000)
    with pytest.raises(ProblemError):
        room.take("e", 1)
    room.give_back("a", 2_000_000)
    room.take("e", 1)
    assert SMALL_BODY < 1_000_000
