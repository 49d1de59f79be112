"""The organisation that makes the load: real keys, real certificates, real rosters, enrolled through the relay as people do it.

It is thrown away with the run. `found` makes it, `handed_over` is what one process of Locust needs of it, keys and all, and
`revived` makes that process's own out of this. Every approver has a policy of their own, so that one
person is asked for one request, and every host one secret under it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec

from stillvault.crypto.private import KemKey, SigningKey
from stillvault.crypto.public import Trust, b64decode, b64encode
from tests.relay.parties import Client, Device, Organisation
from tests.relay.process import Reached, RelayProcess

VALUE = b"a value of thirty-two bytes, so."
ADMIN = "alice"


class Laboratory(Organisation):
    """Policies follow the people: `load-p03` for `load/p03/**`, decided by `p03`. The relay may be anywhere."""

    def __init__(self, relay: Reached) -> None:
        super().__init__(cast(RelayProcess, relay))  # nothing that is used here asks for its process

    def sign_roster(self, **changes: object) -> bytes:
        policies = [{**self.policy, "id": f"load-{person}", "match": [f"load/{person}/**"], "people": [person]}
                    for person in sorted(self.devices)]
        return super().sign_roster(policies=policies, **changes)

    def trust(self) -> Trust:
        """Verified once: the roster stands still while the load runs."""
        if not hasattr(self, "_trust"):
            self._trust = super().trust()
        return self._trust

    def publish(self, enrol: str = "", certs: tuple[bytes, ...] = ()) -> Any:
        vars(self).pop("_trust", None)
        return super().publish(enrol, certs)


class Keys(msgspec.Struct, frozen=True):
    """A device: base64url of its keys."""

    person: str
    auth: str
    kem: str


class Host(msgspec.Struct, frozen=True):
    """A client and the one secret that it asks for."""

    subject: str
    key: str
    cert: str
    path: str


class Handover(msgspec.Struct, frozen=True):
    """What the users of one process are made from."""

    host: str
    port: int
    ca: str
    root: str
    roster: str
    version: int
    approvers: list[Keys]
    hosts: list[Host]
    consoles: int


def found(relay: Reached, token: str, hosts: int, approvers: int) -> Laboratory:
    """Creates the organisation, enrols everybody, seals a secret for each host."""
    made = Laboratory(relay)
    made.create(token)
    people = [made.person(f"p{number:02}", "approver") for number in range(approvers)]
    for number in range(hosts):
        person = people[number % approvers].person
        made.client(f"host/load-{number:04}", scopes=(f"load/{person}/**",))
        made.seal(f"load/{person}/{number:04}", VALUE)
    return made


def handed_over(made: Laboratory, ca: Path, consoles: int, share: int, shares: int) -> Handover:
    """One process's share: every `shares`-th approver with all hosts that ask them, and consoles."""
    people = [device for name, device in made.devices.items() if name != ADMIN]
    mine = people[share::shares]
    paths = {name: client.scopes[0].removesuffix("**") + name.rpartition("-")[2] for name, client in made.clients.items()}
    folders = tuple(f"load/{device.person}/" for device in mine)
    return Handover(
        host=made.relay.host, port=made.relay.port, ca=str(ca), root=b64encode(made.root), roster=b64encode(made.roster),
        version=made.version,
        approvers=[Keys(device.person, b64encode(device.auth.secret_bytes()), b64encode(device.kem.secret_bytes()))
                   for device in mine],
        hosts=[Host(subject, b64encode(client.key.secret_bytes()), b64encode(client.cert), paths[subject])
               for subject, client in made.clients.items() if paths[subject].startswith(folders)],
        consoles=len(range(share, consoles, shares)),
    )


def revived(given: Handover) -> Laboratory:
    """The organisation as one process sees it: its own people and clients, and nobody's administrator."""
    made = Laboratory(Reached(given.host, given.port, Path(given.ca)))
    made.root, made.roster, made.version = b64decode(given.root), b64decode(given.roster), given.version
    made.devices = {}
    for one in given.approvers:
        auth, kem = SigningKey.from_bytes("ed25519", b64decode(one.auth)), KemKey.from_bytes(b64decode(one.kem))
        made.devices[one.person] = Device(made, one.person, f"{one.person}-phone", auth=auth, kem=kem)
    for host in given.hosts:
        key = SigningKey.from_bytes("ed25519", b64decode(host.key))
        made.clients[host.subject] = Client(made, host.subject, [], key=key, cert=b64decode(host.cert))
    return made
