"""What a relay serves of the web console, and with which headers: `console.json`, written by the build beside the files.

The relay reads it to serve the files; `stillvault console verify` holds its own copy against what a relay really sends (A18).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MANIFEST = "console.json"
INDEX = "index.html"
NO_CACHE = "no-cache"


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its digest in hexadecimal, and the two headers that are its own."""

    sha256: str
    type: str
    cache: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`headers` go with every file. Each path that begins with one of `screens` is the application, which is index.html."""

    v: int
    version: str
    headers: dict[str, str]
    screens: list[str]
    files: dict[str, File]

    def headers_of(self, name: str) -> Mapping[str, str]:
        """All headers that decide what a browser does with this file."""
        file = self.files[name]
        return {**self.headers, "cache-control": file.cache, "content-type": file.type}


def parse(text: bytes) -> Manifest:
    """Raises `msgspec.MsgspecError` where it is not of this form."""
    return msgspec.json.decode(text, type=Manifest)


def own_headers(manifest: Manifest) -> Mapping[str, str]:
    """The headers of console.json itself, which cannot list itself."""
    return {**manifest.headers, "cache-control": NO_CACHE, "content-type": "application/json"}
