"""Bytes to a relay and whatever comes back: no HTTP library in between that would mend what we break."""

from __future__ import annotations

import socket
import ssl

from tests.relay.process import PATIENCE, RelayProcess


def exchange(relay: RelayProcess, sent: bytes, *, tls: bool = True) -> bytes:
    """Sends bytes, closes our side, reads until the relay closes or is silent."""
    with socket.create_connection(("127.0.0.1", relay.port), timeout=PATIENCE) as plain:
        connection: socket.socket = plain
        if tls:
            connection = relay.context().wrap_socket(plain, server_hostname="localhost")
        got = b""
        try:
            connection.sendall(sent)
            connection.settimeout(2)
            while block := connection.recv(65536):
                got += block
                if complete(got):
                    break
        except (TimeoutError, ConnectionError, ssl.SSLError):
            pass
        finally:
            connection.close()
    return got


def complete(answer: bytes) -> bool:
    head, gap, body = answer.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return bool(gap) and len(body) >= int(value)
    return False


def status(answer: bytes) -> int:
    """The status of the first answer; 0 when the relay closed without one."""
    line = answer.partition(b"\r\n")[0].split(b" ")
    return int(line[1]) if len(line) > 1 and line[0].startswith(b"HTTP/1.") else 0
