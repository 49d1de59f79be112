"""Invites and enrolments (section 11). The relay carries them and sees to it that each bearer is used once; that the keys are the
joiner's is shown by the five words and the proof, which the relay cannot make.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Sequence
from typing import Literal, cast

from msgspec import UnsetType
from msgspec.structs import replace

from stillvault.crypto import public
from stillvault.protocol import messages, objects
from stillvault.relay.context import Call, Principal, Relay
from stillvault.relay.problems import ProblemError
from stillvault.relay.services.sign_in import TOKEN_BYTES, oid
from stillvault.relay.services.verified import claimed, raw, read
from stillvault.relay.store import invites
from stillvault.relay.store.connection import Connection
from stillvault.relay.store.invites import StoredInvite
from stillvault.relay.store.transaction import Transaction

LISTED_DAYS = 30
FETCHED_WITHIN = 86_400  # seconds that a joiner has to fetch what a confirmation brought
GRADES = ("system", "user")


def topic(invite: bytes) -> str:
    return f"enrol/{public.b64encode(invite)}"


# ---- the admin's side --------------------------------------------------------------------------------------------------


async def invite(call: Call, body: messages.NewInvite) -> None:
    """Notes an invite by its id and the hash of its bearer. Names and scopes must be of the protocol's form.  # C4, M9"""
    _check_terms(body)
    now, standing = call.now, call.relay.organisation.standing
    if body.device and (standing is None or standing.device(body.subject, body.device, now) is None):
        raise ProblemError("unknown", "no such device of that person", "device")
    new = StoredInvite(
        invite=oid(body.invite),
        kind=body.kind,
        subject=body.subject,
        roles=body.roles,
        scopes=body.scopes,
        host=body.host,
        grade=body.grade,
        created=now,
        expires=now + call.relay.settings.limits.invite_seconds,
        created_by=call.who.actor,
        state="open",
        device=body.device,
    )
    bearer = oid(body.bearer_hash)

    def change(tx: Transaction) -> None:
        if not invites.add(tx.connection, bearer, new):
            raise ProblemError("conflict")

    await call.relay.writer.write(change)


def _check_terms(body: messages.NewInvite) -> None:
    if body.kind == "person":
        public.check_id(body.subject)
        if body.device and not body.roles and not (body.scopes or body.host or body.grade):
            return  # one more passkey of a device that is there: whose roles they are stands on the roster
        if (
            body.device
            or body.subject == "recovery"
            or not body.roles
            or len(set(body.roles)) != len(body.roles)
            or set(body.roles) - set(objects.ROLES)
        ):
            raise ProblemError("body-form", "a person has an id and distinct roles, one more passkey none", "roles")
        if body.scopes or body.host or body.grade:
            raise ProblemError("body-form", "scopes, host and grade are of a client", "scopes")
        return
    public.check_path(body.subject)
    for pattern in body.scopes:
        public.check_pattern(pattern)
    if body.device:
        raise ProblemError("body-form", "a device is of a person", "device")
    if body.roles or not body.scopes or body.grade not in GRADES or not 0 < len(body.host) <= 200 or not body.host.isprintable():
        raise ProblemError("body-form", "a client has a host, a grade and scopes", "grade")


def listed(relay: Relay, who: Principal, now: int) -> list[messages.Invite]:
    """All of them for an admin; for anybody else those of one more passkey for the session's own device, which has the key."""
    found = invites.listed(relay.reader, now - LISTED_DAYS * 86_400)
    if "admin" not in who.roles:
        found = [one for one in found if one.device and (one.subject, one.device) == (who.person, who.device)]
    return [_line(one, now) for one in found]


def terms(who: Principal) -> messages.InviteTerms:
    """What the invite says, for the joiner's screen: nothing that counts before the words were compared."""
    found = _mine(who)
    kind: Literal["person", "client"] = "person" if found.kind == "person" else "client"
    return messages.InviteTerms(
        kind, found.subject, found.expires, found.roles, found.scopes, found.host, found.grade, found.device
    )


