"""The web console as static files, out of the package: read once at the start, held in memory, served as they are.

Only what console.json names is served, and only where its digest fits; every screen's path answers with index.html. A package
without a console (or with a damaged one) is a relay without one, which says so.  # A18
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
from stillvault.relay.edge import App, Receive, Scope, Send
from stillvault.relay.journal import Journal
from stillvault.relay.problems import ProblemError

SMALLEST_TO_PACK = 1024  # bytes: below, gzip gains nothing
# Answered with a clear word where there is no console: what people and browsers ask for first.
ENTRANCES = frozenset({"", "setup", "join", "signin", "assets", "pending", console.MANIFEST, "sw.js", "manifest.webmanifest"})

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


async def _send(found: Served, scope: Scope, send: Send) -> None:
    asked = dict(scope["headers"])
    headers, body, status = list(found.headers), found.plain, 200
    if found.packed:
        headers.append((b"vary", b"accept-encoding"))
        if _takes_gzip(asked.get(b"accept-encoding", b"")):
            body = found.packed
            headers.append((b"content-encoding", b"gzip"))
    if found.tag in asked.get(b"if-none-match", b"").replace(b" ", b"").split(b","):
        body, status = b"", 304
    else:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _takes_gzip(accepted: bytes) -> bool:
    """Whether gzip is listed and not refused with q=0."""
    listed = [part.partition(b";") for part in accepted.lower().replace(b" ", b"").split(b",")]
    return any(name == b"gzip" and weight not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000") for name, _, weight in listed)
