"""Signing the next roster and handing it to the relay.

The result is verified here, with the core's own rules, before it leaves: a roster that others would refuse is never
published. When another administrator was faster, the edit is made again on their roster.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stillvault.admin.roster import CERT_LIFE, Edit, successor
from stillvault.approver.account import Account
from stillvault.crypto.private import SigningKey
from stillvault.crypto.public import Trust, b64encode, oid_of, payload_of
from stillvault.protocol import messages
from stillvault.protocol.errors import Forbidden, Refused
from stillvault.protocol.objects import ClientCert, Key, Root, Roster, Signers, canonical
from stillvault.transport.home import Home
from stillvault.transport.http import RelayRefused

ATTEMPTS = 6
OVERTAKEN = ("conflict", "fork", "rollback")  # how the relay says that another roster came first
ISSUED = "issued.json"


def root_of(trust: Trust) -> Root:
    """The newest root, decoded."""
    return msgspec.json.decode(trust.root, type=Root)


def roster_of(trust: Trust) -> Roster:
    """The roster, decoded."""
    return msgspec.json.decode(trust.roster, type=Roster)


def public_key(key: SigningKey) -> Key:
    """A signing key's public half as the protocol writes it."""
    return Key(alg=key.alg, public=b64encode(key.public))


def admin_key(account: Account, trust: Trust, admin: Signers | None = None) -> SigningKey:
    """This device's key, if the root names it as an administrator's. One admin signs alone in this version.

    `admin`: the administrators of a root that is to come, where not those of the present one are asked for.
    """
    key = account.keys().auth
    admin = admin or root_of(trust).admin
    if all(one.public != b64encode(key.public) for one in admin.keys):
        raise Forbidden("not-admin", f"the root does not name {account.person.person}'s device as an administrator's",
                        f"in the home that holds the root key: stillvault org admin add {account.person.person}; or here, with "
                        "the key on the recovery kit's sheet: --root-key-file -")
    if admin.threshold != 1:
        raise Forbidden("admin-threshold", f"the root wants {admin.threshold} administrators' signatures",
                        "this version of the command line signs alone: thresholds are 1")
    return key


def publish(account: Account, edit: Edit, *, certs: Sequence[bytes] = (), enrol: str = "") -> Trust:
    """Edits the newest roster, signs it as the next version and publishes it. Returns the trust that stands then."""
    for attempt in range(ATTEMPTS):
        trust = account.trust(fresh=attempt > 0)
        key = admin_key(account, trust)
        roster = successor(edit(roster_of(trust)), b64encode(trust.oid), b64encode(trust.root_oid), account.clock())
        signed = key.sign("roster", canonical(roster))
        check_next(account, account.store.stored(), signed)
        body = messages.Publish(roster=msgspec.Raw(signed), certs=[msgspec.Raw(one) for one in certs], enrol=enrol)
        try:
            account.call("POST", "/v1/roster", body, returns=messages.Trust)
        except RelayRefused as error:
            if error.code not in OVERTAKEN or attempt == ATTEMPTS - 1:
                raise
            continue
        break
    return account.trust(fresh=True)


def publish_root(account: Account, root: bytes, root_oid: bytes, edit: Edit, *, admin: SigningKey,
                 certs: Sequence[bytes] = ()) -> Trust:
    """Publishes a new root with the roster that names it, in one transaction. `admin` is an admin key of the new root."""
    trust = account.trust()
    roster = successor(edit(roster_of(trust)), b64encode(trust.oid), b64encode(root_oid), account.clock())
    signed = admin.sign("roster", canonical(roster))
    stored = account.store.stored()
    check_next(account, messages.Trust(roots=[*stored.roots, msgspec.Raw(root)], roster=stored.roster), signed)
    body = messages.Publish(roster=msgspec.Raw(signed), roots=[msgspec.Raw(root)], certs=[msgspec.Raw(one) for one in certs])
    account.call("POST", "/v1/roster", body, returns=messages.Trust)
    return account.trust(fresh=True)


def check_next(account: Account, stored: messages.Trust, roster: bytes, trust: Trust | None = None) -> None:
    """Raises `Refused` where a reader of the new roster would, who saw `trust` or what the relay serves."""
    trust = trust or account.trust()
    Trust.verify(account.org, [bytes(one) for one in stored.roots], roster, account.clock(), (trust.pair, trust.oid))


class Issued(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """issued.json: subject and oid of every certificate that this home signed, so that a relay cannot hide one from `revoke`."""

    certs: list[tuple[str, str, int]] = []  # subject, oid, expiry
    v: int = 1


def sign_cert(home: Home, key: SigningKey, cert: ClientCert) -> bytes:
    """A client certificate by one administrator, written down before it is used."""
    signed = key.sign("client-cert", canonical(cert))
    with home.lock():
        known = home.read(ISSUED, Issued) or Issued()
        certs = [one for one in known.certs if cert.issued < one[2]]
        home.write(ISSUED, Issued(certs=[*certs, (cert.subject, b64encode(oid_of(signed)), cert.expires)]))
    return signed


def certs_of(account: Account, subject: str, host: str = "") -> list[str]:
    """Oids of the certificates of a subject that stand: what the relay lists, and what this home signed.

    A row counts when an administrator signed it: the relay cannot fill a roster with oids of its own making.
    """
    trust = account.trust()
    found = {oid for name, oid, _ in (account.home.read(ISSUED, Issued) or Issued()).certs if name == subject and not host}
    for one in all_clients(account):
        try:
            trust.verify_cert(bytes(one.cert), account.clock())
        except Refused as error:
            if error.code != "future":  # signed, and good one day: the dates are looked at last
                continue
        cert = msgspec.json.decode(payload_of("client-cert", bytes(one.cert)), type=ClientCert)
        if cert.subject == subject and host in ("", cert.host):
            found.add(b64encode(oid_of(bytes(one.cert))))
    return sorted(found - set(roster_of(trust).revoked))


def lift_freezes(account: Account, subject: str) -> int:
    """Ends what approvers' freezes put on a client, at the relay. Returns how many there were."""
    return account.call("POST", "/v1/holds/lift", messages.Lift(subject), returns=messages.Lifted).count


def new_cert(org: bytes, subject: str, host: str, key: Key, scopes: Sequence[str], grade: str, now: int) -> ClientCert:
    """A certificate for a year."""
    return ClientCert(org=b64encode(org), subject=subject, host=host, key=key, scopes=list(scopes), grade=grade, issued=now,
                      expires=now + CERT_LIFE)


def all_clients(account: Account) -> list[messages.Client]:
    """Every certificate that the relay lists."""
    return account.call("GET", "/v1/clients", returns=messages.Clients).clients