def _line(one: StoredInvite, now: int) -> messages.Invite:
    line = messages.Invite(
        invite=public.b64encode(one.invite),
        kind="person" if one.kind == "person" else "client",
        subject=one.subject,
        roles=one.roles,
        scopes=one.scopes,
        host=one.host,
        grade=one.grade,
        created=one.created,
        expires=one.expires,
        state=_state(one, now),
        proof=one.proof,
        device=one.device,
        transferred=one.transfer_ct is not None,
    )
    return replace(line, enrol=raw(one.enrol)) if one.enrol else line


State = Literal["open", "joined", "challenged", "proved", "confirmed", "cancelled", "expired"]


def _state(one: StoredInvite, now: int) -> State:
    over = one.expires <= now and one.state in ("open", "joined", "challenged", "proved")
    return "expired" if over else cast(State, one.state)  # the table's CHECK


async def challenge(call: Call, body: messages.Challenge) -> None:
    """Stores what the joiner must open. A second one replaces the first until it was proved."""
    which = oid(call.parameters["invite"])
    for text in (body.enc, body.ct):
        public.b64decode(text)

    def change(tx: Transaction) -> None:
        if not invites.challenge(tx.connection, which, call.now, body.enc, body.ct):
            raise ProblemError("enrolment")
        tx.wake(topic(which))

    await call.relay.writer.write(change)


async def cancel(call: Call) -> None:
    which = oid(call.parameters["invite"])

    def change(tx: Transaction) -> None:
        found = invites.by_invite(tx.connection, which)
        if found is None:
            raise ProblemError("unknown")
        if not invites.cancel(tx.connection, which):
            raise ProblemError("enrolment")
        tx.leaf("cancelled", call.who.actor, call.now, device=found.subject, outcome="invite")
        tx.wake(topic(which))

    await call.relay.writer.write(change)


# ---- the joiner's side -------------------------------------------------------------------------------------------------


async def join(call: Call, body: messages.Enrol) -> messages.Enrolled:
    """Uses the bearer for one signed `enrol`, and gives a ticket that sees this enrolment alone."""
    relay, now = call.relay, call.now
    standing, found = relay.organisation.standing, call.who.invite
    if standing is None or found is None:
        raise ProblemError("no-organisation")
    signed = bytes(body.enrol)
    enrol = public.verify_enrol(standing.trust.pin, standing.root.origins, signed, found.invite)
    if found.device and isinstance(read(objects.Enrol, enrol.payload).kem, UnsetType):
        raise ProblemError("enrolment", "one more passkey needs a key that the device's key can be sealed to", "enrol")
    ticket = public.b64encode(randomness.token_bytes(TOKEN_BYTES))
    hashed = public.sha256(ticket.encode())
    ends = now + relay.settings.limits.enrolment_seconds

    def change(tx: Transaction) -> None:
        if not invites.join(tx.connection, call.who.bearer, now, signed, enrol.oid, hashed, ends):
            raise ProblemError("sign-in")  # somebody else used it in this very moment  # C8
        tx.leaf("enrolled", found.subject, now, oid=enrol.oid, people=found.subject, outcome="joined")
        for person in {*standing.admins(), *([found.subject] if found.device else [])}:
            tx.event(f"person/{person}", "enrol", now, oid=enrol.oid)

    await relay.writer.write(change)
    return messages.Enrolled(ticket, public.b64encode(enrol.oid))


async def prove(call: Call, body: messages.Proof) -> None:
    """The opened challenge, for the admin to compare. The relay does not know what it must be."""
    found = _mine(call.who)
    oid(body.proof)  # 32 bytes

    def change(tx: Transaction) -> None:
        if not invites.prove(tx.connection, found.invite, call.now, body.proof):
            raise ProblemError("enrolment")
        tx.wake(topic(found.invite))
        standing = call.relay.organisation.standing
        for admin in standing.admins() if standing else ():
            tx.event(f"person/{admin}", "enrol", call.now, oid=found.enrol_oid or b"")

    await call.relay.writer.write(change)


