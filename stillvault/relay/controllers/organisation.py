"""The relay's own certificate, the set-up, trust, sign-in, people and clients."""

from __future__ import annotations

from stillvault.crypto import public
from stillvault.protocol import messages
from stillvault.relay.context import Call
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import enrolment, founding, limits, sealing, sign_in, wrapping
from stillvault.relay.services import sessions as own_sessions

NOTHING = messages.Nothing()


async def ca_pem(call: Call) -> bytes:
    return call.relay.ca_pem


async def live(_call: Call) -> messages.Health:
    return messages.Health("ok")


async def ready(call: Call) -> messages.Health:
    if call.relay.writer.failed:
        raise ProblemError("storage-failed")
    return messages.Health("ok")


async def log_key(call: Call) -> messages.LogKey:
    return messages.LogKey(call.relay.log_key.origin, public.b64encode(call.relay.log_key.public))


async def set_up(call: Call, body: messages.Setup) -> messages.Organisation:
    return messages.Organisation(
        await founding.found(call, bytes(body.root), bytes(body.roster), [bytes(one) for one in body.certs])
    )


async def trust(call: Call) -> messages.Trust:
    return sealing.standing_of(call).wire


async def nonce(call: Call, _body: messages.Nothing) -> messages.Nonce:
    return await sign_in.nonce(call)


async def passkey(call: Call, body: messages.Credential) -> messages.Passkey:
    return await sign_in.passkey(call, body)


async def login(call: Call, body: messages.Login) -> messages.Session:
    return await sign_in.sign_in(call, body)


async def logout(call: Call, _body: messages.Nothing) -> messages.Nothing:
    await own_sessions.sign_out(call)
    return NOTHING


async def environment(call: Call) -> messages.Environment:
    return own_sessions.environment(call)


async def session(call: Call) -> messages.Whoami:
    return own_sessions.own(call)


async def sessions(call: Call) -> messages.Sessions:
    return own_sessions.listed(call)


async def end_sessions(call: Call, body: messages.EndSessions) -> messages.Ended:
    return messages.Ended(await own_sessions.end(call, body.id))


async def publish(call: Call, body: messages.Publish) -> messages.Trust:
    return await founding.publish(call, body)


async def invites(call: Call) -> messages.Invites:
    return messages.Invites(enrolment.listed(call.relay, call.who, call.now))


async def invite_terms(call: Call) -> messages.InviteTerms:
    return enrolment.terms(call.who)


async def transfer(call: Call, body: messages.Challenge) -> messages.Nothing:
    await wrapping.transfer(call, body)
    return NOTHING


async def keep_wrapped(call: Call, body: messages.WrappedKey) -> messages.Nothing:
    await wrapping.keep(call, body)
    return NOTHING


async def wrapped(call: Call) -> messages.WrappedKeys:
    return wrapping.kept(call)


async def invite(call: Call, body: messages.NewInvite) -> messages.Nothing:
    await enrolment.invite(call, body)
    return NOTHING


async def challenge(call: Call, body: messages.Challenge) -> messages.Nothing:
    await enrolment.challenge(call, body)
    return NOTHING


async def cancel_invite(call: Call, _body: messages.Nothing) -> messages.Nothing:
    await enrolment.cancel(call)
    return NOTHING


async def freezes(call: Call) -> messages.Freezes:
    return messages.Freezes(limits.freezes(call))


async def lift(call: Call, body: messages.Lift) -> messages.Lifted:
    return messages.Lifted(await limits.lift(call, body.subject))


async def join(call: Call, body: messages.Enrol) -> messages.Enrolled:
    return await enrolment.join(call, body)


async def prove(call: Call, body: messages.Proof) -> messages.Nothing:
    await enrolment.prove(call, body)
    return NOTHING


async def add_client(call: Call, body: messages.NewClient) -> messages.Nothing:
    await founding.add_client(call, body)
    return NOTHING


async def clients(call: Call) -> messages.Clients:
    return messages.Clients(founding.clients(call.relay))
