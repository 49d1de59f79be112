"""What the organisation says now: the verified roster, this home's identities under it, and the way from a path to a policy.

Belongs to the event loop. Trust only moves forward; the store that hands it out has verified it and remembers it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import msgspec

from stillvault.client import flow
from stillvault.client.flow import Client
from stillvault.client.identities import Identities
from stillvault.crypto import public
from stillvault.crypto.public import Trust
from stillvault.protocol.errors import Forbidden, NoApprover, Refused, StillvaultError, Unavailable
from stillvault.protocol.objects import RECOVERY_INDEX, Policy, Roster, Secret

log = logging.getLogger("stillvault.daemon")

RESCAN = 1.0  # seconds between looks for identities that joined
MAX_ROUTES = 16384  # remembered (path, client) pairs


class Standing:
    """Trust, roster, identities."""

    def __init__(self, identities: Identities) -> None:
        self.identities = identities
        self.trust: Trust | None = None
        self.clients: list[Client] = []
        self.missing: StillvaultError = Unavailable("no-roster", "the relay has not been reached and no roster is known",
                                                    "check that the relay runs")
        self.on_new: Callable[[], None] = lambda: None  # an identity joined
        self._scanned = time.monotonic()
        self._roster: Roster | None = None
        self._routes: dict[tuple[str, str, str], tuple[Client, Policy]] = {}

    @property
    def roster(self) -> Roster:
        """The verified roster."""
        if self._roster is None:
            raise self.missing
        return self._roster

    def require(self) -> Trust:
        """The verified trust, or the reason why there is none."""
        if self.trust is None:
            raise self.missing
        return self.trust

    def take(self, trust: Trust) -> bool:
        """A newer trust. False where it is not newer."""
        if self.trust is not None and trust.pair <= self.trust.pair:
            return False
        self.trust = trust
        self._roster = msgspec.json.decode(trust.roster, type=Roster)
        self.look_again()
        return True

    def look_again(self) -> None:
        """The identities under the roster of now: certificates are renewed, revoked, and run out."""
        self._routes.clear()
        if self.trust is None:
            return
        try:
            self.clients = self.identities.verified(self.trust, int(time.time()))
        except StillvaultError as error:
            self.clients, self.missing = [], error

    def route(self, path: str, wanted: str, agent: str = "") -> tuple[Client, Policy]:
        """Who may ask for a path for a caller, and its policy. Raises `Forbidden` out of scope and where no policy covers it."""
        found = self._routes.get((path, wanted, agent))
        if found is not None:
            return found
        trust = self.require()
        if not self.clients:
            raise self.missing
        client = self._choose(path, wanted, agent)
        try:
            policy = flow.decode_policy(trust.select_policy(path))
        except Refused as error:
            raise Forbidden(error.code, f"no policy covers {path}",
                            "an administrator makes one with `stillvault policy set`") from None
        if len(self._routes) >= MAX_ROUTES:
            self._routes.clear()
        self._routes[(path, wanted, agent)] = (client, policy)
        return client, policy

    def _choose(self, path: str, wanted: str, agent: str) -> Client:
        try:
            return flow.choose(self.clients, path, wanted, agent)
        except Forbidden:
            # It may have joined this minute; looking costs little, and not more than once a second.
            if not self.rescan():
                raise
            return flow.choose(self.clients, path, wanted, agent)

    def rescan(self) -> bool:
        """Looks for identities that joined. True where there is one."""
        now = time.monotonic()
        if now < self._scanned + RESCAN:
            return False
        self._scanned = now
        try:
            new = self.identities.load()
        except StillvaultError as error:
            log.warning("the identities could not be read again: %s", error)
            return False
        if new:
            self.look_again()
            self.on_new()
        return bool(new)

    def check_open(self, client: Client, path: str, policy: Policy, now: int) -> None:
        """Whether people could answer at all. Raises `Forbidden` (hold) or `NoApprover`."""
        trust = self.require()
        try:
            people = len({index for index, _, _ in trust.recipients(path, now) if index <= RECOVERY_INDEX})
        except Refused as error:
            raise NoApprover(error.code, f"too few people can answer for {path}",
                             "an administrator must enrol a device") from None
        flow.check_open(self.roster, client, path, policy, people, now)

    def check_recipients(self, secret: public.Secret, path: str, policy: Policy) -> None:
        """Whether enough people of the policy can open this sealing of the secret. Raises `NoApprover`."""
        core = msgspec.json.decode(secret.payload, type=Secret).core
        devices = {(person.id, device.id) for person in self.roster.people for device in person.devices
                   if device.expires > time.time()}
        people = {person for _, person, device in core.recipients if (person, device) in devices and person in policy.people}
        if len(people) < core.policy.threshold:
            raise NoApprover("no-approver", f"{path} is sealed to {len(people)} of the {core.policy.threshold} people it needs",
                             "a sealer re-seals it: `stillvault reseal --needed`")

    def why(self, *, system: bool, exact: bool) -> str:
        """One line for `whoami`: the grade, and what does not stand."""
        text = ("every account of this host is told apart by the kernel" if system else
                "user mode: the daemon runs as the same account as its callers")
        if not exact:
            text += "; this kernel has no SO_PEERPIDFD: callers are held by their pid, which is weaker"
        for subject, error in sorted(self.identities.refusals.items()):
            text += f"; {subject} does not stand ({error.code})"
        return text
