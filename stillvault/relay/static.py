"""The web console as static files, out of the package: read once at the start, held in memory, served as they are.

Only what console.json names is served, and only where its digest fits; every screen's path answers with index.html. A package
without a console (or with a damaged one) is a relay without one, which says so.  # A18

A person whose browser goes to a path that is none gets the application too, which says so in words; the status stays that of the
problem. Whoever did not ask for a page gets the problem itself.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import NamedTuple

import msgspec

from stillvault.protocol import console
from stillvault.protocol.messages import Problem
from stillvault.relay.edge import App, Message, Receive, Scope, Send
from stillvault.relay.journal import Journal
from stillvault.relay.problems import ProblemError

SMALLEST_TO_PACK = 1024  # bytes: below, gzip gains nothing
# Answered with a clear word where there is no console: what people and browsers ask for first.
ENTRANCES = frozenset({"", "setup", "join", "signin", "assets", "pending", console.MANIFEST, "sw.js", "manifest.webmanifest"})
STRAY = {"not-found": 404, "path-form": 400}  # what a mistyped address comes to

Headers = list[tuple[bytes, bytes]]


class Served(NamedTuple):
    """A file as it goes out. `packed` is empty where gzip gains nothing."""

    plain: bytes
    packed: bytes
    tag: bytes
    headers: Headers


class Console:
    """The files by their path on the wire."""

    def __init__(self, files: Mapping[str, Served], screens: frozenset[str]) -> None:
        self._files = files
        self._screens = screens

    def find(self, path: str) -> Served | None:
        """What this path serves; nothing where it is none of the console's. Raises `no-console`."""
        first = path[1:].partition("/")[0]
        if not self._files:
            if first in ENTRANCES:
                raise ProblemError("no-console")
            return None
        if path == "/" or first in self._screens:
            return self._files[f"/{console.INDEX}"]
        return self._files.get(path)

    @property
    def stray(self) -> Served | None:
        """The application for a path that is none. It is never kept, and has no tag: it is no file of that path."""
        index = self._files.get(f"/{console.INDEX}")
        if index is None:
            return None
        own = (b"cache-control", b"etag")
        headers = [(name, value) for name, value in index.headers if name not in own]
        return index._replace(tag=b"", headers=[*headers, (b"cache-control", b"no-store"), (b"vary", b"accept")])


def load(journal: Journal, folder: Traversable | None = None) -> Console:
    """The console of this package, or an empty one."""
    folder = folder or resources.files("stillvault") / "console"
    try:
        text = (folder / console.MANIFEST).read_bytes()
        manifest = console.parse(text)
        files = {f"/{name}": _served((folder / name).read_bytes(), manifest, name) for name in manifest.files}
    except FileNotFoundError:
        return Console({}, frozenset())
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        journal.warning("the console in the package is damaged and not served", problem=type(error).__name__)
        return Console({}, frozenset())
    if f"/{console.INDEX}" not in files:
        return Console({}, frozenset())
    files[f"/{console.MANIFEST}"] = _packed(text, console.own_headers(manifest))
    return Console(files, frozenset(manifest.screens))


def _served(content: bytes, manifest: console.Manifest, name: str) -> Served:
    if hashlib.sha256(content).hexdigest() != manifest.files[name].sha256:
        raise ValueError(name)
    return _packed(content, manifest.headers_of(name))


def _packed(content: bytes, headers: Mapping[str, str]) -> Served:
    packed = gzip.compress(content, 6, mtime=0) if len(content) >= SMALLEST_TO_PACK else b""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'.encode()
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Served(content, packed if len(packed) < len(content) else b"", tag, [*encoded, (b"etag", tag)])


def beside(console: Console, app: App) -> App:
    """The console's files first, `app` for everything else."""

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        found = console.find(scope["path"])
        if found is None:
            await app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            raise ProblemError("method")
        else:
            await _send(found, scope, send)

    return either


def with_pages(console: Console, app: App) -> App:
    """`app`, but that a browser on its way to a path that is none is answered with a page."""
    page = console.stray
    if page is None:
        return app

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        browses = scope["type"] == "http" and scope["method"] == "GET" and _takes_pages(scope)
        await app(scope, receive, _paged(page, scope, send) if browses else send)

    return either


def _paged(page: Served, scope: Scope, send: Send) -> Send:
    """Holds the head of a refusal until its body has said what it is."""
    head: Message | None = None

    async def instead(message: Message) -> None:
        nonlocal head
        if message["type"] == "http.response.start" and message["status"] in STRAY.values():
            head = message
            return
        if head is None:
            await send(message)
            return
        refusal, head = head, None
        if _code(message) in STRAY:
            closing = [header for header in refusal["headers"] if header[0] == b"connection"]
            await _send(page._replace(headers=[*page.headers, *closing]), scope, send, refusal["status"])
            return
        await send(refusal)
        await send(message)

    return instead


def _code(message: Message) -> str:
    try:
        return msgspec.json.decode(message.get("body", b""), type=Problem).code
    except msgspec.MsgspecError:
        return ""


async def _send(found: Served, scope: Scope, send: Send, status: int = 200) -> None:
    asked = dict(scope["headers"])
    headers, body = list(found.headers), found.plain
    if found.packed:
        headers.append((b"vary", b"accept-encoding"))
        if _takes_gzip(asked.get(b"accept-encoding", b"")):
            body = found.packed
            headers.append((b"content-encoding", b"gzip"))
    if found.tag and found.tag in asked.get(b"if-none-match", b"").replace(b" ", b"").split(b","):
        body, status = b"", 304
    else:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _takes_gzip(accepted: bytes) -> bool:
    return _listed(b"gzip", accepted)


def _takes_pages(scope: Scope) -> bool:
    return _listed(b"text/html", b",".join(value for name, value in scope["headers"] if name == b"accept"))


def _listed(wanted: bytes, accepted: bytes) -> bool:
    """Whether it is listed and not refused with q=0."""
    listed = [part.partition(b";") for part in accepted.lower().replace(b" ", b"").split(b",")]
    return any(name == wanted and weight not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000") for name, _, weight in listed)
