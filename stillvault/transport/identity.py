"""The clients that live in a home: `clients/<subject>/` with the key, the certificate and what an administrator granted.

A client's key has no passphrase: a host must start without a person. It is as safe as the account that owns the home, which
is why a certificate carries the grade of its host and why a release still needs a person.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from stillvault.crypto.private import SigningKey
from stillvault.crypto.public import Cert, Trust, b64decode, b64encode, check_path
from stillvault.protocol.errors import Usage
from stillvault.transport.home import Home


class StoredKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """client.key."""

    alg: str
    secret: str
    v: int = 1


class StoredClient(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """client.json: the subject that the certificate must name."""

    subject: str
    v: int = 1


@dataclass(frozen=True)
class ClientIdentity:
    """A client's key and the bytes of its certificate, not verified: `verified` does that against a roster."""

    subject: str
    key: SigningKey
    cert: bytes

    def verified(self, trust: Trust, now: int) -> Cert:
        """The certificate, if the roster's admins signed it, it is in date and not revoked, and it is of this key."""
        cert = trust.verify_cert(self.cert, now)
        if cert.subject != self.subject or cert.public != self.key.public:
            raise Usage("home", f"the certificate of {self.subject} is not of the key beside it", "join anew")
        return cert


def save_client(home: Home, subject: str, key: SigningKey, cert: bytes) -> None:
    """Stores a client. The certificate comes last: a client without one does not count."""
    check_path(subject)
    home.write(f"clients/{subject}/client.key", StoredKey(alg=key.alg, secret=b64encode(key.secret_bytes())))
    home.write(f"clients/{subject}/client.json", StoredClient(subject=subject))
    home.write_bytes(f"clients/{subject}/cert.json", cert)


def save_cert(home: Home, subject: str, cert: bytes) -> None:
    """Replaces the certificate by a renewed one of the same key."""
    check_path(subject)
    home.write_bytes(f"clients/{subject}/cert.json", cert)


def load_client(home: Home, subject: str) -> ClientIdentity | None:
    """One client, or None where it is not here."""
    check_path(subject)
    stored = home.read(f"clients/{subject}/client.key", StoredKey)
    cert = home.read_bytes(f"clients/{subject}/cert.json")
    if stored is None or cert is None:
        return None
    return ClientIdentity(subject=subject, key=SigningKey.from_bytes(stored.alg, b64decode(stored.secret)), cert=cert)


def load_clients(home: Home) -> list[ClientIdentity]:
    """All clients of this home, in order of subject. People's own certificates (`person/<id>`) are among them."""
    subjects = [name[len("clients/") : -len("/cert.json")] for name in home.names("clients") if name.endswith("/cert.json")]
    found = (load_client(home, subject) for subject in subjects)
    return [one for one in found if one is not None]
