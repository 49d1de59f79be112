"""The organisation that this relay serves: its root chain and roster, verified, and what follows from them at a moment.

The relay verifies what it takes, as everybody does who relies on it; its own checks save people from noise and decide nothing
that an approver or a client does not check again. `Standing` never changes: a new roster makes a new one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stillvault.crypto import public
from stillvault.protocol import messages, objects
from stillvault.protocol.errors import Refused
from stillvault.relay.problems import ProblemError
from stillvault.relay.services.verified import claimed, raw, read
from stillvault.relay.store import trust as store
from stillvault.relay.store.connection import Connection


class Standing:
    """A verified root chain and roster. Everything asked of it is asked for a moment `now` (unix seconds)."""

    def __init__(self, trust: public.Trust, roots: Sequence[bytes], roster: bytes) -> None:
        self.trust = trust
        self.root = read(objects.Root, trust.root)
        self.roster = read(objects.Roster, trust.roster)
        self.roots = list(roots)
        self.wire = messages.Trust([raw(one) for one in roots], raw(roster))
        self._people = {person.id: person for person in self.roster.people}
        self._revoked = frozenset(self.roster.revoked)
        self._certs: dict[bytes, public.Cert] = {}

    @property
    def pin(self) -> str:
        return public.b64encode(self.trust.pin)

    def roles(self, person: str) -> frozenset[str]:
        return frozenset(self._people[person].roles) if person in self._people else frozenset()

    def device(self, person: str, device: str, now: int) -> objects.Device | None:
        """A rostered device in date."""
        for one in self._people[person].devices if person in self._people else ():
            if one.id == device and one.added <= now < one.expires:
                return one
        return None

    def signs(self, person: str, device: str, signer: str, now: int) -> bool:
        """Whether the device is in date and still lists the key with this hash; '' is any of its keys."""
        found = self.device(person, device, now)
        keys = found.auth if found else []
        return any(signer in ("", public.b64encode(public.sha256(public.b64decode(key.public)))) for key in keys)

    def admins(self) -> list[str]:
        return [person.id for person in self.roster.people if "admin" in person.roles]

    def policy(self, path: str) -> objects.Policy:
        """The policy of the longest match. Raises `Refused` (no-policy)."""
        return msgspec.json.decode(self.trust.select_policy(path), type=objects.Policy)

    def usable(self, core: objects.Core, purpose: str, now: int) -> list[tuple[int, str, str]]:
        """The recipients who can decide a request for this secret: rostered approvers of the policy that counts, on a device in
        date and of its tier (7.3; for a reseal the policy is `core.policy`, section 6)."""
        policy = core.policy if purpose == "reseal" else self.policy(core.path)
        found: list[tuple[int, str, str]] = []
        for index, person, device in core.recipients:
            known = self.device(person, device, now)
            if known and person in policy.people and "approver" in self.roles(person) and _tier(known.tier) >= _tier(policy.tier):
                found.append((index, person, device))
        return found

    def answerers(self, secret: objects.Secret, purpose: str, now: int) -> list[str]:
        """The people among `usable`, each once."""
        return list(dict.fromkeys(person for _, person, _ in self.usable(secret.core, purpose, now)))

    def cert(self, db: Connection, oid: bytes, now: int) -> public.Cert | None:
        """A stored certificate that is good at this moment, else nothing."""
        if public.b64encode(oid) in self._revoked:
            return None
        known = self._certs.get(oid)
        if known is None:
            stored = store.cert(db, oid)
            if stored is None:
                return None
            try:
                known = self.trust.verify_cert(stored.signed, now)
            except Refused:
                return None
            self._certs[oid] = known
        return known if now < known.expires else None

    def is_revoked(self, oid: bytes) -> bool:
        return public.b64encode(oid) in self._revoked


def _tier(name: str) -> int:
    return objects.TIERS.index(name)


def key_hash(cert: public.Cert) -> bytes:
    """How the store knows a client: by its key, whichever certificate names it today."""
    return public.sha256(cert.public)


class Organisation:
    """The present standing; none before the set-up. Belongs to the loop."""

    def __init__(self, db: Connection) -> None:
        self.standing = load(db)

    def replace(self, standing: Standing) -> None:
        self.standing = standing


def load(db: Connection) -> Standing | None:
    """The stored roster, verified as of when it was stored: one that has ended since must still be there to be renewed."""
    newest = store.newest_roster(db)
    if newest is None:
        return None
    chain = store.roots(db)
    roots = [signed for _, _, signed in chain]
    return Standing(public.Trust.verify(chain[0][1], roots, newest.signed, newest.stored, None), roots, newest.signed)


def first(root: bytes, roster: bytes, now: int) -> Standing:
    """The standing of a new organisation: its id is the oid of its first root."""
    return Standing(public.Trust.verify(public.oid_of(root), [root], roster, now, None), [root], roster)


def following(present: Standing, new_roots: Sequence[bytes], roster: bytes, now: int) -> Standing:
    """The standing after a new roster, by the rules of section 8: no gap, no rollback, no fork."""
    roots = [*present.roots, *new_roots]
    trust = public.Trust.verify(present.trust.pin, roots, roster, now, (present.trust.pair, present.trust.oid))
    # A reader who was away takes a later version; the relay has seen all of them, so it takes the very next one alone: a jump
    # would name no predecessor, and could use the numbers up.
    (root, version), (before, last) = trust.pair, present.trust.pair
    if root == before and version != last + 1:
        raise ProblemError("conflict", "the version is not the next one", "roster")
    standing = Standing(trust, roots, roster)
    # Section 4. A reader has no roster before this one to compare with; people are told by whoever seals next.
    before_it = {(person.id, device.id): device.kem for person in present.roster.people for device in person.devices}
    for person in standing.roster.people:
        for device in person.devices:
            if before_it.get((person.id, device.id), device.kem) != device.kem:
                raise ProblemError("conflict", "a new KEM key means a new device id", "roster")
    return standing


def root_versions(roots: Sequence[bytes]) -> list[tuple[int, bytes, bytes]]:
    """(version, oid, signed) for the store."""
    return [(claimed(objects.Root, one).version, public.oid_of(one), one) for one in roots]
