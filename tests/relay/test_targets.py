"""Each person's own targets: whose they are, what form they have, and that what they hold never comes out again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.relay.listeners import listening
from tests.relay.notified import organisation, target
from tests.relay.parties import Json
from tests.relay.process import RelayProcess

SECRETS = {"ntfy": "tk_" + "n" * 29, "gotify": "A" + "g" * 14, "webhook": "w" * 40}


def test_a_person_sees_changes_and_tries_their_own_alone(directory: Path) -> None:
    with listening() as listener, organisation(directory, listener.port) as org:
        ben, db = org.devices["ben"], org.client()
        mine, theirs = target(org.admin, listener), target(ben, listener)
        assert [one["id"] for one in ben.get("/v1/targets").ok()["targets"]] == [theirs["id"]]
        for path in ("/v1/targets/remove", "/v1/targets/test"):
            for made_up in (mine["id"], "A" * 22, ""):
                answer = ben.post(path, {"id": made_up})
                assert (answer.status, answer.code) == (404, "unknown")
        for path in ("/v1/targets", "/v1/targets/remove", "/v1/targets/test"):
            assert db.post(path, {"id": mine["id"]}).code in ("forbidden", "body-form")
        assert db.get("/v1/targets").code == "forbidden"
        assert org.relay.call("GET", "/v1/targets").code == "sign-in"
        assert listener.arrived == []
        ben.post("/v1/targets/remove", {"id": theirs["id"]}).ok()
        assert (ben.get("/v1/targets").ok()["targets"], len(org.admin.get("/v1/targets").ok()["targets"])) == ([], 1)
        said = [row["detail"]["outcome"] for row in org.leaves("config") if row["actor"] == "ben"]
        assert said == ["target added: pixel", "target removed: pixel"]


def test_a_device_that_leaves_takes_its_browser_along(directory: Path) -> None:
    with listening() as listener, organisation(directory, listener.port) as org:
        ben = org.devices["ben"]
        ben.post("/v1/targets", {"kind": "browser", "name": "here"}).ok()
        target(ben, listener)
        ben.id, ben.token = "ben-tablet", ""
        org.publish().ok()
        assert [(one["kind"], one["device"]) for one in ben.get("/v1/targets").ok()["targets"]] == [("ntfy", "ben-phone")]


def test_a_test_message_says_what_really_became_of_it(directory: Path) -> None:
    with listening(200, 500, 404) as listener, organisation(directory, listener.port) as org:
        made = target(org.admin, listener)
        tried = [org.admin.post("/v1/targets/test", {"id": made["id"]}) for _ in range(13)]  # a minute may end between
        said: list[Json] = [one.ok() for one in tried[:3]]
        assert [(one["sent"], one["outcome"]) for one in said] == [(True, "sent"), (False, "http-500"), (False, "http-404")]
        refused = [one for one in tried if one.status == 429]
        assert {one.json["field"] for one in refused} == {"notify.tests_per_minute"}
        assert listener.arrived[0].body == b"This is a test."
        assert listener.arrived[0].headers["click"] == f"{org.relay.url}/pending"
        assert org.leaves("config")[-1]["detail"]["outcome"] == "target tested: pixel: http-404"
        browser = org.admin.post("/v1/targets", {"kind": "browser", "name": "here"}).ok()
        assert org.admin.post("/v1/targets/test", {"id": browser["id"]}).ok() == {"sent": False, "outcome": "browser"}


def test_what_a_target_holds_never_comes_out_again(directory: Path) -> None:
    with listening(500) as listener, organisation(directory, listener.port, log_level="debug") as org:
        server, answers = f"http://127.0.0.1:{listener.port}", []
        bodies = {
            "ntfy": {"url": server, "topic": "t", "token": SECRETS["ntfy"]},
            "gotify": {"url": server, "token": SECRETS["gotify"]},
            "webhook": {"url": f"{server}/hooks/capability-url", "secret": SECRETS["webhook"]},
        }
        for kind, body in bodies.items():
            made = org.admin.post("/v1/targets", {"kind": kind, "name": kind, **body})
            answers += [made.body, org.admin.post("/v1/targets/test", {"id": made.ok()["id"]}).body]
        answers += [org.admin.get("/v1/targets").body, json.dumps(org.leaves()).encode()]
        everything = b"".join([*answers, *org.relay.stderr])
        assert [secret for secret in (*SECRETS.values(), "capability-url") if secret.encode() in everything] == []
        assert len(listener.arrived) == 3


P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
BAD: list[tuple[Json, str]] = [
    ({"kind": "ntfy", "name": "My phone", "url": "http://127.0.0.1", "topic": "t"}, "name"),
    ({"kind": "ntfy", "name": "a", "url": "http://127.0.0.1"}, "topic"),
    ({"kind": "ntfy", "name": "a", "url": "http://127.0.0.1", "topic": "a/b"}, "topic"),
    ({"kind": "ntfy", "name": "a", "url": "http://127.0.0.1/", "topic": "t"}, "url"),
    ({"kind": "ntfy", "name": "a", "url": "http://127.0.0.1?a", "topic": "t"}, "url"),
    ({"kind": "ntfy", "name": "a", "url": "http://127.0.0.1", "topic": "t", "token": "a\r\nX: y"}, "token"),
    ({"kind": "ntfy", "name": "a", "url": "http://127.0.0.1", "topic": "t", "secret": "s" * 40}, "secret"),
    ({"kind": "gotify", "name": "a", "url": "http://127.0.0.1"}, "token"),
    ({"kind": "gotify", "name": "a", "url": "HTTP://127.0.0.1", "token": "t"}, "url"),
    ({"kind": "webhook", "name": "a", "url": "http://127.0.0.1/x", "secret": "short"}, "secret"),
    ({"kind": "webhook", "name": "a", "url": "http://u:p@127.0.0.1/x", "secret": "s" * 40}, "url"),
    ({"kind": "browser", "name": "a", "url": "http://127.0.0.1"}, "url"),
    ({"kind": "smtp", "name": "a", "address": "a@b\r\nBcc: c@d"}, "address"),
    ({"kind": "smtp", "name": "a", "address": "nobody"}, "address"),
    ({"kind": "webpush", "name": "a", "url": "http://127.0.0.1/x", "p256dh": P256DH, "auth": AUTH}, "url"),
    ({"kind": "webpush", "name": "a", "url": "https://127.0.0.1/x", "p256dh": P256DH[:-2], "auth": AUTH}, "p256dh"),
    ({"kind": "webpush", "name": "a", "url": "https://127.0.0.1/x", "p256dh": P256DH, "auth": AUTH[:-4]}, "p256dh"),
    ({"kind": "webpush", "name": "a", "url": "https://127.0.0.1/x", "p256dh": "!" * 87, "auth": AUTH}, "p256dh"),
]


def test_the_form_of_each_kind(directory: Path) -> None:
    """Refused with the field and the rule; nothing of what was sent comes back."""
    with organisation(directory, 80) as org:
        for body, field in BAD:
            answer = org.admin.post("/v1/targets", body)
            assert (answer.status, answer.code, answer.json["field"]) == (400, "target", field), body
            assert answer.json["remedy"]
            assert body.get(field, "absent") not in answer.body.decode()
        assert org.admin.post("/v1/targets", {"kind": "pigeon", "name": "a"}).code == "body-form"
        assert org.admin.post("/v1/targets", {"kind": "smtp", "name": "a", "address": "a@b.example"}).code == "egress"
        assert org.admin.get("/v1/targets").ok()["targets"] == []


def test_names_are_one_of_a_kind_and_targets_are_counted(directory: Path) -> None:
    with organisation(directory, **{"notify.targets_per_person": "2"}) as org:
        org.admin.post("/v1/targets", {"kind": "browser", "name": "here"}).ok()
        again = org.admin.post("/v1/targets", {"kind": "browser", "name": "here"})
        assert (again.code, again.json["field"]) == ("conflict", "name")
        org.devices["ben"].post("/v1/targets", {"kind": "browser", "name": "here"}).ok()
        org.admin.post("/v1/targets", {"kind": "browser", "name": "there"}).ok()
        more = org.admin.post("/v1/targets", {"kind": "browser", "name": "third"})
        assert (more.status, more.json["field"]) == (429, "notify.targets_per_person")


@pytest.mark.parametrize("ca", ["/none/such.pem", __file__])
def test_a_ca_file_that_is_none_ends_the_start(directory: Path, ca: str) -> None:
    process = RelayProcess(directory / "data", **{"notify.ca": ca})
    done = process.command("serve", "--data", str(process.data), "--listen", "127.0.0.1:0")
    assert done.returncode == 78
    assert b"notify.ca: it cannot be read as certificates in PEM" in done.stderr
