"""The whole loop through the core's Python surface: seal, ask, check the prompt, decide, release, open. And what refuses."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from stillvault.crypto.private import Ephemeral, Opened, Sealed, Value, check_prompt, open_releases, release, seal
from stillvault.crypto.public import (
    b64encode,
    encode,
    join_release,
    oid_of,
    pattern_matches,
    request_code,
    split_release,
    verify_denial,
)
from stillvault.protocol.errors import Refused
from tests.unit.world import DAY, NOW, YEAR, Device, World, payload

CANARY = b"canary-5e0d2c9b-prod-db"


def sealed_by_alice(world: World, value: bytes = CANARY, path: str = "prod/db", version: tuple[int, int] = (1, 0)) -> Sealed:
    alice = world.devices["alice"]
    return seal(world.trust(), alice.auth, alice.own, path, Value.from_bytes(value), version, None, NOW)


def approve(world: World, person: str, request: bytes, secret: bytes, **changes: object) -> bytes:
    """A release by one person's device, made the way a device makes it: check, decide, release."""
    device, trust = world.devices[person], world.trust()
    prompt = check_prompt(trust, device.own, world.cert_bytes, request, secret, False, None, NOW + 2)
    return release(trust, [prompt], world.decision(device, request, secret, prompt.index, **changes), device.kem, NOW + 5)


def refuses(code: str) -> pytest.RaisesExc[Refused]:
    return pytest.raises(Refused, check=lambda refusal: refusal.code == code)


class Asked:
    """A world with a sealed secret and a request for it."""

    def __init__(self, threshold: int = 1, **changes: object) -> None:
        self.world = World(threshold)
        self.sealed = sealed_by_alice(self.world)
        self.ephemeral = Ephemeral.generate()
        self.request = self.world.request(self.ephemeral, **changes)

    def approve(self, person: str = "ben", **changes: object) -> bytes:
        return approve(self.world, person, self.request, self.sealed.secret, **changes)

    def open(self, *releases: bytes, remembered: tuple[int, int] | None = None, now: int = NOW + 6) -> Opened:
        sealed = self.sealed
        return open_releases(
            self.world.trust(), self.request, self.ephemeral, sealed.secret, sealed.ciphertext, list(releases), remembered, now
        )


def test_one_approval_opens_the_value() -> None:
    asked = Asked()
    opened = asked.open(asked.approve())
    assert opened.value.reveal() == CANARY
    assert (opened.window, opened.uses, opened.scope) == (900, 0, "process")
    assert opened.approvers == [("ben", "ben-laptop")]
    assert (opened.secret.path, opened.secret.version, opened.secret.oid) == ("prod/db", (1, 0), asked.sealed.oid)


def test_the_value_leaves_through_a_descriptor() -> None:
    asked = Asked()
    reader, writer = os.pipe()
    try:
        asked.open(asked.approve()).value.write_fd(writer, wait=False)
        assert os.read(reader, 4096) == CANARY
    finally:
        os.close(reader)
        os.close(writer)


def test_two_of_three_need_two_people() -> None:
    # A7: one person's shares are one person
    asked = Asked(threshold=2)
    ben, cleo = asked.approve("ben"), asked.approve("cleo")
    with refuses("quorum"):
        asked.open(ben)
    with pytest.raises(Refused):
        asked.open(ben, ben)
    opened = asked.open(cleo, ben)
    assert opened.value.reveal() == CANARY
    assert sorted(opened.approvers) == [("ben", "ben-laptop"), ("cleo", "cleo-laptop")]


def test_a_release_serves_one_request_alone() -> None:
    asked, other = Asked(), Asked()
    given = asked.approve()
    with pytest.raises(Refused):
        other.open(given)
    again = asked.world.request(Ephemeral.generate())
    with pytest.raises(Refused):
        open_releases(
            asked.world.trust(), again, asked.ephemeral, asked.sealed.secret, asked.sealed.ciphertext, [given], None, NOW + 6
        )


