"""A person's own sessions: whose this is, which there are, and their end. Bearers stand in the database as hashes alone."""

from __future__ import annotations

from urllib.parse import urlsplit

from stillvault.crypto import public
from stillvault.protocol import messages
from stillvault.relay.context import Call
from stillvault.relay.guards import COOKIE
from stillvault.relay.problems import ProblemError
from stillvault.relay.store import bearers, events
from stillvault.relay.store.transaction import Transaction

_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"


def set_cookie(token: str, seconds: int) -> str:
    """The value of Set-Cookie. No script reads it, no other site sends it, no other host gets it."""
    return f"{COOKIE}={token}; {_ATTRIBUTES}; Max-Age={seconds}"


def environment(call: Call) -> messages.Environment:
    relay, standing = call.relay, call.relay.organisation.standing
    named = urlsplit(relay.origin).netloc
    plain = messages.Environment(relay.origin, call.host.lower().removesuffix(":443") == named, standing is not None)
    if standing is None:
        return plain
    return messages.Environment(plain.public_url, plain.host_ok, True, standing.pin, standing.root.name)


def own(call: Call) -> messages.Whoami:
    who = call.who
    return messages.Whoami(who.person, who.device, sorted(who.roles), who.expires, events.cursor(call.relay.reader))


def listed(call: Call) -> messages.Sessions:
    relay = call.relay
    found = bearers.sessions_of(relay.reader, call.who.person, call.now)
    return messages.Sessions(
        [
            messages.OneSession(
                _id(hashed),
                one.device,
                one.created,
                relay.seen.at(hashed, one.last_seen),
                one.expires,
                hashed == call.who.bearer,
                one.label,
            )
            for hashed, one in found
        ]
    )


async def sign_out(call: Call) -> None:
    await call.relay.writer.write(lambda tx: bearers.end_session(tx.connection, call.who.bearer), essential=True)
    if call.from_cookie:
        call.reply["set-cookie"] = set_cookie("", 0)


async def end(call: Call, which: str) -> int:
    """Ends one of this person's sessions, or all of them. Whoever listens on one is woken, asked again, and hears no more."""
    person = call.who.person

    def change(tx: Transaction) -> list[bytes]:
        found = [hashed for hashed, _ in bearers.sessions_of(tx.connection, person, call.now) if which in ("", _id(hashed))]
        if which and not found:
            raise ProblemError("unknown")
        for hashed in found:
            bearers.end_session(tx.connection, hashed)
        tx.leaf("signed-out", person, call.now, device=call.who.device, outcome="one" if which else "all", count=len(found))
        tx.wake(f"person/{person}")
        return found

    ended = await call.relay.writer.write(change, essential=True)
    if call.from_cookie and call.who.bearer in ended:
        call.reply["set-cookie"] = set_cookie("", 0)
    return len(ended)


def _id(hashed: bytes) -> str:
    """A name for a session that says nothing about its bearer."""
    return public.b64encode(public.sha256(b"session:" + hashed)[:12])
