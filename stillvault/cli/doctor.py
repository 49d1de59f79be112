"""`stillvault doctor`: what is wrong with this home, and how to mend it. Asks no passphrase and changes nothing.

A warning comes a quarter of its life before anything expires, so that there is time to renew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import msgspec

from stillvault.cli.base import Verb, emit, home, now, table
from stillvault.protocol.errors import StillvaultError
from stillvault.transport.home import Home

if TYPE_CHECKING:
    from stillvault.transport.identity import ClientIdentity


@dataclass(frozen=True)
class Finding:
    check: str
    state: str  # ok, warn, fail
    says: str
    fix: str = ""


@click.command(cls=Verb)
def doctor() -> int:
    """Say what is wrong, and how to mend it. Ends 1 when something is broken."""
    here = home()
    found = [one for check in (_files, _relay, _trust, _clients, _daemon) for one in _guarded(check, here)]
    rows = [[one.state, one.check, one.says] for one in found]
    lines = table(rows).split("\n")
    text = [line for one, line in zip(found, lines, strict=True) for line in ([line, f"      {one.fix}"] if one.fix else [line])]
    emit({"findings": [{"check": one.check, "state": one.state, "says": one.says, **({"fix": one.fix} if one.fix else {})}
                       for one in found]}, "\n".join(text))
    return 1 if any(one.state == "fail" for one in found) else 0


def _guarded(check: Callable[[Home], Iterator[Finding]], here: Home) -> Iterator[Finding]:
    try:
        yield from check(here)
    except StillvaultError as error:
        yield Finding(check.__name__.strip("_"), "fail", f"{error.code}: {error.message}", error.remedy)


def _files(here: Home) -> Iterator[Finding]:
    organisation = here.organisation()
    for name in ["home.json", "ca.pem", "trust.json", "person.json", "memory.json", *here.names("keys"), *here.names("clients")]:
        here.read_bytes(name)  # raises where the mode, the owner or a link is wrong
    yield Finding("home", "ok", f"{here.path}, organisation {organisation.name or organisation.org_id}")


def _relay(here: Home) -> Iterator[Finding]:
    from stillvault.transport.http import SKEW, Relay, fingerprint_of

    organisation = here.organisation()
    if fingerprint_of(here.ca()) != organisation.fingerprint:
        yield Finding("relay", "fail", "ca.pem is not the CA that was pinned", "restore it, or join anew")
        return
    theirs = Relay(organisation.relay, here.ca(), timeout=5).clock()
    yield Finding("relay", "ok", f"{organisation.relay} answers")
    if theirs is not None:
        apart = now() - theirs
        if abs(apart) > SKEW:
            word = "ahead of" if apart > 0 else "behind"
            yield Finding("clock", "fail", f"this clock is {abs(apart)} seconds {word} the relay's", "set both clocks (NTP)")
        else:
            yield Finding("clock", "ok", "agrees with the relay's")


def _trust(here: Home) -> Iterator[Finding]:
    from stillvault.admin.publish import root_of, roster_of
    from stillvault.transport.trust import TrustStore

    trust = TrustStore(here).current(now())
    roster, root = roster_of(trust), root_of(trust)
    yield _life("roster", roster.issued, roster.expires, "an administrator runs `stillvault org renew`")
    yield _life("root", root.issued, root.expires, "renew in the home that holds the root key: `stillvault org renew`")
    from stillvault.transport.home import Person

    own = here.read("person.json", Person)
    if own is not None:
        devices = [one for person in roster.people if person.id == own.person for one in person.devices if one.id == own.device]
        if not devices:
            yield Finding("device", "fail", f"the roster does not list {own.device}", "this device was removed: join anew")
        for one in devices:
            yield _life(f"device {one.id}", one.added, one.expires, "an administrator runs `stillvault org renew`")


def _clients(here: Home) -> Iterator[Finding]:
    from stillvault.crypto.public import payload_of
    from stillvault.protocol.objects import ClientCert
    from stillvault.transport.identity import load_clients
    from stillvault.transport.trust import TrustStore

    found = load_clients(here)
    trust: Any = TrustStore(here).current(now()) if found else None
    for one in found:
        cert = msgspec.json.decode(payload_of("client-cert", one.cert), type=ClientCert)
        try:
            one.verified(trust, now())
        except StillvaultError as error:
            yield Finding(f"client {one.subject}", "fail", f"its certificate is refused: {error.code}", "invite and join it anew")
            continue
        yield _life(f"client {one.subject}", cert.issued, cert.expires, "an administrator runs `stillvault org renew`")
        if not one.subject.startswith("person/"):
            yield _sign_in(here, one)


def _sign_in(here: Home, client: ClientIdentity) -> Finding:
    """What the relay says to this client now: the roster in this home may be older than a revocation."""
    from stillvault.crypto.public import b64decode, b64encode, oid_of
    from stillvault.transport.http import Relay, RelayRefused
    from stillvault.transport.session import sign_in

    organisation, check = here.organisation(), f"client {client.subject}"
    try:
        sign_in(Relay(organisation.relay, here.ca(), timeout=5), lambda payload: client.key.sign("login", payload),
                org=b64decode(organisation.org_id), now=now(), client=b64encode(oid_of(client.cert)))
    except RelayRefused as error:
        return Finding(check, "fail", f"the relay refuses it: {error.code}", "ask an administrator; invite and join it anew")
    return Finding(check, "ok", "signs in")


def _daemon(here: Home) -> Iterator[Finding]:
    from stillvault.cli.socket import ask, socket_path

    if not socket_path().exists():
        needed = bool(here.names("clients"))
        yield Finding("daemon", "warn" if needed else "ok", f"none listens at {socket_path()}",
                      "start it: stillvault daemon" if needed else "")
        return
    ask("ping")
    yield Finding("daemon", "ok", f"answers at {socket_path()}")


def _life(check: str, issued: int, expires: int, fix: str) -> Finding:
    from stillvault.approver.screen import moment, span

    left = expires - now()
    if left <= 0:
        return Finding(check, "fail", f"expired at {moment(expires)}", fix)
    if left <= (expires - issued) // 4:
        return Finding(check, "warn", f"expires in {span(left)}, at {moment(expires)}", fix)
    return Finding(check, "ok", f"until {moment(expires)}")
