"""Requests that no client sends: honest ones, changed. Seeded, so that a run can be repeated; no byte of them is valid by design,
and some stay valid by chance."""

# ruff: noqa: E501  a line a kind

from __future__ import annotations

import asyncio
import json
import random
import re
import ssl
from collections.abc import Iterator

from tests.relay.process import PATIENCE

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
AT_ONCE = 150
MORE_SECONDS = 0.5  # how long to listen for another answer after one came

TARGETS = ["/livez", "/readyz", "/v1/login/nonce", "/v1/login", "/v1/decisions", "/v1/requests", "/v1/events?wait=1", "/v1/trust", "/setup",
           "/v1/secrets/latest?path=prod/db", "/openapi.json", "/ca.pem", "/", "/assets/x.js"]  # fmt: skip
METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "PRI", "get", "G\xc9T", "M-SEARCH", ""]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "http/1.1", "HTTP/1.1 ", "", "HTTP/1.12"]
PATHS = ["//livez", "/livez/", "/%zz", "/%ff", "/%00", "/v1%2ftrust", "/../livez", "/v1/..%2flivez", "*", "http://x/livez", "/\xff", "/a\x00b",
         "/livez?wait=1&wait=1", "/livez?%ff=1", "/v1/events?wait=99999999999999999999", "/" + "a" * 40_000, "/?" + "a=1&" * 5000]  # fmt: skip
HEADERS = [
    "Host: evil", "Host: localhost", "Host:", "Content-Length: -1", "Content-Length: 18446744073709551616", "Content-Length: 2",
    "Content-Length: 1e3", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding : chunked",
    "Content-Type: text/plain", "Content-Type: application/json; charset=utf-16", "Content-Type: application/msgpack",
    "Content-Type: multipart/form-data; boundary=x", "Content-Encoding: gzip", "Expect: 100-continue", "Expect: 200-ok",
    "Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c", "HTTP2-Settings: AA", "Origin: null", "Origin: https://evil.example",
    "Authorization: Bearer " + "a" * 43, "Authorization: Bearer \xff\xfe", "Authorization: Basic " + "A" * 4000, "Authorization:",
    "Cookie: __Host-stillvault=\xfc", "Cookie: " + "a=b; " * 2000, "Last-Event-ID: -1", "Last-Event-ID: 99999999999999999999999",
    "Last-Event-ID: \xd9\xa1", "Sec-Fetch-Site: cross-site", "X-A: \x01", "X-A: a\x00b", "X-A: " + "a" * 70_000, " folded: 1", "no colon",
    ": no name", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=_x;for=unknown", "Range: bytes=0-,0-,0-", "If-None-Match: " + '"x",' * 4000,
    "Accept-Encoding: gzip;q=\xff", "TE: trailers", "Via: 1.1 x", *(f"X-{number}: 1" for number in range(3)),
]  # fmt: skip
VALUES = [
    "null", "true", "[]", "{}", '""', "-0", "-1", "1.0", "1e400", "NaN", "Infinity", str(2**53), str(2**63), str(2**64), "9" * 5000, "9" * 100_000,
    '"\\ud800"', '"\\u0000"', '"a\\nb"', '"\\u202e"', '"../../x"', '"__proto__"', '"%00"', '"\'; DROP TABLE secrets;--"', '"' + "A" * 43 + '"',
    "[" * 33 + "]" * 33, "[" * 1001 + "]" * 1001, '{"a":' * 50_000, "[" + "1," * 30_000 + "1]", '"' + "x" * 300_000 + '"',
]  # fmt: skip
NAMES = ["login", "person", "device", "decision", "requests", "invite", "kind", "subject", "roles", "approved", "__proto__", "v", "", "\\u0000"]
BYTES = [b"\x00", b"\xff", b"\xc0\xaf", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r\n", b"\n", b"\r\n\r\n", b"0\r\n\r\n", b"zz\r\n", b"-2\r\n", b"{", b"}", b"\x16\x03\x01",
         b"\x1f\x8b\x08", b"\x81\xa5login\x01"]  # fmt: skip


def requests(count: int, seed: int, host: str) -> Iterator[bytes]:
    chance = random.Random(seed)
    for _ in range(count):
        yield _request(chance, host)


def _request(chance: random.Random, host: str) -> bytes:
    method, target, version = chance.choice(["GET", "POST", "POST"]), chance.choice(TARGETS), "HTTP/1.1"
    body = _body(chance) if method == "POST" else b""
    headers = [f"Host: {host}", "Content-Type: application/json"]
    headers.append("Transfer-Encoding: chunked" if body and chance.random() < 0.2 else f"Content-Length: {len(body)}")
    if headers[-1].endswith("chunked"):
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for _ in range(chance.randint(0, 3)):
        what = chance.randrange(5)
        if what == 0:
            method = chance.choice(METHODS)
        elif what == 1:
            target = chance.choice(PATHS)
        elif what == 2:
            version = chance.choice(VERSIONS)
        elif what == 3:
            headers.insert(chance.randint(0, len(headers)), chance.choice(HEADERS))
        else:
            headers = chance.choice([headers[1:], headers * 2, headers[::-1], headers * 40])
    end = chance.choice(["\r\n"] * 9 + ["\n"])
    whole = bytearray(end.join([f"{method} {target} {version}", *headers, "", ""]).encode("latin-1") + body)
    for _ in range(chance.choice([0, 0, 1, 2, 5])):
        _damage(chance, whole)
    return bytes(whole) * chance.choice([1] * 18 + [3, 40])  # now and then many, one behind the other


def _body(chance: random.Random) -> bytes:
    if chance.random() < 0.1:
        return chance.choice(BYTES)
    members = ",".join(f'"{chance.choice(NAMES)}":{chance.choice(VALUES)}' for _ in range(chance.randint(0, 3)))
    text = "{" + members + "}"
    return (text if chance.random() < 0.8 else json.dumps(text)).encode("utf-8", "surrogatepass")


def _damage(chance: random.Random, whole: bytearray) -> None:
    if not whole:
        return
    at = chance.randrange(len(whole))
    kind = chance.randrange(5)
    if kind == 0:
        whole[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del whole[at : at + chance.randint(1, 60)]
    elif kind == 2:
        whole[at:at] = whole[at : at + chance.randint(1, 60)]
    elif kind == 3:
        whole[at:at] = chance.choice(BYTES)
    else:
        del whole[at:]


async def send_all(port: int, context: ssl.SSLContext, sent: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Each on a connection of its own, many at a time; with what came back until the relay closed or had answered."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one_by_one(one: bytes) -> bytes:
        async with free:
            return await _send(port, context, one)

    return list(zip(sent, await asyncio.gather(*(one_by_one(one) for one in sent)), strict=True))


async def _send(port: int, context: ssl.SSLContext, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    got = b""
    try:
        writer.write(sent)  # without drain: whoever waits to send reads nothing, and the relay waits for that
        while block := await asyncio.wait_for(reader.read(65_536), MORE_SECONDS if got else PATIENCE):
            got += block
    except (ConnectionError, ssl.SSLError):
        pass
    except TimeoutError:
        assert got, "neither an answer nor an end"
    finally:
        writer.transport.abort()
    return got


def statuses(answer: bytes) -> list[int]:
    """Of every answer on a connection. The relay repeats nothing that was sent, so the pattern finds its own words alone."""
    return [int(found) for found in STATUS.findall(answer)]
