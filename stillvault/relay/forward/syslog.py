"""Syslog (RFC 5424) over TLS with octet counting (RFC 5425): one connection a batch, and its orderly end is the receipt.

Syslog has no acknowledgement: bytes that the kernel took may lie in a buffer when the receiver dies. So a batch is sent, TLS is
closed, and only a receiver that closes in answer has it: by then it has read to the end. One that resets the connection, or that
says nothing within the deadline, gets the same rows again.

A message is ASCII (no BOM, as RFC 5424 section 6.4 has it for such), facility 13 (log audit), its MSGID the row's kind.
"""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Sequence

from stillvault.protocol.rows import Row
from stillvault.protocol.siem import ACTIVITY, LOW, MEDIUM, NOTICE
from stillvault.relay.notify.apart import apart, connected
from stillvault.relay.notify.egress import Egress, Unsent
from stillvault.relay.notify.http import authorities
from stillvault.relay.places import allowed_host
from stillvault.relay.refusals import public_host
from stillvault.relay.settings import BadSetting, Forward

FACILITY = 13  # log audit
SEVERITY = {NOTICE: 6, LOW: 5, MEDIUM: 4}  # informational, notice, warning
MOST_END = 1024  # bytes that a receiver may say before it closes: it has nothing to say


class Syslog:
    """A receiver that speaks RFC 5425. The certificate is verified for the name in the settings."""

    name = "syslog"

    def __init__(self, settings: Forward, origin: str, version: str) -> None:
        self.address = settings.syslog
        self._seconds = settings.timeout_seconds
        self._egress = Egress(settings.egress)
        self._hostname, self._version = public_host(origin)[0], version
        self._tls = authorities("forward.ca", settings.ca)
        if settings.syslog_cert:
            try:
                self._tls.load_cert_chain(settings.syslog_cert, settings.syslog_key)
            except (OSError, ssl.SSLError) as error:
                rule = "certificate and key cannot be loaded"
                raise BadSetting("settings", "forward.syslog_cert", rule, "Check both files, in PEM.") from error

    async def send(self, rows: Sequence[Row], lines: Sequence[str]) -> None:
        """Raises `Unsent`: `egress`, `resolve`, `address`, `connect`, `timeout`, `certificate`, `tls`."""
        server = allowed_host(self.address)
        pairs = zip(rows, lines, strict=True)
        content = b"".join(frame(message(row, line, self._hostname, self._version)) for row, line in pairs)
        addresses = await self._egress.addresses(False, server.host, server.port)

        def attempt(cut: list[socket.socket]) -> Unsent | None:
            return self._attempt(cut, addresses, server.port, server.host, content)

        outcome = await apart("syslog", attempt, self._seconds)
        if outcome is not None:
            raise outcome

    def _attempt(self, cut: list[socket.socket], to: Sequence[str], port: int, host: str, content: bytes) -> Unsent | None:
        """The whole exchange, in its own thread. Returns why it failed: an exception must not cross threads with its texts."""
        try:
            raw = connected(to, port, self._seconds)
            with self._tls.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False) as connection:
                cut.append(connection)
                connection.do_handshake()
                connection.sendall(content)
                _end(connection)
        except TimeoutError:
            return Unsent("timeout", retry=True)
        except ssl.SSLCertVerificationError:
            return Unsent("certificate", retry=True)
        except ssl.SSLError:
            return Unsent("tls", retry=True)
        except OSError:
            return Unsent("connect", retry=True)
        return None


def _end(connection: ssl.SSLSocket) -> None:
    """Closes our half, and waits until the other side has closed its own. Raises OSError where it did not.

    rsyslog closes TCP without TLS' own goodbye, so that end counts too, though somebody on the way could make it. A reset does
    not: it says that something was left unread.
    """
    try:
        rest = connection.unwrap()
    except ssl.SSLEOFError:
        return
    except ssl.SSLSyscallError as error:
        raise ConnectionResetError from error
    rest.shutdown(socket.SHUT_WR)
    said = 0
    while more := rest.recv(MOST_END):
        said += len(more)
        if said > MOST_END:
            raise ConnectionResetError


def message(row: Row, line: str, hostname: str, version: str) -> bytes:
    """RFC 5424, section 6. `line` is ASCII on one line."""
    kind = str(row["kind"])
    severity = SEVERITY[ACTIVITY.get(kind, (0, "", NOTICE))[2]]
    stamp = datetime.datetime.fromtimestamp(int(row.get("time", 0)), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    origin = f'[origin software="stillvault-relay" swVersion="{version}"]'
    return f"<{FACILITY * 8 + severity}>1 {stamp} {hostname} stillvault - {kind} {origin} {line}".encode("ascii")


def frame(content: bytes) -> bytes:
    """RFC 5425, section 4.3: the length in octets, a space, the message."""
    return b"%d %b" % (len(content), content)
