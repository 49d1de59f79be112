"""Joining: the new person's or host's half of protocol 11.

The URL's fragment pins everything: organisation, relay, CA, nonce. Keys are made and stored before the relay hears of them;
the five words go on this screen and by voice to the administrator. Nothing counts as joined before the roster that names the
new device (or the certificate of the new client) has verified against the pin. An interrupted join resumes with the same URL.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from stillvault.admin.enrolment import INVITE_LIFE, Invitation
from stillvault.admin.organisation import PERSON_CERT, DeviceMaterial
from stillvault.admin.publish import public_key, roster_of
from stillvault.approver import keyfile
from stillvault.approver.account import DENY_KEY, DEVICE_KEY
from stillvault.crypto.private import KemKey, SigningKey, enrol_words, invite_terms
from stillvault.crypto.public import Trust, b64decode, b64encode, oid_of, proof_info
from stillvault.protocol import messages
from stillvault.protocol.errors import Expired, Failed, Refused, StillvaultError, Unavailable, Usage
from stillvault.protocol.objects import Enrol, Kem, canonical
from stillvault.transport.home import Home, Organisation, Person
from stillvault.transport.http import Relay, RelayRefused, fetch_ca
from stillvault.transport.identity import StoredKey, save_client
from stillvault.transport.trust import TrustStore, root_name

WAIT = 20  # seconds of one long poll
JOINING = "joining.json"
RETRY = 1.0  # seconds
PAUSE = 0.1  # seconds
LATE = 5.0  # seconds that a confirmation may be ahead of its roster

Passphrase = Callable[[], bytes | None]


class NotYet(Refused):
    """The roster does not name this device (yet)."""


class Joining(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """joining.json: an enrolment under way. `key` is a client's, whose key needs no passphrase."""

    invite: str
    kind: str
    ticket: str
    oid: str
    key: StoredKey | None = None
    v: int = 1


def parse_url(url: str) -> tuple[str, Invitation]:
    """Kind and content of a join URL. The fragment alone says which relay; the rest must have the form that `invite` prints."""
    bad = Usage("join-url", "this is not a join URL", "paste the whole line that the administrator's command printed, in quotes",
                "URL")
    try:
        parts = urlsplit(url)
        raw = b64decode(parts.fragment)
        found = msgspec.json.decode(raw, type=Invitation)
        if canonical(found) != raw or len(b64decode(found.nonce)) != 32 or len(b64decode(found.org)) != 32:
            raise bad
    except (msgspec.DecodeError, ValueError, Refused):  # no URL at all, no UTF-8, no base64url
        raise bad from None
    kind = parts.path.rpartition("/")[2]
    if parts.scheme != "https" or not parts.netloc or parts.query or parts.path not in ("/join/person", "/join/client"):
        raise bad
    return kind, found


