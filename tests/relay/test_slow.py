"""Deadlines on headers, bodies and silence, and a cap on connections. R10, R11. Figures are made small by the settings."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.relay.parties import Organisation
from tests.relay.process import PATIENCE, RelayProcess


@pytest.fixture
def strict(directory: Path) -> Iterator[RelayProcess]:
    limits = {"header_seconds": "1", "body_seconds": "1", "idle_seconds": "5", "connections_per_peer": "20"}
    process = RelayProcess(directory / "data", **{f"limits.{name}": value for name, value in limits.items()}).start()
    yield process
    assert process.stop() == 0


def opened(relay: RelayProcess) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", relay.port), timeout=PATIENCE)
    return relay.context().wrap_socket(plain, server_hostname="localhost")


def ended(connection: ssl.SSLSocket) -> bool:
    """The relay closes within the test's patience."""
    try:
        while connection.recv(4096):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    connection.close()
    return True


POST = b"POST /v1/login/nonce HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /liv",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        POST + b"Content-Length: 10\r\n\r\n{",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /li",
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-A: b\r\n",
    ],
    ids=[
        "nothing",
        "half a line",
        "half a header",
        "half a body",
        "half a chunk",
        "then silence",
        "then half a line",
        "trailers",
    ],
)
def test_who_says_half_is_dropped(strict: RelayProcess, sent: bytes) -> None:  # R10
    connection = opened(strict)
    connection.sendall(sent)
    assert ended(connection)
    assert strict.call("GET", "/livez").status == 200


def test_drops_of_bytes_do_not_hold_a_place(strict: RelayProcess) -> None:
    connection = opened(strict)
    connection.sendall(b"GET /livez HTTP/1.1\r\nX-A: ")
    connection.settimeout(0.05)
    alive = True
    while alive:  # each byte comes in time, all of them together do not
        try:
            connection.sendall(b"a")
            alive = connection.recv(1) != b""
        except TimeoutError:
            continue
        except (ConnectionError, ssl.SSLError):
            alive = False
    connection.close()


def test_a_flood_of_silent_connections_leaves_room(strict: RelayProcess) -> None:  # R11
    crowd = [opened(strict) for _ in range(60)]
    assert strict.call("GET", "/livez").status == 200
    for one in crowd:
        one.close()
    assert strict.call("GET", "/livez").status == 200


def test_who_is_refused_before_the_end_of_the_body_gives_way(strict: RelayProcess) -> None:  # R11
    """The rest of a body that nobody wants makes no work: such connections shut nobody out, and do not stay."""
    crowd = [opened(strict) for _ in range(20)]
    for one in crowd:
        one.sendall(POST.replace(b"Host: localhost", b"Host: localhost:%d" % strict.port) + b"Origin: https://evil.example\r\n"
                    b"Content-Length: 2\r\n\r\n{")  # fmt: skip
        assert b" 403 " in one.recv(4096)
        one.sendall(b"}")
    assert strict.call("GET", "/livez").status == 200
    assert all(ended(one) for one in crowd)


def test_headers_ahead_of_an_answer_have_no_more_room_than_others(org: Organisation) -> None:  # R12
    connection = opened(org.relay)
    head = f"Host: localhost:{org.relay.port}\r\nAuthorization: Bearer {org.admin.session}\r\n"
    connection.sendall(f"GET /v1/stream HTTP/1.1\r\n{head}\r\n".encode())
    assert b" 200 " in connection.recv(4096)
    try:
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        for _ in range(64):
            connection.sendall(b"X-A: " + b"a" * 4096 + b"\r\n")
    except (ConnectionError, ssl.SSLError):
        pass
    assert ended(connection)


def test_headers_behind_a_body_are_no_headers(relay: RelayProcess) -> None:  # N4, N6
    """A trailer would stand behind what a proxy said of the caller, and there is no end to how many come."""
    connection = opened(relay)
    host = b"Host: localhost:%d" % relay.port
    connection.sendall(
        POST.replace(b"Host: localhost", host) + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-A: b\r\n\r\n"
    )
    assert b"nonce" not in taken(connection)


def taken(connection: ssl.SSLSocket) -> bytes:
    got = b""
    try:
        while block := connection.recv(4096):
            got += block
    except (ConnectionError, ssl.SSLError):
        pass
    connection.close()
    return got
