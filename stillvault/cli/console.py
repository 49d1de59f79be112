"""`stillvault console verify`: the web console that a relay serves, its bytes and its headers, against this version's own.

A page cannot vouch for itself: whoever serves it can change it. This makes a change visible that is served to everybody. A relay
that serves something else to one browser alone is not found out by asking it: the top tier of devices decides elsewhere (A18).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING

import click

from stillvault.cli.base import STATE, Verbs, emit, home, say
from stillvault.protocol.errors import Failed, Refused

if TYPE_CHECKING:
    from stillvault.protocol.console import Manifest
    from stillvault.transport.http import Relay

# Headers that say nothing about what a browser does with the bytes; a proxy in front may add its own.
HARMLESS = frozenset(
    {"age", "alt-svc", "connection", "content-length", "date", "etag", "keep-alive", "server", "vary", "via"}
)

Difference = tuple[str, str, str]  # code, path, what differs


@click.group(cls=Verbs)
def console() -> None:
    """Hold the web console that a relay serves against this version's."""


@console.command()
@click.argument("url", metavar="URL")
@click.option("--fingerprint", default="", help="Of the relay's CA; without it the CA that this home has pinned.")
def verify(url: str, fingerprint: str) -> None:
    """Fetch every file of the console from URL and compare bytes and headers. Ends 15 where anything differs."""
    from stillvault.transport.http import Relay, fetch_ca

    manifest, own = _own()
    relay = Relay(url, fetch_ca(url, fingerprint) if fingerprint else home().ca())
    found = list(_differences(relay, manifest, own))
    if found:
        if not STATE.json:
            for code, path, text in found:
                say(f"{code}: {path}: {text}")
        code, path, text = found[0]
        raise Refused(code, f"{path} of {relay.origin}: {text}" + (f"; {len(found) - 1} more differ" if len(found) > 1 else ""),
                      "do not sign in there; compare with the files on the relay, or install the same version here", path)
    emit({"relay": relay.origin, "version": manifest.version, "files": len(manifest.files)},
         f"the console of {relay.origin} is that of this version ({manifest.version}): {len(manifest.files)} files")


def _own() -> tuple[Manifest, dict[str, bytes]]:
    """This version's console, as its own console.json says."""
    import msgspec

    from stillvault.protocol import console as served

    folder = resources.files("stillvault") / "console"
    try:
        text = (folder / served.MANIFEST).read_bytes()
        manifest = served.parse(text)
        own = {f"/{name}": (folder / name).read_bytes() for name in manifest.files}
    except (OSError, msgspec.MsgspecError):
        raise Failed("no-console", "no web console is here to compare with", "install the released wheel") from None
    for name, file in manifest.files.items():
        if hashlib.sha256(own[f"/{name}"]).hexdigest() != file.sha256:
            raise Failed("no-console", f"{name} of this installation is damaged", "install the released wheel again", name)
    return manifest, {**own, f"/{served.MANIFEST}": text}


def _differences(relay: Relay, manifest: Manifest, own: dict[str, bytes]) -> Iterator[Difference]:
    """Every path that the console has: its files, console.json, and each screen, which is index.html."""
    from stillvault.protocol import console as served

    index, listing = f"/{served.INDEX}", f"/{served.MANIFEST}"
    wanted = {path: (own[path], manifest.headers_of(path[1:])) for path in own if path != listing}
    wanted |= {path: wanted[index] for path in ("/", *(f"/{screen}" for screen in manifest.screens))}
    wanted[listing] = own[listing], served.own_headers(manifest)
    for path, (content, headers) in wanted.items():
        status, given, body = relay.get(path)
        if status != 200:
            yield "console-missing", path, f"the relay answers {status}"
            continue
        if body != content:
            yield "console-file", path, "its bytes are not those of this version"
        yield from (("console-header", path, text) for text in _headers(dict(headers), given))


def _headers(wanted: dict[str, str], given: list[tuple[str, str]]) -> Iterator[str]:
    for name, value in wanted.items():
        if [text for other, text in given if other == name] != [value]:
            yield f"the header {name} is not `{value}`"
    for name in sorted({name for name, _ in given} - wanted.keys() - HARMLESS):
        yield f"there is a header {name}, which this version does not send"
