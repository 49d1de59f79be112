"""The guarded edge: every request is looked at as bytes before anything is decoded. ASGI; wraps the application.

In this order, the first that fails answers:
1. Only HTTP/1.0 and 1.1 requests. No upgrades.
2. The path in its one spelling: no escapes, no empty, dotted or trailing parts. Refused, never "fixed".  # C3
3. Headers that decide something at most once. Host from the allow-list; no X-Forwarded-* or Forwarded changes that, and the
   one that names the client is read from the operator's own proxies alone (N6, forwarded.py). A foreign Origin is refused
   (N7, C15).
4. The query: known characters, each name once.
5. A body only with POST, as plain `application/json`, up to the limit and while there is room for it (room.py), in UTF-8, at
   most 16 deep and 20,000 values long, and strict JSON: no duplicate names (A10), no null, no floats, no negative or large
   integers.  # C12
What a route does with it comes after. Whatever fails inside the application comes out here as a problem without its cause (C13).

The scope's path, query and client may be trusted after this; `scope["query"]` is the parsed query, the client's address is the
one that limits count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from stillvault.protocol.errors import StillvaultError
from stillvault.relay.forwarded import Trusted, client_of, networks, peer_of
from stillvault.relay.journal import Journal
from stillvault.relay.problems import ProblemError, describe
from stillvault.relay.room import SMALL_BODY, Room
from stillvault.relay.settings import Settings

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DEEPEST = 16
MOST_PARTS = 20_000  # members and elements: more than any true body of the largest size has
LARGEST_INTEGER = 2**53 - 1
MOST_DIGITS = 16

_PATH = re.compile(rb"/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)?")
_QUERY = re.compile(rb"(?:[A-Za-z0-9._~/*!-]|%[0-9A-F]{2})*")
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_JSON = re.compile(rb'application/json(?:; ?charset="?utf-8"?)?', re.IGNORECASE)
_ONCE = frozenset(
    {
        b"host", b"content-type", b"content-length", b"transfer-encoding", b"authorization", b"origin", b"last-event-id",
        b"cookie", b"sec-fetch-site",
    }
)  # fmt: skip

_SECURITY = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]


class Edge:
    """`hosts` are the literal Host values that name this relay; `origins` the origins that may call it from a browser."""

    def __init__(self, app: App, hosts: Iterable[str], origins: Iterable[str], settings: Settings, journal: Journal) -> None:
        self._app = app
        self._hosts = frozenset(host.encode() for host in hosts)
        self._origins = frozenset(origin.encode() for origin in origins)
        self._limit = settings.limits.body_bytes
        self._room = Room(settings.limits.bodies_bytes, self._limit)
        self._trusted: Trusted = networks(settings.trusted_proxies)
        self._proxy_header = settings.proxy_header
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        held = _Held(self._room)

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                given = list(message.get("headers", []))
                named = {name for name, _ in given}  # a file of the console brings its own
                message["headers"] = [*given, *(header for header in _SECURITY if header[0] not in named)]
            await send(message)

        try:
            headers = self._headers(scope)
            held.peer = self._client(scope)
            scope["query"] = parse_query(scope.get("query_string", b""))
            body = await self._body(scope, headers, receive, held)
            await self._app(scope, _replay(body, receive), answer)
        except (ProblemError, StillvaultError) as error:
            # What was not read of the body must not be taken for the next request: the connection ends.
            if not started:
                unread = isinstance(error, ProblemError) and (error.status in (400, 408, 413, 415) or held.refused)
                await _refuse(scope, answer, error, close=unread)
        except Exception as error:  # noqa: BLE001  the last net: no cause, no stack, no bytes of the request leave  # C13
            self._journal.failure("request", error)
            if not started:
                await _refuse(scope, answer, ProblemError("internal"), close=True)
        finally:
            held.give_back()

    def _client(self, scope: Scope) -> str:
        """Who calls, for every limit; the scope says the same from here on."""
        address, port = scope.get("client") or ("", 0)
        if self._trusted:
            address = client_of(address, scope["headers"], self._trusted, self._proxy_header)
        peer = peer_of(address)
        scope["client"] = (peer, port)
        return peer

    def _headers(self, scope: Scope) -> dict[bytes, bytes]:
        # 1. plain HTTP
        if scope["type"] != "http" or scope.get("http_version") not in ("1.0", "1.1"):
            raise ProblemError("bad-request")
        # 2. one spelling of the path
        if not _PATH.fullmatch(scope.get("raw_path", b"")):
            raise ProblemError("path-form")
        # 3. headers that decide something
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in found and name in _ONCE:
                raise ProblemError("bad-request", "a header stands twice")
            found[name] = value
        if b"upgrade" in found or b"http2-settings" in found:
            raise ProblemError("bad-request", "nothing here can be upgraded")
        if found.get(b"host", b"").lower() not in self._hosts:
            raise ProblemError("host")
        if b"origin" in found and found[b"origin"] not in self._origins:
            raise ProblemError("origin")
        return found

    async def _body(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, held: _Held) -> bytes:
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12:
            raise ProblemError("bad-request", "Content-Length is not a number")
        has_body = int(length) > 0 or b"transfer-encoding" in headers
        if scope["method"] != "POST":
            if has_body:
                raise ProblemError("bad-request", "only POST takes a body")
            return b""
        if not _JSON.fullmatch(headers.get(b"content-type", b"")) or b"content-encoding" in headers:
            raise ProblemError("content-type")
        if int(length) > self._limit:
            raise ProblemError("body-size")
        parts: list[bytes] = []
        total = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ProblemError("bad-request", "the body ended early")
            part = message.get("body", b"")
            total += len(part)
            if total > self._limit:
                raise ProblemError("body-size")
            held.grow(total)
            parts.append(part)
            if not message.get("more_body"):
                break
        body = b"".join(parts)
        check_json(body)
        return body


class _Held:
    """What one body takes of the room."""

    def __init__(self, room: Room) -> None:
        self._room, self._size, self.peer, self.refused = room, 0, "", False

    def grow(self, total: int) -> None:
        if (more := total - SMALL_BODY - self._size) > 0:
            self.refused = True
            self._room.take(self.peer, more)
            self._size, self.refused = self._size + more, False

    def give_back(self) -> None:
        if self._size:
            self._room.give_back(self.peer, self._size)


def parse_query(raw: bytes) -> dict[str, str]:
    """The query as names and values, each name once, in one spelling."""
    if not raw:
        return {}
    found: dict[str, str] = {}
    for pair in raw.split(b"&"):
        name, equals, value = pair.partition(b"=")
        if not equals or not name.isalpha() or not name.islower() or not _QUERY.fullmatch(value):
            raise ProblemError("query")
        try:
            text = unquote_to_bytes(value).decode()
        except UnicodeDecodeError:
            raise ProblemError("query") from None
        if name.decode() in found or not text.isprintable():
            raise ProblemError("query")
        found[name.decode()] = text
    return found


def check_json(body: bytes) -> None:
    """Form alone: UTF-8, depth, and strict JSON. Never recurses deeper than the limit, whatever comes."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ProblemError("json", "it is not UTF-8") from None
    # Counted in C before anything is built: nobody may buy a second of this thread with a body of a million numbers.
    if max(body.count(b","), brackets := body.count(b"[") + body.count(b"{")) > MOST_PARTS:
        raise ProblemError("json", f"more than {MOST_PARTS} values")
    if brackets > DEEPEST:
        _check_depth(body)
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise ProblemError("json") from None
    if not isinstance(value, dict):
        raise ProblemError("json", "the body is not an object")


def _check_depth(body: bytes) -> None:
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            raise ProblemError("depth")


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS or text.startswith("-"):
        raise ValueError
    number = int(text)
    if number > LARGEST_INTEGER:
        raise ValueError
    return number


def _no_float(_text: str) -> float:
    raise ValueError


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs) or None in found.values():
        raise ValueError
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_no_float, parse_constant=_no_float)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(scope: Scope, send: Send, error: ProblemError | StillvaultError, *, close: bool) -> None:
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1008})
        return
    status, body = describe(error)
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if isinstance(error, ProblemError):
        headers += [(name.encode(), value.encode()) for name, value in error.headers.items()]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
