"""What a device needs of a relay before anybody joins: its name, TLS as programs and as browsers verify it, the clock, passkeys.

Everything goes over TLS under the pinned certificate; only the check of this machine's own list of authorities does not, and it
sends nothing. `doctor` prints the findings.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stillvault.approver.screen import moment, span
from stillvault.protocol.messages import Environment
from stillvault.transport.http import SKEW, Relay, origin_of, split_url, unreachable

PATIENCE = 5  # seconds for each answer


@dataclass(frozen=True)
class Finding:
    check: str
    state: str  # ok, warn, fail
    says: str
    fix: str = ""


def life(check: str, issued: int, expires: int, now: int, fix: str) -> Finding:
    """A warning comes a quarter of its life before anything expires."""
    left = expires - now
    if left <= 0:
        return Finding(check, "fail", f"expired at {moment(expires)}", fix)
    if left <= (expires - issued) // 4:
        return Finding(check, "warn", f"expires in {span(left)}, at {moment(expires)}", fix)
    return Finding(check, "ok", f"until {moment(expires)}")


def look(url: str, ca: bytes, now: int) -> Iterator[Finding]:
    """One finding a check; raises where the relay is not reached or not trusted."""
    relay = Relay(url, ca, timeout=PATIENCE)
    try:
        theirs = relay.clock()
        yield Finding("relay", "ok", f"{url} answers")
        yield _certificate(url, ca)
        if theirs is not None:
            yield _clock(now - theirs)
        yield _passkeys(url, relay)
        yield _browser(url)
    finally:
        relay.close()


def _certificate(url: str, ca: bytes) -> Finding:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=ca.decode("ascii"))
    version, seen = _shake(url, context)
    ends = ssl.cert_time_to_seconds(str(seen["notAfter"]))
    return Finding("tls", "ok", f"{version} under the pinned certificate, the relay's own until {moment(ends)}")


def _shake(url: str, context: ssl.SSLContext) -> tuple[str, dict[str, object]]:
    host, port = split_url(url)
    try:
        plain = socket.create_connection((host, port), PATIENCE)
        with context.wrap_socket(plain, server_hostname=host) as line:
            return line.version() or "", dict(line.getpeercert() or {})
    except OSError as error:
        raise unreachable(url, error) from None


def _clock(apart: int) -> Finding:
    if abs(apart) <= SKEW:
        return Finding("clock", "ok", "agrees with the relay's")
    word = "ahead of" if apart > 0 else "behind"
    return Finding("clock", "fail", f"this clock is {abs(apart)} seconds {word} the relay's", "set both clocks (NTP)")


def _passkeys(url: str, relay: Relay) -> Finding:
    """A passkey belongs to one DNS name for ever: the one that the relay calls itself must be the one that it is reached by."""
    host, _ = split_url(url)
    if is_address(host):
        return Finding("passkeys", "fail", f"{host} is an IP address, and no passkey can belong to one",
                       "give the relay a DNS name, and start it with --public-url")
    told = relay.call("GET", "/v1/environment", returns=Environment)
    if told.public_url != origin_of(url):
        return Finding("passkeys", "fail", "the relay calls itself by another URL", "use that one, or start it with --public-url")
    status, headers, _ = relay.get("/")
    if status != 200 or not any(name == "content-security-policy" for name, _ in headers):
        return Finding("passkeys", "warn", f"they can belong to {host}, but the relay serves no console",
                       "install the released wheel, or use the command line alone")
    return Finding("passkeys", "ok", f"belong to {host}, for good")


def _browser(url: str) -> Finding:
    """Whether a browser that goes by this machine's list of authorities would open the console."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not Path(ssl.get_default_verify_paths().capath or "").is_dir():
        return Finding("browser", "warn", "this machine has no list of authorities", "see docs/operations/tls.md")
    host, port = split_url(url)
    try:
        with context.wrap_socket(socket.create_connection((host, port), PATIENCE), server_hostname=host):
            return Finding("browser", "ok", "this machine's own list of authorities vouches for the relay")
    except ssl.SSLCertVerificationError:
        says = "this machine's own list of authorities does not vouch for the relay; programs do not need it"
        return Finding("browser", "warn", says, "for the console, trust its CA on the device: docs/operations/tls.md")
    except OSError as error:
        raise unreachable(url, error) from None


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.rpartition(".")[2].isdecimal()
    return True