async def state(call: Call, wait: float) -> messages.EnrolState:
    """Where this enrolment stands; waits up to `wait` seconds while there is nothing for the joiner to do."""
    relay, invite = call.relay, _mine(call.who).invite
    ends = relay.clock() + wait
    before: bool | None = None
    with relay.hub.listen([topic(invite)]) as bell:
        while True:
            bell.clear()
            found = invites.by_invite(relay.reader, invite)
            if found is None:
                raise ProblemError("unknown")
            now, handed = relay.clock(), found.transfer_ct is not None
            before = handed if before is None else before
            if _state(found, now) not in ("joined", "proved") or handed != before or now >= ends or relay.hub.closed:
                return _answer(relay, found, now)
            await relay.hub.wait(bell, ends - now)


def _answer(relay: Relay, found: StoredInvite, now: int) -> messages.EnrolState:
    state = _state(found, now)
    if state == "open":
        raise LookupError("a ticket exists, so somebody joined")
    answer = messages.EnrolState(state)
    if found.transfer_enc and found.transfer_ct:
        answer = replace(answer, transfer=messages.Challenge(found.transfer_enc, found.transfer_ct))
    if found.challenge_enc and found.challenge_ct:
        answer = replace(answer, challenge=messages.Challenge(found.challenge_enc, found.challenge_ct))
    if found.state == "confirmed" and relay.organisation.standing:
        answer = replace(answer, trust=relay.organisation.standing.wire)
        if found.cert:
            answer = replace(answer, cert=raw(found.cert))
    return answer


def _mine(who: Principal) -> StoredInvite:
    if who.invite is None:
        raise LookupError("the guard admitted no enrolment")
    return who.invite


# ---- confirmation ------------------------------------------------------------------------------------------------------


def to_confirm(db: Connection, enrol: str, now: int) -> StoredInvite:
    """The enrolment that an admin confirms by publishing. Raises `enrolment`."""
    found = invites.by_enrol(db, oid(enrol))
    if found is None or _state(found, now) not in ("joined", "challenged", "proved"):
        raise ProblemError("enrolment", field="enrol")
    return found


def _enrolled(found: StoredInvite) -> objects.Enrol:
    return claimed(objects.Enrol, found.enrol or b"")  # verified when it was taken


def check_rostered(found: StoredInvite, roster: objects.Roster) -> None:
    """The roster must list the keys of the enrolment that it confirms: nobody else slips in under its name."""
    enrol = _enrolled(found)
    for person in roster.people:
        for device in person.devices:
            if found.device not in ("", device.id):
                continue
            if person.id == found.subject and enrol.auth.public in [key.public for key in device.auth]:
                return
    raise ProblemError("enrolment", "the roster does not list the enrolled keys", "enrol")


def check_certified(found: StoredInvite, cert: public.Cert) -> None:
    """The certificate must be for the key of the enrolment and say what the invite said."""
    key = public.b64decode(_enrolled(found).auth.public)
    if found.kind != "client" or key != cert.public or cert.subject != found.subject or cert.host != found.host:
        raise ProblemError("enrolment", "the certificate is not that of the enrolment", "enrol")


def certificate_for(found: StoredInvite, certs: Sequence[tuple[public.Cert, bytes]]) -> bytes | None:
    """Among new certificates, the one over the enrolment's `client` key."""
    wanted = _enrolled(found).client
    for cert, signed in certs:
        if wanted and read(objects.ClientCert, cert.payload).key.public == wanted.public:
            return signed
    return None


def confirm(tx: Transaction, found: StoredInvite, cert: bytes | None, actor: str, now: int) -> None:
    if not invites.confirm(tx.connection, found.invite, now, now + FETCHED_WITHIN, cert):
        raise ProblemError("enrolment")
    tx.leaf("enrolled", actor, now, oid=found.enrol_oid or b"", people=found.subject, outcome="confirmed")
    tx.wake(topic(found.invite))
