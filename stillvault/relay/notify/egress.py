"""Where messages may go: the hosts of `notify.egress` and nothing else.

1. The URL's scheme, host and port are an entry of the list.
2. The name is resolved here, and the connection goes to the very addresses that were looked at: a second answer of the name
   server changes nothing.
3. A name never leads to this machine or its link: a loopback, link-local, multicast, unspecified or reserved address counts only
   where the entry is that address itself, or `localhost`. Private addresses are the operator's own network: the list is the rule.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

from stillvault.relay.places import Allowed, allowed_host


class Unsent(Exception):
    """A message that did not go. `code` is stable and says why; `retry` whether a later try may end otherwise."""

    def __init__(self, code: str, *, retry: bool = False) -> None:
        super().__init__(code)
        self.code, self.retry = code, retry


class Egress:
    """The operator's list."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = frozenset(allowed_host(one) for one in entries)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def allows(self, clear: bool, host: str, port: int) -> bool:
        names = [host]
        if not _literal(host):
            labels = host.split(".")
            names += ["*." + ".".join(labels[position:]) for position in range(1, len(labels))]
        return any(Allowed(clear, name, port) in self._entries for name in names)

    async def addresses(self, clear: bool, host: str, port: int) -> list[str]:
        """The addresses to connect to, in the resolver's order. Raises `Unsent` (egress, resolve, address)."""
        # 1.
        if not self.allows(clear, host, port):
            raise Unsent("egress")
        # 2.
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Unsent("resolve", retry=True) from None
        # 3.
        here = bool(_literal(host)) or host == "localhost"
        good = [str(one[4][0]) for one in found if here or not _special(str(one[4][0]))]
        if not good:
            raise Unsent("address")
        return list(dict.fromkeys(good))


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _special(address: str) -> bool:
    known = ipaddress.ip_address(address.partition("%")[0])
    mapped = known.ipv4_mapped if isinstance(known, ipaddress.IPv6Address) else None
    one = mapped or known
    return one.is_loopback or one.is_link_local or one.is_multicast or one.is_unspecified or one.is_reserved
