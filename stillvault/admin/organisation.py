"""Creating an organisation, and keeping it alive: root, first roster, recovery kit, renewal, further administrators.

`create` makes every key in the home before it speaks to the relay, so that a lost answer never costs a key. The recovery kit
holds the root key and, unless refused, three recovery keys of which two open a secret; only their public halves stay in the
home (`recovery.json`), to stand in every policy. No policy is made: whoever seals first says who may release.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from stillvault.admin import clients
from stillvault.admin import roster as rosters
from stillvault.admin.publish import (
    admin_key,
    all_clients,
    new_cert,
    public_key,
    publish,
    publish_root,
    root_of,
    roster_of,
    sign_cert,
)
from stillvault.approver import keyfile
from stillvault.approver.account import DENY_KEY, DEVICE_KEY, ROOT_KEY, Account
from stillvault.crypto.private import KemKey, SigningKey
from stillvault.crypto.public import Cert, Trust, b64encode, oid_of, payload_of
from stillvault.protocol import messages
from stillvault.protocol.errors import Refused, StillvaultError, Unavailable, Usage
from stillvault.protocol.objects import (
    ROLES,
    ClientCert,
    Device,
    Kem,
    Log,
    Person,
    Recovery,
    RecoveryKey,
    Root,
    Roster,
    Signers,
    canonical,
)
from stillvault.protocol.text import plain
from stillvault.transport.home import Home, Organisation
from stillvault.transport.home import Person as HomePerson
from stillvault.transport.http import Relay, RelayRefused, fetch_ca, origin_of
from stillvault.transport.identity import StoredKey
from stillvault.transport.trust import TrustStore

RECOVERY_KEYS = 3
RECOVERY_THRESHOLD = 2
PERSON_CERT = "person-cert.json"
RECOVERY = "recovery.json"


class RecoveryRecord(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """recovery.json: public halves."""

    recovery: Recovery
    v: int = 1


@dataclass
class DeviceMaterial:
    """Fresh keys of one device, and their public halves."""

    auth: SigningKey
    kem: KemKey
    deny: SigningKey
    client: SigningKey

    @staticmethod
    def generate() -> DeviceMaterial:
        return DeviceMaterial(auth=SigningKey.generate("ed25519"), kem=KemKey.generate(), deny=SigningKey.generate("es256"),
                              client=SigningKey.generate("ed25519"))

    def keep(self, home: Home, passphrase: bytes | None) -> None:
        """Writes the key files."""
        held = keyfile.Secrets(use="device", auth=b64encode(self.auth.secret_bytes()), auth_alg=self.auth.alg,
                               kem=b64encode(self.kem.secret_bytes()), client=b64encode(self.client.secret_bytes()))
        home.write_bytes(DEVICE_KEY, keyfile.lock(held, passphrase))
        home.write(DENY_KEY, StoredKey(alg=self.deny.alg, secret=b64encode(self.deny.secret_bytes())))

    def device(self, name: str, label: str, now: int) -> Device:
        """The roster's entry for these keys."""
        return Device(id=name, name=label, tier="soft", kem=Kem(suite="p256", public=b64encode(self.kem.public)),
                      auth=[public_key(self.auth)], deny=public_key(self.deny), added=now, expires=now + rosters.DEVICE_LIFE)


def label_here() -> str:
    """A label for a device of this machine."""
    return plain(platform.node())[:64] or "device"


