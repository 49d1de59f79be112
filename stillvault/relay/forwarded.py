"""Whose call it is: the address that limits count, and the client's own behind a proxy that the operator trusts. Pure.

An address of IPv6 counts as its /64: that is what one customer gets, and nobody may have 2^64 names.

The header of a proxy is believed from the right, and only as far as the operator's word goes (N6):
1. The connection itself comes from one of `trusted_proxies`; from anywhere else the header means nothing.
2. The one header that `proxy_header` names. The other is never read: a proxy passes on what it does not set.
3. The right-most entry that is not a trusted proxy itself is the client. What stands left of it the client may have written.
4. No entry, or one that is no address: the last trusted hop is the client. Nothing is refused for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Trusted = tuple[IPv4Network | IPv6Network, ...]

X_FORWARDED_FOR, FORWARDED = "x-forwarded-for", "forwarded"
MOST_HOPS = 16
CUSTOMER_BITS = 64


def networks(listed: Iterable[str]) -> Trusted:
    """The operator's list: networks as `10.0.0.0/8`, or single addresses. Raises ValueError with the rule."""
    found = []
    for one in listed:
        try:
            network = ip_network(one)
        except ValueError:
            raise ValueError("an entry is neither an address nor a network without host bits") from None
        if not network.prefixlen:
            raise ValueError("an entry trusts everybody")
        found.append(network)
    return tuple(found)


def peer_of(address: str) -> str:
    """The name under which limits count this address."""
    if ":" not in address:
        return address
    found = _address(address)
    if not isinstance(found, IPv6Address):
        return address if found is None else str(found)
    return str(IPv6Network((found, CUSTOMER_BITS), strict=False).network_address) + "/64"


def is_trusted(address: str, trusted: Trusted) -> bool:
    found = _address(address) if trusted else None
    return found is not None and any(found in network for network in trusted)


def client_of(address: str, headers: Iterable[tuple[bytes, bytes]], trusted: Trusted, header: str) -> str:
    """The address of who called: `address` is the connection's."""
    # 1. only from a proxy of the operator's
    if not is_trusted(address, trusted):
        return address
    # 2. one header, all its lines in their order
    wanted = header.encode()
    lines = b",".join(value for name, value in headers if name == wanted).decode("latin-1")
    # 3. from the right to the first that is not the operator's
    for entry in reversed(lines.split(",")[-MOST_HOPS:]):
        found = _address(_for(entry) if header == FORWARDED else entry.strip())
        if found is None:  # 4.
            return address
        address = str(found)
        if not any(found in network for network in trusted):
            break
    return address


def _for(entry: str) -> str:
    """The `for` of one element of Forwarded (RFC 7239); empty where it is missing, hidden or `unknown`."""
    named = [part.strip().partition("=") for part in entry.split(";")]
    found = [value.strip().strip('"') for name, _, value in named if name.strip().lower() == "for"]
    return found[0] if len(found) == 1 else ""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
