"""The clients whose keys live in this home, and what their certificates allow under the current roster.

Several may live in one daemon: a host, and agents on it. People's own certificates (`person/<id>`) ask for nothing here. A
certificate that does not verify (expired, revoked, of another key) takes part in nothing, and `whoami` says why.
"""

from __future__ import annotations

import threading

import msgspec

from stillvault.client.flow import PERSON, Client
from stillvault.crypto.private import SigningKey
from stillvault.crypto.public import Trust, b64encode, payload_of
from stillvault.protocol.errors import Forbidden, StillvaultError, Usage
from stillvault.protocol.objects import ClientCert
from stillvault.transport.home import Home
from stillvault.transport.identity import ClientIdentity, load_clients, save_cert


class Identities:
    """All of them, by subject. Safe to use from several threads."""

    def __init__(self, home: Home, pin: bytes) -> None:
        self._home = home
        self._pin = b64encode(pin)
        self._lock = threading.Lock()
        self._all: dict[str, ClientIdentity] = {}
        self.refusals: dict[str, StillvaultError] = {}

    def load(self) -> list[str]:
        """Reads the home again; returns the subjects that are new."""
        found = {one.subject: one for one in load_clients(self._home) if not one.subject.startswith(PERSON)}
        for one in found.values():
            # A key is bound to one organisation: a home that was pointed elsewhere does not use it, not even to sign in.
            if msgspec.json.decode(payload_of("client-cert", one.cert), type=ClientCert).org != self._pin:
                raise Usage("other-organisation", f"the key of {one.subject} belongs to another organisation than home.json",
                            "restore home.json, or join anew in a home of its own")
        with self._lock:
            new = [subject for subject in found if subject not in self._all]
            self._all = found
        return new

    def require_one(self) -> None:
        """Raises where the home holds no client at all."""
        if not self.subjects():
            raise self._none({})

    def subjects(self) -> list[str]:
        """Every subject, in order."""
        with self._lock:
            return sorted(self._all)

    def key(self, subject: str) -> SigningKey:
        """The signing key of a client."""
        return self._one(subject).key

    def cert(self, subject: str) -> bytes:
        """The newest certificate of a client, as signed."""
        return self._one(subject).cert

    def renew(self, subject: str, cert: bytes, trust: Trust, now: int) -> None:
        """Takes a renewed certificate, if it verifies and is of the same subject and key; remembers it."""
        old = self._one(subject)
        if cert == old.cert:
            return
        new = ClientIdentity(subject=subject, key=old.key, cert=cert)
        new.verified(trust, now)
        save_cert(self._home, subject, cert)
        with self._lock:
            self._all[subject] = new

    def verified(self, trust: Trust, now: int) -> list[Client]:
        """Every identity whose certificate stands. The others are in `refusals`."""
        clients: list[Client] = []
        refusals: dict[str, StillvaultError] = {}
        for subject in self.subjects():
            try:
                cert = self._one(subject).verified(trust, now)
            except StillvaultError as error:
                refusals[subject] = error
                continue
            clients.append(Client(subject=cert.subject, oid=cert.oid, host=cert.host, grade=cert.grade,
                                  scopes=tuple(cert.scopes), expires=cert.expires))
        self.refusals = refusals
        if not clients:
            raise self._none(refusals)
        return clients

    def _none(self, refusals: dict[str, StillvaultError]) -> StillvaultError:
        if not refusals:
            return Usage("no-client", f"{self._home.path} holds no client",
                         "join one: `stillvault client invite` by an administrator, then `stillvault join URL` here")
        subject, error = next(iter(refusals.items()))
        return Forbidden("no-identity", f"the certificate of {subject} does not stand: {error.code}",
                         "an administrator renews it with `stillvault org renew`, or invites the host again")

    def _one(self, subject: str) -> ClientIdentity:
        with self._lock:
            try:
                return self._all[subject]
            except KeyError:
                raise Usage("no-client", f"{subject} is not in this home any more", "join it again") from None
