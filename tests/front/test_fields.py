"""References to a field of a value, wherever a reference may stand."""

from __future__ import annotations

import json

import pytest

from tests.front.conftest import Front

OBJECT = b'{"user": "app", "password": "s3cret \\"quoted\\" \\u00e9", "port": 5432, "tls": true, "more": {"a": 1}, "none": null}'
LINES = b"# db\nexport DB_USER=app\nDB_PASSWORD='s3cret # not a comment'\n"
PASSWORD = 's3cret "quoted" é'


@pytest.mark.parametrize(("value", "name", "content"), [
    (OBJECT, "password", PASSWORD.encode()), (OBJECT, "port", b"5432"), (OBJECT, "tls", b"true"), (OBJECT, "user", b"app"),
    (LINES, "DB_PASSWORD", b"s3cret # not a comment"), (LINES, "DB_USER", b"app"),
])
def test_read(front: Front, value: bytes, name: str, content: bytes) -> None:
    with front.holding(prod_db=value) as daemon:
        assert front("read", f"sv://prod/db#{name}").out == content
        answer = json.loads(front("read", f"sv://prod/db#{name}", "--format", "json").out)
    assert daemon.calls[0]["refs"] == ["prod/db"]  # people are asked for the secret
    assert (answer["field"], answer["value"].encode()) == (name, content)


def test_run_takes_fields_from_every_place_and_asks_once(front: Front) -> None:
    (front.place / "env").write_text("B=sv://prod/db#port\nWHOLE=sv://prod/db\n")
    script = 'printf "%s|%s|%s|%s" "$A" "$B" "$C" "$WHOLE"'
    with front.holding(prod_db=OBJECT) as daemon:
        ended = front("run", "--no-masking", "--env", "A=sv://prod/db#password", "--env-file", "env", "--", "sh", "-c", script,
                      env={"C": "sv://prod/db#user"})
    assert ended.out.decode() == f"{PASSWORD}|5432|app|{OBJECT.decode()}"
    assert [call["refs"] for call in daemon.calls] == [["prod/db"]]


def test_run_masks_a_field_and_the_value_that_it_was_cut_from(front: Front) -> None:
    with front.holding(a=b'{"password":"correct horse"}'):
        ended = front("run", "--env", "A=sv://a#password", "--", "sh", "-c", 'printf "x $A y"; echo "$A" | base64')
    assert b"correct horse" not in ended.out
    assert ended.out.startswith(b"x <concealed by stillvault> y")


def test_inject(front: Front) -> None:
    (front.place / "t").write_text("host={{ sv://db#DB_USER }} {{sv://db#DB_PASSWORD}}\n")
    with front.holding(db=LINES) as daemon:
        assert front("inject", "-i", "t", "-o", "out").exit == 0
    assert (front.place / "out").read_text() == "host=app s3cret # not a comment\n"
    assert len(daemon.calls) == 1


@pytest.mark.parametrize(("value", "name", "why"), [
    (OBJECT, "absent", "no such field"), (LINES, "absent", "no such field"),
    (OBJECT, "more", "is an object, a list or null"), (OBJECT, "none", "is an object, a list or null"),
    (b"canary-swordfish", "password", "neither a JSON object nor lines"), (b'["canary"]', "password", "neither"),
    (b"\xff\xfecanary", "password", "neither"), (b'{"password": "canary"', "password", "neither"),
    (b"A=canary\nB canary", "A", "neither"), (b'{"a":"canary","a":"canary"}', "a", "stands twice"),
])
def test_what_is_wrong_is_said_by_the_reference_and_never_by_the_value(front: Front, value: bytes, name: str, why: str) -> None:
    (front.place / "t").write_text(f"{{{{ sv://prod/db#{name} }}}}")
    with front.holding(prod_db=value):
        for words, code in ((("read", f"sv://prod/db#{name}"), 1), (("inject", "-i", "t", "-o", "out"), 1),
                            (("run", "--env", f"A=sv://prod/db#{name}", "--", "true"), 125)):
            ended = front(*words)
            assert (ended.exit, f"sv://prod/db#{name}: " in ended.err, why in ended.err) == (code, True, True), ended
            assert "canary" not in ended.err
            assert b"canary" not in ended.out
    assert not (front.place / "out").exists()


def test_a_field_that_no_variable_can_hold(front: Front) -> None:
    with front.holding(a=b'{"x":"a\\u0000b"}'):
        ended = front("run", "--env", "A=sv://a#x", "--", "true")
    assert (ended.exit, "zero byte" in ended.err) == (125, True)