def test_the_relay_hands_on_entries_it_cannot_read() -> None:
    asked = Asked()
    decision, entries = split_release(asked.approve())
    assert [entry[0] for entry in entries] == [oid_of(asked.request)]
    assert asked.open(join_release(decision, entries)).value.reveal() == CANARY
    (oid, enc, ct) = entries[0]
    with refuses("release"):
        asked.open(join_release(decision, [(oid, enc, bytes(len(ct)))]))
    with pytest.raises(Refused):
        split_release(asked.approve() + b" ")


def test_a_prompt_shows_what_the_device_verified() -> None:
    asked = Asked()
    device = asked.world.devices["ben"]
    prompt = check_prompt(
        asked.world.trust(), device.own, asked.world.cert_bytes, asked.request, asked.sealed.secret, False, (1, 0), NOW
    )
    assert (prompt.host, prompt.index, prompt.outside) == ("db-1", 2, [])
    assert prompt.code == request_code(oid_of(asked.request)) == prompt.request.code
    assert prompt.secret.oid == asked.sealed.oid and prompt.cert.subject == "host/db-1"
    assert prompt.request.path == "prod/db"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"path": "dev/db"}, "scope"),
        ({"issued": NOW + 400, "expires": NOW + 500}, "clock"),
        ({"expires": NOW + 2}, "expired"),
        ({"expires": NOW + 301}, "ttl"),
        ({"minimum": [2, 0]}, "version"),
        ({"suite": "mlkem768p256"}, "suite"),
        ({"ephemeral": b64encode(b"\4" + bytes(64))}, "ephemeral"),
        ({"roster": [1, 2]}, "stale-roster"),
        ({"org": b64encode(bytes(32))}, "org"),
        ({"purpose": "reseal"}, "purpose"),
    ],
)
def test_a_device_refuses_a_prompt(changes: dict[str, object], code: str) -> None:
    asked = Asked(**changes)
    device = asked.world.devices["ben"]
    with refuses(code):
        check_prompt(
            asked.world.trust(), device.own, asked.world.cert_bytes, asked.request, asked.sealed.secret, False, None, NOW + 2
        )


def test_a_device_refuses_what_it_remembers() -> None:
    asked, device = Asked(), World().devices["ben"]
    device = asked.world.devices["ben"]
    trust, parts = asked.world.trust(), (asked.world.cert_bytes, asked.request, asked.sealed.secret)
    with refuses("replay"):
        check_prompt(trust, device.own, *parts, True, None, NOW)
    with refuses("version"):
        check_prompt(trust, device.own, *parts, False, (1, 1), NOW)
    with refuses("device"):
        check_prompt(trust, ("ben", "another"), *parts, False, None, NOW)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"item": {"version": 2}}, "item"),
        ({"item": {"request": b64encode(bytes(32))}}, "item"),
        ({"item": {"secret": b64encode(bytes(32))}}, "item"),
        ({"item": {"window": 901}}, None),
        ({"verdict": "deny"}, "verdict"),
        ({"org": b64encode(bytes(32))}, "org"),
        ({"expires": NOW + 301}, None),
        ({"by": "deny"}, None),
    ],
)
def test_no_release_under_another_decision(changes: dict[str, object], code: str | None) -> None:
    asked = Asked()
    if changes.get("by") == "deny":
        changes = {"by": asked.world.devices["ben"].deny}
    with pytest.raises(Refused) as refusal:
        asked.open(asked.approve(**changes))
    assert code in {None, refusal.value.code}


def test_the_client_refuses_an_older_version() -> None:
    # A11
    asked = Asked()
    given = asked.approve()
    with refuses("version"):
        asked.open(given, remembered=(1, 1))
    with refuses("expired"):
        asked.open(given, now=NOW + 300)


def test_a_swapped_ciphertext_is_refused() -> None:
    asked = Asked()
    given, sealed = asked.approve(), asked.sealed
    swapped = sealed.ciphertext[:-1] + bytes([sealed.ciphertext[-1] ^ 1])
    for ciphertext in (swapped, sealed.ciphertext[:-1], b""):
        with refuses("ciphertext"):
            open_releases(asked.world.trust(), asked.request, asked.ephemeral, sealed.secret, ciphertext, [given], None, NOW + 6)