def create(home: Home, *, name: str, url: str, fingerprint: str, setup_token: str, person: str, recovery: bool,
           passphrase: bytes | None, now: int) -> dict[str, Any]:
    """Creates the organisation at the relay and in this home. Returns its id and the recovery kit."""
    if home.exists("home.json") or home.exists(DEVICE_KEY):
        raise Usage("home-taken", f"{home.path} belongs to an organisation already", "set STILLVAULT_HOME to an empty directory")
    ca = fetch_ca(url, fingerprint)
    relay = Relay(url, ca)
    origin = origin_of(url)
    log = _log_of(relay, setup_token)
    _check_log(log, origin)
    material, root_key = DeviceMaterial.generate(), SigningKey.generate("ed25519")
    signers = Signers(keys=[public_key(root_key)], threshold=1)
    root = root_key.sign("root", canonical(Root(
        name=name, version=1, root=signers, admin=Signers(keys=[public_key(material.auth)], threshold=1),
        log=Log(origin=log.origin, public=log.public), rp_id=urlsplit(origin).hostname or "", origins=[origin], issued=now,
        expires=now + rosters.ROOT_LIFE)))
    org = oid_of(root)
    label = label_here()
    first = Roster(org=b64encode(org), root=b64encode(org), version=1, issued=now, expires=now + rosters.ROSTER_LIFE, people=[],
                   policies=[], floors=[], revoked=[], holds=[])
    device = material.device(rosters.device_id(first, person, label), label, now)
    whole = msgspec.structs.replace(first, people=[Person(id=person, name=person, roles=list(ROLES), devices=[device])])
    roster = material.auth.sign("roster", canonical(whole))
    own = new_cert(org, f"person/{person}", device.id, public_key(material.client), ["**"], "user", now)
    cert = sign_cert(home, material.auth, own)
    Trust.verify(org, [root], roster, now)
    spare = [KemKey.generate() for _ in range(RECOVERY_KEYS)] if recovery else []
    with home.lock():
        _keep(home, Organisation(org_id=b64encode(org), relay=origin, fingerprint=fingerprint, name=name), ca,
              HomePerson(person=person, device=device.id), cert)
        material.keep(home, passphrase)
        held = keyfile.Secrets(use="root", root=b64encode(root_key.secret_bytes()))
        home.write_bytes(ROOT_KEY, keyfile.lock(held, passphrase))
        if spare:
            home.write(RECOVERY, RecoveryRecord(recovery=_recovery(spare)))
        try:
            body = messages.Setup(root=msgspec.Raw(root), roster=msgspec.Raw(roster), certs=[msgspec.Raw(cert)])
            relay.call("POST", "/v1/setup", body, returns=messages.Organisation, token=setup_token)
        except (RelayRefused, Refused, Usage):
            _clear(home)
            raise
        except StillvaultError as error:
            # The relay may have taken it and its answer been lost: the keys must not be.
            raise Unavailable(error.code, f"{error.message}; it is not known whether the organisation was created",
                              "run `stillvault org show`: if it answers, all is well; else begin again in a new home") from None
        TrustStore(home).accept(messages.Trust(roots=[msgspec.Raw(root)], roster=msgspec.Raw(roster)), now)
    kit = {"org_id": b64encode(org), "name": name, "relay": origin, "fingerprint": fingerprint,
           "root_key": b64encode(root_key.secret_bytes()), **_kit_of(spare)}
    return {"org_id": b64encode(org), "name": name, "person": person, "device": device.id, "recovery_kit": kit}


def _log_of(relay: Relay, setup_token: str) -> messages.LogKey:
    """Which log the root shall name. The first word to a relay: a token that it does not take is found out here."""
    try:
        return relay.call("GET", "/v1/setup/log", returns=messages.LogKey, token=setup_token)
    except RelayRefused as error:
        if error.status != 401:
            raise
        raise Unavailable("setup-token", "the relay does not take this setup token: it is wrong, used or older than 30 minutes",
                          "on the relay, for a new one: stillvault-relay setup-url --data DIR") from None


def _check_log(log: messages.LogKey, origin: str) -> None:
    """The relay must call itself what we call it: the origin goes into the root for good."""
    host = origin.removeprefix("https://")
    if log.origin.rpartition("/log")[0] not in (host, urlsplit(origin).hostname):
        raise Usage("public-url", f"the relay calls itself {plain(log.origin)[:80]}, not {host}",
                    "start the relay with --public-url set to the address that everybody uses, and give that as --relay",
                    "--relay")


def _recovery(keys: list[KemKey]) -> Recovery:
    return Recovery(threshold=RECOVERY_THRESHOLD, keys=[
        RecoveryKey(id=f"recovery-{n}", kem=Kem(suite="p256", public=b64encode(key.public))) for n, key in enumerate(keys, 1)])


def _kit_of(spare: list[KemKey]) -> dict[str, Any]:
    """The recovery keys' part of the kit: their secret halves, which are nowhere else."""
    if not spare:
        return {}
    keys = [{"id": f"recovery-{n}", "secret": b64encode(key.secret_bytes())} for n, key in enumerate(spare, 1)]
    return {"recovery_threshold": RECOVERY_THRESHOLD, "recovery_keys": keys}


def _keep(home: Home, organisation: Organisation, ca: bytes, person: HomePerson, cert: bytes) -> None:
    home.write_bytes("ca.pem", ca)
    home.write("person.json", person)
    home.write_bytes(PERSON_CERT, cert)
    home.write("home.json", organisation)


def _clear(home: Home) -> None:
    for name in ("home.json", "person.json", PERSON_CERT, RECOVERY, "ca.pem", DEVICE_KEY, DENY_KEY, ROOT_KEY):
        home.remove(name)


def recovery_of(home: Home, roster: Roster) -> Recovery | None:
    """The recovery keys for a new policy: those of this home, else those that the organisation's policies name already."""
    kept = home.read(RECOVERY, RecoveryRecord)
    if kept is not None:
        return kept.recovery
    for policy in roster.policies:
        if policy.recovery is not UNSET:
            return policy.recovery
    return None


