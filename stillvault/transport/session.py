"""Signing in: a `login` over the relay's nonce, signed by a device or a client (protocol section 4, `login`).

The signature names the organisation and the origin that we dialled, so a login made for one relay is worth nothing at
another. Sessions last a quarter of an hour; one is kept in the home until it is nearly over (`kept_session`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from stillvault.crypto.public import b64encode, encode
from stillvault.protocol.messages import Login, Nonce, Nothing, Session
from stillvault.transport.home import Home
from stillvault.transport.http import Relay

MARGIN = 60  # seconds before its end at which a session is no longer used


class Kept(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """session.json: the bearer of the last sign-in of this home's person."""

    token: str
    expires: int
    who: str
    v: int = 1


def sign_in(relay: Relay, sign: Callable[[bytes], bytes], *, org: bytes, now: int, person: str = "", device: str = "",
            client: str = "", origin: str = "") -> Session:
    """Signs in as a person's device, or as the client whose certificate has the oid `client`. `sign` wraps a `login`."""
    nonce = relay.call("POST", "/v1/login/nonce", Nothing(), returns=Nonce).nonce
    payload = encode({"org": b64encode(org), "origin": origin or relay.origin, "nonce": nonce, "issued": now})
    login = Login(login=msgspec.Raw(sign(payload)), person=person, device=device, client=client)
    return relay.call("POST", "/v1/login", login, returns=Session)


def kept_session(home: Home, who: str, now: int) -> str:
    """The token of a session that is still good for a minute, or the empty string."""
    kept = home.read("session.json", Kept)
    return kept.token if kept is not None and kept.who == who and now + MARGIN < kept.expires else ""


def keep_session(home: Home, who: str, session: Session) -> None:
    """Remembers a session for the commands to come."""
    home.write("session.json", Kept(token=session.token, expires=session.expires, who=who))


def forget_session(home: Home) -> None:
    """Drops the remembered session."""
    home.remove("session.json")
