"""Set-up and publishing: how a root chain, a roster and certificates come to the relay."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from stillvault.crypto import public
from stillvault.protocol import messages, objects
from stillvault.protocol.lifecycle import Event
from stillvault.relay.context import Call, Relay
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import enrolment, moving
from stillvault.relay.services.organisation import Standing, first, following, key_hash, root_versions
from stillvault.relay.services.verified import raw, read
from stillvault.relay.store import bearers, requests, secrets, targets, wrapped
from stillvault.relay.store import trust as store
from stillvault.relay.store.transaction import Transaction


async def found(call: Call, root: bytes, roster: bytes, certs: Sequence[bytes]) -> str:
    """Creates the organisation, once. The root must name this relay: its origin, its host, its log.

    1. root and roster verify, with the oid of the root as the pin
    2. origins, rp_id and log are this relay's
    3. certificates verify
    4. there is no organisation yet, and the token is still good: one caller wins
    """
    relay, now = call.relay, call.now
    # 1.
    standing = first(root, roster, now)
    # 2.
    named = standing.root
    host = urlsplit(relay.origin).hostname
    mine = ([relay.origin], host, relay.log_key.origin, public.b64encode(relay.log_key.public))
    if (named.origins, named.rp_id, named.log.origin, named.log.public) != mine:
        raise ProblemError("identity")
    # 3.
    verified = [(standing.trust.verify_cert(one, now), one) for one in certs]

    def change(tx: Transaction) -> None:
        # 4.
        if store.newest_roster(tx.connection) is not None:
            raise ProblemError("organisation-exists")
        if not bearers.has_setup_token(tx.connection, call.who.bearer, now):
            raise ProblemError("sign-in")
        bearers.take_setup_tokens(tx.connection)
        _store(tx, standing, [root], roster, verified, "setup", now)
        for person in standing.roster.people:
            tx.leaf("enrolled", "setup", now, oid=standing.trust.oid, people=person.id, outcome="confirmed")

    await relay.writer.write(change, on_durable=lambda _: relay.organisation.replace(standing))
    return standing.pin


async def publish(call: Call, body: messages.Publish) -> messages.Trust:
    """Takes the next roster, with the root and certificates that go with it, and moves every request that it concerns.

    1. the chain, the roster and its place behind the present one verify (section 8); its root names our log; certificates verify
       under it
    2. where it confirms an enrolment, the roster lists the keys of that enrolment
    3. one transaction: nobody published in between; requests lose the people and clients that were dropped
    """
    relay, now = call.relay, call.now
    present = _standing(relay)
    roster = bytes(body.roster)
    if public.oid_of(roster) == present.trust.oid:
        return present.wire  # said before: changes nothing
    # 1.
    standing = following(present, [bytes(one) for one in body.roots], roster, now)
    if not relay.log_key.names(standing.root.log.origin, public.b64decode(standing.root.log.public)):
        raise ProblemError("identity")  # nobody could verify a checkpoint of ours any more
    verified = [(standing.trust.verify_cert(bytes(one), now), bytes(one)) for one in body.certs]
    # 2.
    confirmed = enrolment.to_confirm(relay.reader, body.enrol, now) if body.enrol else None
    if confirmed:
        enrolment.check_rostered(confirmed, standing.roster)

    def change(tx: Transaction) -> None:
        # 3.
        newest = store.newest_roster(tx.connection)
        if newest is None or newest.oid != present.trust.oid:
            raise ProblemError("conflict")
        _store(tx, standing, [bytes(one) for one in body.roots], roster, verified, call.who.actor, now)
        _tell_changes(tx, present, standing, call.who.actor, now)
        if confirmed:
            cert = enrolment.certificate_for(confirmed, verified)
            enrolment.confirm(tx, confirmed, cert, call.who.actor, now)
        wrapped.keep_devices(tx.connection, ((p.id, d.id) for p in standing.roster.people for d in p.devices))
        _move_requests(tx, standing, now)
        _keep_targets(tx, standing)

    # Whoever waits is woken by the event to `all`, after the standing changed, and asked again for the right to listen.  # C20
    await relay.writer.write(change, on_durable=lambda _: relay.organisation.replace(standing))
    return standing.wire


async def add_client(call: Call, body: messages.NewClient) -> None:
    """Takes a client certificate: that of an enrolment, or a renewed one of a key that is known."""
    relay, now = call.relay, call.now
    standing = _standing(relay)
    signed = bytes(body.cert)
    cert = standing.trust.verify_cert(signed, now)
    confirmed = enrolment.to_confirm(relay.reader, body.enrol, now) if body.enrol else None
    if confirmed:
        enrolment.check_certified(confirmed, cert)
    elif store.newest_cert(relay.reader, key_hash(cert), cert.subject) is None:
        raise ProblemError("enrolment", "a certificate for a key that never enrolled", "enrol")

    def change(tx: Transaction) -> None:
        _store_cert(tx, cert, signed, now)
        if confirmed:
            enrolment.confirm(tx, confirmed, signed, call.who.actor, now)
        else:
            tx.leaf("renewed", call.who.actor, now, oid=cert.oid, host=cert.host, device=cert.subject)
        tx.event("people", "roster", now, oid=cert.oid)

    await relay.writer.write(change)


def clients(relay: Relay) -> list[messages.Client]:
    standing = _standing(relay)
    return [
        messages.Client(raw(one.signed), public.b64encode(one.oid), one.last_seen, standing.is_revoked(one.oid))
        for one in store.certs(relay.reader)
    ]


def _standing(relay: Relay) -> Standing:
    if relay.organisation.standing is None:
        raise ProblemError("no-organisation")
    return relay.organisation.standing


def _store(
    tx: Transaction,
    standing: Standing,
    new_roots: Sequence[bytes],
    roster: bytes,
    certs: Sequence[tuple[public.Cert, bytes]],
    actor: str,
    now: int,
) -> None:
    for version, oid, signed in root_versions(new_roots):
        store.add_root(tx.connection, version, oid, signed)
    root, version = standing.trust.pair
    store.add_roster(tx.connection, store.StoredRoster(root, version, standing.trust.oid, roster, now))
    for cert, signed in certs:
        _store_cert(tx, cert, signed, now)
    tx.leaf("roster", actor, now, oid=standing.trust.oid, version=version, outcome=f"root {root}")
    tx.event("all", "roster", now, oid=standing.trust.oid)


def _tell_changes(tx: Transaction, before: Standing, after: Standing, actor: str, now: int) -> None:
    """Rows for what a reader of the log looks for beside the roster itself: policies that changed, clients that were revoked."""
    old = {policy.id: policy for policy in before.roster.policies}
    for policy in after.roster.policies:
        if old.pop(policy.id, None) != policy:
            people = f"{policy.threshold} of {','.join(policy.people)}"
            tx.leaf("policy", actor, now, oid=after.trust.oid, people=people, window=policy.window, outcome=f"{policy.id} set")
    for name in old:
        tx.leaf("policy", actor, now, oid=after.trust.oid, outcome=f"{name} removed")
    for one in sorted(set(after.roster.revoked) - set(before.roster.revoked)):
        stored = store.cert(tx.connection, public.b64decode(one))
        subject = stored.subject if stored else ""
        tx.leaf("revoked", actor, now, oid=public.b64decode(one), device=subject, outcome="client")


def _store_cert(tx: Transaction, cert: public.Cert, signed: bytes, now: int) -> None:
    issued = read(objects.ClientCert, cert.payload).issued
    store.add_cert(tx.connection, cert.oid, cert.subject, key_hash(cert), signed, issued, now)


def _keep_targets(tx: Transaction, standing: Standing) -> None:
    """Nobody who was dropped is told anything more."""
    people = standing.roster.people
    targets.keep(tx.connection, [one.id for one in people], [(one.id, device.id) for one in people for device in one.devices])


def _move_requests(tx: Transaction, standing: Standing, now: int) -> None:
    """Section 9: who was dropped no longer counts, who was revoked gets nothing more."""
    for request in requests.touched_by_roster(tx.connection, now):
        if standing.is_revoked(request.client):
            moving.move(tx, request, Event("client-revoked", now))
            continue
        stored = secrets.by_oid(tx.connection, request.secret)
        if stored is None:
            continue
        secret = read(objects.Secret, public.payload_of("secret", stored.signed))
        standing_people = set(standing.answerers(secret, request.purpose, now))
        gone = {person for person in request.people if person not in standing_people}
        gone |= {
            vote.person
            for vote in requests.votes(tx.connection, request.oid)
            if vote.verdict == "approve" and standing.device(vote.person, vote.device, now) is None
        }
        for person in sorted(gone):
            fresh = requests.get(tx.connection, request.oid)
            if fresh is not None:
                moving.move(tx, fresh, Event("roster-drops", now, person=person))