class Join:
    """One enrolment: `begin` posts the keys and returns the words, `finish` waits for the administrator."""

    def __init__(self, home: Home, url: str, *, passphrase: Passphrase, label: str, now: int) -> None:
        self.kind, self.invitation = parse_url(url)
        self._home = home
        self._passphrase = passphrase
        self._label = label
        self._now = now
        self._org = b64decode(self.invitation.org)
        self._nonce = b64decode(self.invitation.nonce)
        self._invite, self._bearer = invite_terms(self._org, self._nonce)
        self._kem: KemKey | None = None
        self._key: SigningKey | None = None
        self._client = b""  # public: of the key for a person's own certificate
        self._check_home()
        self._ca = fetch_ca(self.invitation.relay, self.invitation.ca)
        self._relay = Relay(self.invitation.relay, self._ca)
        self._state: Joining | None = None

    def begin(self) -> list[str]:
        """Posts the enrolment (or takes up an interrupted one) and returns the five words."""
        known = self._home.read(JOINING, Joining)
        if known is not None and known.invite == b64encode(self._invite):
            self._resume(known)
        else:
            self._post()
        assert self._state is not None  # noqa: S101  set by both
        return enrol_words(b64decode(self._state.oid), self._nonce)

    def finish(self) -> dict[str, Any]:
        """Waits for the confirmation, up to the invite's half hour; returns what was joined."""
        assert self._state is not None  # noqa: S101  `begin` came first
        deadline = time.monotonic() + INVITE_LIFE + 60
        proved, late = False, 0.0
        while time.monotonic() < deadline:
            try:
                state = self._relay.call("GET", f"/v1/enrol?wait={WAIT}", returns=messages.EnrolState, token=self._state.ticket)
            except RelayRefused as error:
                if error.status in (401, 403, 404, 410):
                    self._home.remove(JOINING)
                    raise Expired("invite", "the invite has ended or was cancelled", "ask for a new one") from None
                raise
            except Unavailable:
                time.sleep(RETRY)  # the relay may be restarting; the ticket stays good
                continue
            if state.state == "confirmed":
                try:
                    return self._finish(state)
                except NotYet:
                    # The roster that names us may reach the relay's answers a moment after the confirmation does.
                    if time.monotonic() > (late := late or time.monotonic() + LATE):
                        raise
                    time.sleep(PAUSE)
            if state.state == "expired":
                self._home.remove(JOINING)
                raise Expired("invite", "the invite has expired", "ask for a new one")
            if state.state == "proved":
                time.sleep(PAUSE)
            if state.state == "challenged" and state.challenge is not UNSET and not proved:
                self._answer(state.challenge)
                proved = True
        raise Expired("invite", "nobody confirmed in time", "ask for a new invite")

    # ---- steps ---------------------------------------------------------------------------------------------------------

    def _check_home(self) -> None:
        standing = self._home.read("home.json", Organisation)
        if standing is not None and standing.org_id != self.invitation.org:
            raise Usage("home-taken", f"{self._home.path} belongs to another organisation",
                        "set STILLVAULT_HOME to an empty directory")
        if self.kind == "person" and self._home.exists("person.json"):
            raise Usage("home-taken", f"{self._home.path} holds a person already", "set STILLVAULT_HOME to an empty directory")

    def _post(self) -> None:
        name, org, invite = self._label, self.invitation.org, b64encode(self._invite)
        if self.kind == "person":
            material = DeviceMaterial.generate()
            material.keep(self._home, self._passphrase())
            self._key, self._kem, self._client = material.auth, material.kem, material.client.public
            enrol = Enrol(org=org, invite=invite, name=name, auth=public_key(material.auth), issued=self._now,
                          kem=Kem(suite="p256", public=b64encode(material.kem.public)), deny=public_key(material.deny),
                          client=public_key(material.client))
        else:
            self._key = SigningKey.generate("ed25519")
            enrol = Enrol(org=org, invite=invite, name=name, auth=public_key(self._key), issued=self._now)
        signed = self._key.sign("enrol", canonical(enrol))
        try:
            answer = self._relay.call("POST", "/v1/enrol", messages.Enrol(enrol=msgspec.Raw(signed)), returns=messages.Enrolled,
                                      token=self._bearer)
        except RelayRefused as error:
            self._forget()
            if error.status in (401, 403, 404, 409, 410):
                raise Failed("invite", "the invite is used, cancelled or over", "ask the administrator for a new one") from None
            raise
        except StillvaultError:
            self._forget()
            raise
        key = None if self.kind == "person" else StoredKey(alg=self._key.alg, secret=b64encode(self._key.secret_bytes()))
        self._state = Joining(invite=invite, kind=self.kind, ticket=answer.ticket, oid=b64encode(oid_of(signed)), key=key)
        self._home.write(JOINING, self._state)

    def _resume(self, known: Joining) -> None:
        self._state = known
        if known.key is not None:
            self._key = SigningKey.from_bytes(known.key.alg, b64decode(known.key.secret))
            return
        raw = self._home.read_bytes(DEVICE_KEY)
        if raw is None:
            raise Usage("no-key", "the keys of the interrupted join are gone", "ask for a new invite")
        held = keyfile.unlock(raw, "device", self._passphrase() if keyfile.is_locked(raw) else None)
        self._key, self._kem = keyfile.signing_key(held.auth_alg, held.auth), keyfile.kem_key(held.kem)
        self._client = keyfile.signing_key("ed25519", held.client).public

    def _answer(self, challenge: messages.Challenge) -> None:
        if self._kem is None or self._state is None:
            raise Refused("enrol", "the relay wants a proof of a key that was never sent")
        opened = self._kem.open(proof_info(), b64decode(challenge.enc), b64decode(challenge.ct))
        self._relay.call("POST", "/v1/enrol/proof", messages.Proof(proof=b64encode(opened)), returns=messages.Nothing,
                         token=self._state.ticket)

    def _finish(self, state: messages.EnrolState) -> dict[str, Any]:
        assert self._state is not None  # noqa: S101  `begin` came first
        given = state.trust if state.trust is not UNSET else self._relay.call(
            "GET", "/v1/trust", returns=messages.Trust, token=self._state.ticket)
        fresh = not self._home.exists("home.json")
        invitation = self.invitation
        with self._home.lock():
            if fresh:
                self._home.write_bytes("ca.pem", self._ca)
                self._home.write("home.json", Organisation(org_id=invitation.org, relay=invitation.relay,
                                                           fingerprint=invitation.ca, name=""))
            try:
                trust = TrustStore(self._home).accept(given, self._now_again())
                joined = self._keep(trust, state)
            except StillvaultError:
                if fresh:
                    for name in ("home.json", "ca.pem", "trust.json"):
                        self._home.remove(name)
                raise
            if fresh:
                organisation = msgspec.structs.replace(self._home.organisation(), name=root_name(trust))
                self._home.write("home.json", organisation)
            self._home.remove(JOINING)
        return {"org_id": invitation.org, "name": root_name(trust), **joined}

    def _keep(self, trust: Trust, state: messages.EnrolState) -> dict[str, Any]:
        """Finds ourselves in what verified; believes nothing else."""
        assert self._key is not None  # noqa: S101  set by `begin`
        own = b64encode(self._key.public)
        if self.kind == "client":
            if state.cert is UNSET:
                raise Refused("cert", "the relay confirmed without a certificate")
            cert = trust.verify_cert(bytes(state.cert), self._now_again())
            if b64encode(cert.public) != own:
                raise Refused("cert", "the certificate is not of the key that this join made")
            save_client(self._home, cert.subject, self._key, bytes(state.cert))
            return {"kind": "client", "subject": cert.subject, "host": cert.host, "grade": cert.grade, "scopes": cert.scopes,
                    "expires": cert.expires}
        for person in roster_of(trust).people:
            for device in person.devices:
                if any(one.public == own for one in device.auth):
                    if state.cert is not UNSET:
                        self._keep_person_cert(trust, bytes(state.cert), person.id)
                    self._home.write("person.json", Person(person=person.id, device=device.id))
                    return {"kind": "person", "person": person.id, "device": device.id, "roles": person.roles,
                            "expires": device.expires}
        raise NotYet("enrol", "the relay confirmed, but the roster does not name this device", "ask the administrator to look")

    def _keep_person_cert(self, trust: Trust, signed: bytes, person: str) -> None:
        cert = trust.verify_cert(signed, self._now_again())
        if (cert.public, cert.subject) != (self._client, f"person/{person}"):
            raise Refused("cert", "the certificate is not of the key that this join made")
        self._home.write_bytes(PERSON_CERT, signed)

    def _now_again(self) -> int:
        """The join may have taken half an hour."""
        return int(time.time())

    def _forget(self) -> None:
        if self.kind == "person":
            self._home.remove(DEVICE_KEY)
            self._home.remove(DENY_KEY)