def add_admin(account: Account, who: str) -> Trust:
    """A new root that names the keys of WHO's devices beside the present ones, and its roster."""
    trust = account.trust()
    root = root_of(trust)
    roster = roster_of(trust)
    present = {one.public for one in root.admin.keys}
    keys = [one for one in rosters.auth_keys(roster, who) if one.public not in present]
    if not keys:
        raise Usage("already-admin", f"the root names {who}'s devices already", "", "WHO")
    person = rosters.person_of(roster, who)
    edit = rosters.unchanged if "admin" in person.roles else rosters.with_roles(who, [*person.roles, "admin"], person.roles)
    return rotate(account, [*root.admin.keys, *keys], edit)


def rotate(account: Account, admins: list[Any], edit: rosters.Edit) -> Trust:
    """Signs the next root with the root key, and publishes it with its roster and the certificates that need a new signature."""
    trust = account.trust()
    root = root_of(trust)
    now = account.clock()
    following = msgspec.structs.replace(root, version=root.version + 1, previous=b64encode(trust.root_oid), issued=now,
                                        expires=now + rosters.ROOT_LIFE,
                                        admin=Signers(keys=admins, threshold=root.admin.threshold))
    own = admin_key(account, trust, following.admin)
    signed = account.root_key().sign("root", canonical(following))
    gone = {one.public for one in root.admin.keys} - {one.public for one in admins}
    # Certificates by an administrator who leaves lose their threshold: the same content, signed anew, keeps its oid. Only what
    # verifies under the root that still stands is signed: the list is the relay's, and a forged row would become a true one.
    # Nor what the roster that comes with it revokes.
    revoked = edit(roster_of(trust)).revoked
    certs = [own.sign("client-cert", cert.payload) for cert in _standing(account, trust, now)
             if b64encode(cert.oid) not in revoked] if gone else []
    return publish_root(account, signed, oid_of(signed), edit, admin=own, certs=certs)


def _standing(account: Account, trust: Trust, now: int) -> list[Cert]:
    """The certificates in date, each verified. Raises `Refused` where the relay lists one that no administrator signed."""
    listed = [one for one in all_clients(account) if not one.revoked and _in_date(one, now)]
    return [trust.verify_cert(bytes(one.cert), now) for one in listed]


def _in_date(client: messages.Client, now: int) -> bool:
    return now < msgspec.json.decode(payload_of("client-cert", bytes(client.cert)), type=ClientCert).expires


def renew(account: Account) -> dict[str, Any]:
    """Re-signs what expires: the roster always, devices and certificates in the second half of their life, the root likewise."""
    trust = account.trust()
    now = account.clock()
    own = admin_key(account, trust)
    root = root_of(trust)
    before = roster_of(trust)
    certs = []
    renewed = []
    for cert in _standing(account, trust, now):
        if cert.expires < now + rosters.CERT_LIFE // 2:
            old = msgspec.json.decode(cert.payload, type=ClientCert)
            certs.append(sign_cert(account.home, own, msgspec.structs.replace(old, issued=now, expires=now + rosters.CERT_LIFE)))
            renewed.append(cert.subject)
    edit = rosters.with_fresh_devices(now)
    devices = [each.id for one, other in zip(before.people, edit(before).people, strict=True)
               for each, fresh in zip(one.devices, other.devices, strict=True) if each != fresh]
    rooted = root.expires < now + rosters.ROOT_LIFE // 2
    if rooted and account.has_root_key():
        trust = rotate(account, root.admin.keys, edit)
        if certs:
            trust = publish(account, rosters.unchanged, certs=certs)
    else:
        trust = publish(account, edit, certs=certs)
    return {"roster_version": trust.pair[1], "root_version": trust.pair[0], "expires": trust.expires, "certificates": renewed,
            "devices": devices, "root_needs_renewal": rooted and not account.has_root_key()}


def show(account: Account) -> dict[str, Any]:
    """What `org show` prints."""
    trust = account.trust()
    roster, root = roster_of(trust), root_of(trust)
    admins = {one.public for one in root.admin.keys}
    return {
        "org_id": account.organisation.org_id, "name": root.name, "root_version": trust.pair[0], "roster_version": trust.pair[1],
        "expires": trust.expires, "relay": account.organisation.relay, "person": account.person.person,
        "people": [{"id": one.id, "name": one.name, "roles": one.roles,
                    "admin_key": any(key.public in admins for each in one.devices for key in each.auth),
                    "devices": [{"id": each.id, "name": each.name, "tier": each.tier, "added": each.added,
                                 "expires": each.expires} for each in one.devices]} for one in roster.people],
        "clients": clients.shown(account, trust),
        "policies": [msgspec.to_builtins(one) for one in roster.policies],
        "holds": [msgspec.to_builtins(one) for one in roster.holds],
    }
