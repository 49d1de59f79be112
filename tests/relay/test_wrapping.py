"""Keys wrapped under passkeys, and a synced key on its way to another passkey (protocol 11): ciphertext, each device's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import apsw
import pytest

from stillvault.crypto import private, public
from stillvault.crypto.private import KemKey, SigningKey
from stillvault.crypto.public import b64encode, encode
from tests.relay.parties import Device, Organisation, key_of, wire

BLOB = b64encode(bytes(166))


def wrapped(device: Device, /, **changes: object) -> dict[str, object]:
    key = {"credential": b64encode(b"credential-1"), "kind": "kem", "public": b64encode(device.kem.public), "blob": BLOB}
    return {**key, **changes}


def test_a_device_gets_back_what_it_stored_and_nobody_else_does(org: Organisation) -> None:
    ben = org.devices["ben"]
    assert ben.get("/v1/wrapped").ok() == {"keys": []}
    ben.post("/v1/wrapped", wrapped(ben)).ok()
    ben.post("/v1/wrapped", wrapped(ben, kind="client")).ok()
    kept = {key["kind"]: key for key in ben.get("/v1/wrapped").ok()["keys"]}
    assert kept == {"kem": wrapped(ben), "client": wrapped(ben, kind="client")}
    assert org.admin.get("/v1/wrapped").ok() == {"keys": []}
    client = org.client()
    assert client.get("/v1/wrapped").code == "forbidden"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"credential": ""}, "credential"),
        ({"credential": b64encode(bytes(1024))}, "credential"),
        ({"credential": "not base64!"}, "credential"),
        ({"public": b64encode(bytes(64))}, "public"),
        ({"public": b64encode(KemKey.generate().public)}, "public"),
        ({"blob": b64encode(bytes(59))}, "blob"),
        ({"blob": b64encode(bytes(1025))}, "blob"),
        ({"kind": "auth"}, ""),
        ({"device": "alice-laptop"}, ""),
    ],
)
def test_the_form_of_a_wrapped_key(org: Organisation, changes: dict[str, object], field: str) -> None:
    answer = org.admin.post("/v1/wrapped", wrapped(org.admin, **changes))
    assert (answer.status, answer.code, answer.json.get("field", "")) == (400, "body-form", field)


def test_a_session_without_the_passkey_cannot_destroy_a_copy(org: Organisation) -> None:
    ben = org.devices["ben"]
    ben.post("/v1/wrapped", wrapped(ben)).ok()
    ben.post("/v1/wrapped", wrapped(ben, kind="client")).ok()
    ben.post("/v1/wrapped", wrapped(ben)).ok()  # the same once more: from another tab
    other = b64encode(bytes(range(166)))
    for changes in ({"blob": other}, {"kind": "client", "blob": other}, {"kind": "client", "public": b64encode(bytes(65))}):
        answer = ben.post("/v1/wrapped", wrapped(ben, **changes))
        assert (answer.status, answer.code) == (409, "conflict")
    assert {key["blob"] for key in ben.get("/v1/wrapped").ok()["keys"]} == {BLOB}


def test_a_copy_is_for_a_passkey_that_the_roster_lists(org: Organisation) -> None:
    ben, mine = org.devices["ben"], b64encode(b"credential-1")
    passkey = {"alg": "webauthn-es256", "public": b64encode(SigningKey.generate("es256").public), "credential": mine}
    both = {**ben.listed(), "tier": "synced", "auth": [key_of(ben.auth), {**passkey, "rp_id": "localhost", "backup": True}]}
    publish_with(org, both, "ben", "").ok()
    answer = ben.post("/v1/wrapped", wrapped(ben, credential=b64encode(b"credential-2")))
    assert (answer.code, answer.json["field"]) == ("body-form", "credential")
    ben.post("/v1/wrapped", wrapped(ben)).ok()


def test_a_device_cannot_fill_the_disk(org: Organisation) -> None:
    answers = [org.admin.post("/v1/wrapped", wrapped(org.admin, credential=b64encode(bytes([n])))) for n in range(17)]
    assert [one.status for one in answers] == [200] * 16 + [409]
    assert org.admin.post("/v1/wrapped", wrapped(org.admin, credential=b64encode(bytes([3])))).status == 200


def test_wrapped_keys_go_with_the_device(org: Organisation) -> None:
    ben = org.devices["ben"]
    ben.post("/v1/wrapped", wrapped(ben)).ok()
    org.admin.post("/v1/wrapped", wrapped(org.admin)).ok()
    org.policy = {**org.policy, "people": ["alice"]}
    del org.devices["ben"]
    org.publish().ok()
    assert len(org.admin.get("/v1/wrapped").ok()["keys"]) == 1
    org.devices["ben"] = ben
    org.publish().ok()
    ben.token = ""
    assert ben.get("/v1/wrapped").ok() == {"keys": []}


def test_doctor_names_a_wrapped_key_that_was_moved(org: Organisation) -> None:
    ben = org.devices["ben"]
    ben.post("/v1/wrapped", wrapped(ben)).ok()
    org.relay.stop()
    assert org.relay.command("doctor", "--data", str(org.relay.data)).returncode == 0
    database = apsw.Connection(str(org.relay.data / "stillvault.db"))
    database.execute("UPDATE wrapped SET person = 'alice', device = 'alice-laptop'")
    database.close()
    done = org.relay.command("doctor", "--data", str(org.relay.data))
    assert done.returncode == 1
    assert b"wrapped alice alice-laptop: it is not the key of that device" in done.stdout
    org.relay.start()


def test_wrapped_keys_are_in_a_backup_and_no_session_is(org: Organisation, directory: Path) -> None:
    ben, backup = org.devices["ben"], directory / "backup"
    ben.post("/v1/wrapped", wrapped(ben)).ok()
    assert org.relay.command("backup", "--data", str(org.relay.data), str(backup)).returncode == 0
    org.relay.stop()
    shutil.rmtree(org.relay.data)
    org.relay.data.mkdir(mode=0o700)
    assert org.relay.command("restore", "--data", str(org.relay.data), str(backup)).returncode == 0
    org.relay.start()
    assert ben.get("/v1/wrapped").code == "sign-in"
    ben.token = ""
    assert ben.get("/v1/wrapped").ok()["keys"] == [wrapped(ben)]


# ---- one more passkey ----------------------------------------------------------------------------------------------------


def another_passkey(org: Organisation, device: Device) -> tuple[str, dict[str, Any], SigningKey, KemKey]:
    """Invited and joined: (invite, the answer, its key, its transfer key)."""
    invite, bearer, _ = org.invite("person", device.person, device=device.id)
    terms = org.relay.call("GET", "/v1/invite", token=bearer).ok()
    assert (terms["kind"], terms["subject"], terms["device"]) == ("person", device.person, device.id)
    auth, kem = SigningKey.generate("es256"), KemKey.generate()
    enrol = org.enrolment(invite, "new", auth, kem={"suite": "p256", "public": b64encode(kem.public)})
    return invite, org.relay.call("POST", "/v1/enrol", {"enrol": wire(enrol)[0]}, token=bearer).ok(), auth, kem


def test_a_synced_key_travels_to_another_passkey_of_the_same_device(org: Organisation) -> None:
    ben = org.devices["ben"]
    invite, joined, auth, kem = another_passkey(org, ben)
    # The device that has the key hears of it, and sees that enrolment alone.
    listed = ben.get("/v1/invites").ok()["invites"]
    assert [(one["invite"], one["device"], one["state"]) for one in listed] == [(invite, ben.id, "joined")]
    info = encode(["stillvault/v1/enrol", "transfer", joined["oid"]])
    key = public.sha256(b"stands for a scalar")
    enc, ct = private.kem_seal(kem.public, info, key)
    ben.post(f"/v1/invites/{invite}/transfer", {"enc": b64encode(enc), "ct": b64encode(ct)}).ok()
    sent = org.relay.call("GET", "/v1/enrol", token=joined["ticket"]).ok()["transfer"]
    assert kem.open(info, public.b64decode(sent["enc"]), public.b64decode(sent["ct"])) == key
    assert [one["invite"] for one in org.admin.get("/v1/invites").ok()["invites"] if one.get("transferred")] == [invite]
    # The administrator adds the key to `auth`: at another device it is not the enrolment's.
    strange = {**org.admin.listed(), "tier": "synced", "auth": [key_of(org.admin.auth), key_of(auth)]}
    assert publish_with(org, strange, "alice", joined["oid"]).code == "enrolment"
    both = {**ben.listed(), "tier": "synced", "auth": [key_of(ben.auth), key_of(auth)]}
    publish_with(org, both, "ben", joined["oid"]).ok()
    assert org.relay.call("GET", "/v1/enrol?wait=5", token=joined["ticket"]).ok()["state"] == "confirmed"
    assert org.login(auth, person="ben", device=ben.id).status == 201
    assert [row["detail"]["outcome"] for row in org.leaves("enrolled")][-3:] == ["joined", "transferred a key", "confirmed"]


def publish_with(org: Organisation, listed: dict[str, Any], person: str, enrol: str) -> Any:
    """Publishes a roster in which this person's device stands like this."""
    people = [
        {"id": one, "name": one.title(), "roles": sorted(org.roles[one]), "devices": [listed if one == person else d.listed()]}
        for one, d in sorted(org.devices.items())
    ]
    before = org.previous, org.version, org.roster
    answer = org.admin.post("/v1/roster", {"roster": wire(org.next_roster(people=people))[0], "enrol": enrol})
    if answer.status >= 300:
        org.previous, org.version, org.roster = before
    return answer


