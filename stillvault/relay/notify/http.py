"""One POST, to an address that egress.py allowed. Nothing is followed, nothing of the answer is kept but its status.

The whole of it (name, connection, TLS, answer) has one deadline, so that a listener that drips bytes holds no place longer than
one that says nothing. It runs on the loop: no thread waits for anybody.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import ssl
from collections.abc import Mapping

from stillvault.relay.notify.apart import MOST_ADDRESSES
from stillvault.relay.notify.egress import Egress, Unsent
from stillvault.relay.places import Place
from stillvault.relay.settings import BadSetting

MOST_INTERIM = 5  # answers 1xx before the one that counts
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])[ \r\n]")
LATER = (408, 425, 429)  # a client error that may pass


def authorities(setting: str, ca: str) -> ssl.SSLContext:
    """The system's authorities, or those of the operator's file alone."""
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError):
        rule = "it cannot be read as certificates in PEM"
        raise BadSetting("settings", setting, rule, "Name a PEM file that the relay may read.") from None


def signed(secret: str, now: int, body: bytes) -> dict[str, str]:
    """The headers of a webhook: signed over the time and the body, so that neither can be changed and an old message shows its
    age."""
    tag = hmac.digest(secret.encode(), f"{now}.".encode() + body, "sha256").hex()
    return {"Content-Type": "application/json", "Stillvault-Timestamp": str(now), "Stillvault-Signature": f"v1={tag}"}


async def post(egress: Egress, tls: ssl.SSLContext, seconds: float, place: Place, headers: Mapping[str, str], body: bytes) -> int:
    """Sends it and returns the status, a 2xx. Raises `Unsent`.

    The codes: `egress`, `resolve`, `address`, `connect`, `timeout`, `certificate`, `tls`, `answer` (not HTTP), `redirect`, and
    `http-NNN`.
    """
    try:
        async with asyncio.timeout(seconds):
            status = await _exchange(egress, tls, seconds, place, headers, body)
    except TimeoutError:
        raise Unsent("timeout", retry=True) from None
    except ssl.SSLCertVerificationError:
        raise Unsent("certificate") from None
    except ssl.SSLError:
        raise Unsent("tls", retry=True) from None
    except OSError:
        raise Unsent("connect", retry=True) from None
    except (ValueError, EOFError):
        raise Unsent("answer", retry=True) from None
    if 200 <= status < 300:
        return status
    if 300 <= status < 400:
        raise Unsent("redirect")  # it may lead anywhere
    raise Unsent(f"http-{status}", retry=status >= 500 or status in LATER)


async def _exchange(
    egress: Egress, tls: ssl.SSLContext, seconds: float, place: Place, headers: Mapping[str, str], body: bytes
) -> int:
    end = asyncio.get_running_loop().time() + seconds
    addresses = await egress.addresses(place.clear, place.host, place.port)
    reader, writer = await _connect(addresses[:MOST_ADDRESSES], place, tls, end)
    try:
        lines = [f"POST {place.path or '/'} HTTP/1.1", f"Host: {place.authority}", "User-Agent: stillvault", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        writer.write("\r\n".join(lines).encode("ascii") + body)
        await writer.drain()
        for _ in range(MOST_INTERIM):
            match = _STATUS.match(await reader.readline())
            if not match:
                raise ValueError("not an answer of HTTP/1")
            while (await reader.readline()).strip():
                pass  # headers: nothing in them is wanted
            if match[1][:1] != b"1":
                return int(match[1])
        raise ValueError("interim answers without an end")
    finally:
        writer.transport.abort()  # a listener that never closes does not keep us


async def _connect(
    addresses: list[str], place: Place, tls: ssl.SSLContext, end: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the first that takes one. One that swallows everything has a share of the time until `end`, as in apart.connected."""
    loop, failed = asyncio.get_running_loop(), OSError()
    for number, address in enumerate(addresses):
        try:
            async with asyncio.timeout((end - loop.time()) / (len(addresses) - number)):
                if place.clear:
                    return await asyncio.open_connection(address, place.port)
                return await asyncio.open_connection(address, place.port, ssl=tls, server_hostname=place.host)
        except OSError as error:
            failed = error
    raise failed
