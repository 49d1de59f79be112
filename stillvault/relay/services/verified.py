"""From verified bytes to typed objects, in the one place where the relay reads what was signed.

`read` takes payloads that the core returned from a verification. `claimed` reads what a wrapper says before anybody verified
it, for routing alone: which certificate, which request, whose device.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from stillvault.crypto import public
from stillvault.protocol import objects

T = TypeVar("T", bound=objects.Object)

TYPES: dict[type[objects.Object], str] = {
    objects.Root: "root",
    objects.Roster: "roster",
    objects.ClientCert: "client-cert",
    objects.Secret: "secret",
    objects.Request: "request",
    objects.Decision: "decision",
    objects.Receipt: "receipt",
    objects.Cancel: "cancel",
    objects.Enrol: "enrol",
}


def read(kind: type[T], payload: bytes) -> T:
    """A payload whose signature and schema were checked by the core."""
    return msgspec.json.decode(payload, type=kind)


def claimed(kind: type[T], signed: bytes) -> T:
    """UNVERIFIED: what a wrapper claims. Form and schema are checked, the signature is not."""
    return msgspec.json.decode(public.payload_of(TYPES[kind], signed), type=kind)


class Signature(msgspec.Struct):
    """Of a signed object: the key that made the signature and, from a passkey, its authenticator data."""

    key: str
    auth_data: str = ""


class _Signed(msgspec.Struct):
    signatures: list[Signature]


def signature(signed: bytes) -> Signature:
    """The one signature of an object that the core verified."""
    return msgspec.json.decode(signed, type=_Signed).signatures[0]


def raw(signed: bytes) -> msgspec.Raw:
    """A stored wrapper as it goes over the wire, byte for byte."""
    return msgspec.Raw(signed)