def test_an_erased_key_opens_nothing() -> None:
    asked = Asked()
    given = asked.approve()
    asked.ephemeral.erase()
    with pytest.raises(Refused):
        asked.open(given)


@pytest.mark.parametrize("verdict", ["deny", "freeze"])
def test_a_denial_is_believed_with_either_key(verdict: str) -> None:
    asked = Asked()
    ben = asked.world.devices["ben"]
    for key in (ben.auth, ben.deny):
        decision = asked.world.decision(ben, asked.request, asked.sealed.secret, 2, verdict=verdict, by=key)
        verified = verify_denial(asked.world.trust(), asked.request, None, decision, NOW + 6)
        assert (verified.verdict, verified.person, verified.device) == (verdict, "ben", "ben-laptop")


def test_a_strangers_denial_is_not_believed() -> None:
    # A refusal by the relay alone is never `denied`.
    asked, mallory = Asked(), Device("mallory", "mallory-laptop")
    decision = asked.world.decision(mallory, asked.request, asked.sealed.secret, verdict="deny")
    with pytest.raises(Refused):
        verify_denial(asked.world.trust(), asked.request, None, decision, NOW + 6)
    approved = asked.world.decision(asked.world.devices["ben"], asked.request, asked.sealed.secret, 2)
    with refuses("verdict"):
        verify_denial(asked.world.trust(), asked.request, None, approved, NOW + 6)


def test_the_relay_checks_an_upload() -> None:
    world = World()
    sealed = sealed_by_alice(world)
    stored = world.trust().verify_new_secret(sealed.secret, sealed.ciphertext, NOW + 1)
    assert (stored.oid, stored.path, stored.version) == (sealed.oid, "prod/db", (1, 0))
    assert sealed.missing == []
    assert sealed.recipients == world.trust().recipients("prod/db", NOW)
    for ciphertext, now in ((sealed.ciphertext + b"x", NOW), (sealed.ciphertext, NOW + 400)):
        with pytest.raises(Refused):
            world.trust().verify_new_secret(sealed.secret, ciphertext, now)
    world.policy["threshold"] = 2
    world.roster = world.sign_roster()
    with pytest.raises(Refused):
        world.trust().verify_new_secret(sealed.secret, sealed.ciphertext, NOW)


def test_trust_and_certificates() -> None:
    world = World()
    trust = world.trust()
    cert = trust.verify_cert(world.cert_bytes, NOW)
    assert (cert.subject, cert.host, cert.grade, cert.scopes) == ("host/db-1", "db-1", "system", ["prod/**"])
    assert cert.public == world.client_key.public and cert.expires == NOW + YEAR
    assert any(pattern_matches(scope, "prod/db") for scope in cert.scopes)
    assert (trust.pin, trust.pair, trust.expires) == (world.pin, (1, 1), NOW + 90 * DAY)
    request = trust.verify_request(world.request(Ephemeral.generate()), cert, NOW)
    assert payload(world.root)["name"] == "Tests" and request.path == "prod/db"
    cancel = world.client_key.sign("cancel", encode({"org": world.org, "request": b64encode(request.oid), "issued": NOW}))
    assert trust.verify_by_client("cancel", cancel, cert, NOW)
    with refuses("signature"):
        trust.verify_by_device("cancel", cancel, "ben", "ben-laptop", NOW)
    with refuses("no-policy"):
        trust.select_policy("dev/db")
    for expired in (NOW + 90 * DAY, NOW - 11 * DAY):
        with pytest.raises(Refused):
            world.trust(expired)


def test_threads_seal_side_by_side() -> None:
    world = World()
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(lambda n: sealed_by_alice(world, path=f"prod/db-{n}"), range(64)))
    assert len({sealed.oid for sealed in many}) == 64


def test_an_opened_value_shows_nothing() -> None:
    # B2
    asked = Asked()
    opened = asked.open(asked.approve())
    for thing in (opened, opened.value, asked.ephemeral, asked.sealed, opened.secret):
        assert CANARY.decode() not in repr(thing)
        assert b64encode(CANARY) not in repr(thing)
    opened.value.wipe()
    with pytest.raises(Refused):
        opened.value.reveal()