def test_a_key_is_handed_over_by_its_own_device_alone(org: Organisation) -> None:
    ben = org.devices["ben"]
    invite, _, _, kem = another_passkey(org, ben)
    enc, ct = private.kem_seal(kem.public, b"info", bytes(32))
    sealed = {"enc": b64encode(enc), "ct": b64encode(ct)}
    assert org.admin.post(f"/v1/invites/{invite}/transfer", sealed).code == "unknown"
    assert ben.post(f"/v1/invites/{'A' * 43}/transfer", sealed).code == "unknown"
    assert ben.post(f"/v1/invites/{invite}/transfer", {**sealed, "ct": b64encode(bytes(47))}).code == "body-form"
    org.admin.post(f"/v1/invites/{invite}/cancel", {}).ok()
    assert ben.post(f"/v1/invites/{invite}/transfer", sealed).code == "enrolment"
    # An invite of a new person takes none.
    plain, bearer, _ = org.invite("person", "carol", roles=["approver"])
    carol = Device(org, "carol", "carol-phone")
    enrol = org.enrolment(plain, "carol", carol.auth, kem={"suite": "p256", "public": b64encode(carol.kem.public)})
    org.relay.call("POST", "/v1/enrol", {"enrol": wire(enrol)[0]}, token=bearer).ok()
    assert ben.post(f"/v1/invites/{plain}/transfer", sealed).code == "unknown"
    assert [one["device"] for one in ben.get("/v1/invites").ok()["invites"]] == [ben.id]


