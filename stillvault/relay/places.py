"""Hosts and URLs as settings and notification targets name them: one spelling for each, or an error that says the rule. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

MOST_URL = 1000
_ALLOWED = re.compile(r"(http://)?((?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_URL = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?((?:/[!-~]*)?)")


class Allowed(NamedTuple):
    """A host that the operator allows messages to. `clear` is plain HTTP, which only an entry with `http://` permits."""

    clear: bool
    host: str
    port: int


def allowed_host(text: str) -> Allowed:
    """An entry of a list of allowed hosts: [http://]host[:port], also *.host. Raises ValueError with the rule."""
    match = _ALLOWED.fullmatch(text)
    if not match or int(match[3] or 1) > 65535:
        raise ValueError("an entry is not [http://]host[:port], in lower case")
    clear = bool(match[1])
    return Allowed(clear, match[2].removeprefix("[").removesuffix("]"), int(match[3] or (80 if clear else 443)))


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL names. `path` begins with a slash, or is empty."""

    clear: bool
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """As RFC 6454 writes it."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        standard = 80 if self.clear else 443
        return f"http{'' if self.clear else 's'}://{shown}" + ("" if self.port == standard else f":{self.port}")

    @property
    def authority(self) -> str:
        """The Host header."""
        return self.origin.partition("//")[2]


def place(url: str) -> Place:
    """The parts of a URL in its one form: lower case, no user, no fragment. Raises ValueError."""
    match = _URL.fullmatch(url)
    if not match or len(url) > MOST_URL or "#" in url or int(match[3] or 1) > 65535:
        raise ValueError("a URL is https://host[:port]/path in plain ASCII, the host in lower case, without user or fragment")
    clear = match[1] == "http"
    return Place(clear, match[2].removeprefix("[").removesuffix("]"), int(match[3] or (80 if clear else 443)), match[4])
