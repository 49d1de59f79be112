"""`stillvault doctor`: what is wrong with this home, and how to mend it. Asks no passphrase and changes nothing.

With `--relay URL --fingerprint F` it looks at a relay alone, before anybody joined: for the first machine, and for each new one.
A warning comes a quarter of its life before anything expires, so that there is time to renew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import msgspec

from stillvault.cli.base import Verb, emit, home, now, table
from stillvault.cli.readiness import Finding, life, look
from stillvault.protocol.errors import StillvaultError, Usage
from stillvault.transport.home import Home

if TYPE_CHECKING:
    from stillvault.transport.identity import ClientIdentity


@click.command(cls=Verb)
@click.option("--relay", metavar="URL", help="Look at this relay alone; needs no home.")
@click.option("--fingerprint", metavar="F", help="Its fingerprint, as the relay prints it.")
def doctor(relay: str | None, fingerprint: str | None) -> int:
    """Say what is wrong, and how to mend it. Ends 1 when something is broken."""
    if bool(relay) != bool(fingerprint):
        raise Usage("usage", "--relay and --fingerprint come together", "give both, or neither for this home")
    if relay and fingerprint:
        found = list(_guarded("relay", _stranger(relay, fingerprint)))
    else:
        here = home()
        checks = (_files, _relay, _trust, _clients, _daemon)
        found = [one for check in checks for one in _guarded(check.__name__.strip("_"), check(here))]
    rows = [[one.state, one.check, one.says] for one in found]
    lines = table(rows).split("\n")
    text = [line for one, line in zip(found, lines, strict=True) for line in ([line, f"      {one.fix}"] if one.fix else [line])]
    emit({"findings": [{"check": one.check, "state": one.state, "says": one.says, **({"fix": one.fix} if one.fix else {})}
                       for one in found]}, "\n".join(text))
    return 1 if any(one.state == "fail" for one in found) else 0


def _guarded(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except StillvaultError as error:
        yield Finding(name, "fail", f"{error.code}: {error.message}", error.remedy)


def _stranger(relay: str, fingerprint: str) -> Iterator[Finding]:
    from stillvault.transport.http import fetch_ca

    yield from look(relay, fetch_ca(relay, fingerprint), now())


def _files(here: Home) -> Iterator[Finding]:
    organisation = here.organisation()
    for name in ["home.json", "ca.pem", "trust.json", "person.json", "memory.json", *here.names("keys"), *here.names("clients")]:
        here.read_bytes(name)  # raises where the mode, the owner or a link is wrong
    yield Finding("home", "ok", f"{here.path}, organisation {organisation.name or organisation.org_id}")


def _relay(here: Home) -> Iterator[Finding]:
    from stillvault.transport.http import fingerprint_of

    organisation = here.organisation()
    if fingerprint_of(here.ca()) != organisation.fingerprint:
        yield Finding("relay", "fail", "ca.pem is not the CA that was pinned", "restore it, or join anew")
        return
    yield from look(organisation.relay, here.ca(), now())


def _trust(here: Home) -> Iterator[Finding]:
    from stillvault.admin.publish import root_of, roster_of
    from stillvault.transport.trust import TrustStore

    trust = TrustStore(here).current(now())
    roster, root = roster_of(trust), root_of(trust)
    yield _life("roster", roster.issued, roster.expires, "an administrator runs `stillvault org renew`")
    yield _life("root", root.issued, root.expires,
                "in the home that holds the root key, or with --root-key-file: `stillvault org renew`")
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
    return life(check, issued, expires, now(), fix)
