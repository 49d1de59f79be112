"""What every use case is given: the parts of a running relay, and the call that it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stillvault.crypto import public
from stillvault.relay.hub import Hub
from stillvault.relay.journal import Journal
from stillvault.relay.log import LogKey
from stillvault.relay.notify.channels import Sender
from stillvault.relay.services.nonces import Nonces
from stillvault.relay.services.organisation import Organisation
from stillvault.relay.services.rates import Rates, Seen, Suppressed
from stillvault.relay.settings import Settings
from stillvault.relay.store.connection import Connection
from stillvault.relay.store.invites import StoredInvite
from stillvault.relay.store.writer import Writer
from stillvault.relay.tail import Tail
from stillvault.relay.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from stillvault.relay.telemetry.traces import Traces  # what it needs is loaded only where traces are asked for


@dataclass(frozen=True, slots=True)
class Relay:
    """The parts. `reader` belongs to the loop and cannot write; whatever changes goes through `writer`."""

    settings: Settings
    origin: str
    ca_pem: bytes
    reader: Connection
    writer: Writer
    hub: Hub
    tail: Tail
    organisation: Organisation
    log_key: LogKey
    nonces: Nonces
    rates: Rates
    suppressed: Suppressed
    seen: Seen
    sender: Sender
    journal: Journal
    metrics: Metrics
    forwarded: dict[str, int]  # by receiver: how many rows of the log it has
    traces: Traces | None
    clock: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, as the guard found it: a person's device, a client, an enrolment, or nobody in particular."""

    person: str = ""
    device: str = ""
    roles: frozenset[str] = frozenset()
    cert: public.Cert | None = None
    key: bytes = b""
    invite: StoredInvite | None = None
    bearer: bytes = b""
    expires: int = 0  # of a person's session

    @property
    def actor(self) -> str:
        """The name in the audit log."""
        if self.person:
            return self.person
        return self.cert.subject if self.cert else "anyone"

    @property
    def audiences(self) -> tuple[str, ...]:
        """Whose events this caller hears."""
        if self.person:
            return (f"person/{self.person}", "people", "all")
        return (client_audience(self.key), "clients", "all")

    def client(self) -> public.Cert:
        """The certificate of a caller that the guard admitted as a client."""
        if self.cert is None:
            raise LookupError("the guard admitted no client")
        return self.cert


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one route. `admit` asks the guard again: long calls must end when the caller's right does."""

    relay: Relay
    who: Principal
    now: int
    admit: Callable[[], Principal]
    parameters: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    peer: str = ""
    last_event: str = ""
    host: str = ""
    from_cookie: bool = False
    same_origin: bool = False  # a browser says that the console itself sent it
    reply: dict[str, str] = field(default_factory=dict)  # headers that the answer takes along


def client_audience(key: bytes) -> str:
    return f"client/{public.b64encode(key)}"