def test_the_form_of_an_invite_for_one_more_passkey(org: Organisation) -> None:
    hashes = {"invite": b64encode(bytes(32)), "bearer_hash": b64encode(bytes(32))}

    def invite(**terms: object) -> str:
        return org.admin.post("/v1/invites", {**hashes, **terms}).code

    assert invite(kind="person", subject="ben", device="nothing") == "unknown"
    assert invite(kind="person", subject="nobody", device="ben-phone") == "unknown"
    assert invite(kind="person", subject="alice", device="ben-phone") == "unknown"
    assert invite(kind="person", subject="ben", device="ben-phone", roles=["admin"]) == "body-form"
    assert invite(kind="client", subject="host/x", device="ben-phone", scopes=["prod/**"], host="x", grade="user") == "body-form"
    assert org.devices["ben"].post("/v1/invites", {**hashes, "kind": "person", "subject": "ben", "device": "ben-phone"}).code == (
        "forbidden"
    )
    # Without a key to seal to there is nothing to transfer.
    name, bearer, _ = org.invite("person", "ben", device="ben-phone")
    enrol = org.enrolment(name, "x", SigningKey.generate("es256"))
    assert org.relay.call("POST", "/v1/enrol", {"enrol": wire(enrol)[0]}, token=bearer).code == "enrolment"
