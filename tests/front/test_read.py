"""`stillvault read`: the bytes that were sealed, to where they were asked, whole or not at all."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.front.conftest import FRONT, Front

HOSTILE = [
    b"",
    b"\n",
    b"no line end",
    b"two\nlines\n",
    b"\x00nul\x00",
    b"\x1b[2J\xff\xfe",
    "ünïcödé \u202e".encode(),
    bytes(range(256)) * 240,  # 60 KiB
]


@pytest.mark.parametrize("value", HOSTILE)
def test_raw_bytes_round_trip(front: Front, value: bytes) -> None:
    with front.holding(prod_db=value) as daemon:
        for flags in ([], ["-n"]):
            ended = front("read", *flags, "sv://prod/db")
            assert (ended.exit, ended.out, ended.err) == (0, value, "")
    assert daemon.calls[0] == {"v": 1, "verb": "get", "refs": ["prod/db"]}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=st.binary(max_size=2000))
def test_any_bytes_round_trip(front: Front, value: bytes) -> None:
    with front.holding(a=value):
        assert front("read", "sv://a").out == value


def test_what_goes_with_the_question(front: Front) -> None:
    with front.holding(a=b"x") as daemon:
        assert front("read", "sv://a", "--reason", "a\\b\n\u202e", "--ttl", "5m", "--wait=1h").exit == 0
    assert daemon.calls == [
        {"v": 1, "verb": "get", "refs": ["a"], "reason": "a\\u{5c}b\\u{a}\\u{202e}", "ttl": 300, "wait": 3600}
    ]


@pytest.mark.parametrize("value", HOSTILE)
def test_json(front: Front, value: bytes) -> None:
    with front.holding(a=value):
        answer = json.loads(front("read", "--format", "json", "sv://a").out)
    if answer["encoding"] == "utf-8":
        assert answer["value"].encode() == value
    else:
        padded = answer["value"] + "=" * (-len(answer["value"]) % 4)
        assert base64.urlsafe_b64decode(padded) == value
    assert (answer["v"], answer["path"], answer["version"], answer["from"]) == (1, "a", 3, "release")


def test_dry_run_asks_nobody(front: Front) -> None:
    plan = {"path": "a/b", "client": "host/db-1", "people": ["alice"], "needed": 1, "leased": False}
    with front.daemon(lambda call: call.say(event="plan", refs=[plan])) as daemon:
        ended = front("read", "sv://a/b#f", "--dry-run")
        answer = json.loads(front("read", "sv://a/b", "--dry-run", "--format", "json").out)
    assert (ended.exit, ended.out.decode()) == (0, "sv://a/b#f\n    asks 1 of alice as host/db-1\n")
    assert ended.err == "nobody was asked\n"
    assert [call["verb"] for call in daemon.calls] == ["plan", "plan"]
    assert answer == {"v": 1, "references": [{"reference": "sv://a/b", "names": [], "plan": plan}]}


def test_a_terminal_needs_reveal(front: Front) -> None:
    # Nobody is asked: there is no daemon at all.
    ended = front.on_terminal("read", "sv://prod/db")
    assert ended.exit == 2
    assert b"stillvault run --env NAME=sv://prod/db -- CMD" in ended.out
    with front.holding(prod_db=b"s3cret-value"):
        assert front.on_terminal("read", "--reveal", "sv://prod/db").out == b"s3cret-value\r\n"
        assert front.on_terminal("read", "--reveal", "-n", "sv://prod/db").out == b"s3cret-value"


def test_out_file_is_new_private_and_whole(front: Front) -> None:
    target = front.place / "value"
    with front.holding(a=b"x\0y"):
        assert front("read", "sv://a", "--out-file", target, umask=0).exit == 0
    assert target.read_bytes() == b"x\0y"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(p.name for p in front.place.iterdir()) == ["value"]
    with front.holding(a=b"x"):
        assert front("read", "sv://a", "--out-file", "wider", "--mode", "0640", umask=0o777).exit == 0
    assert stat.S_IMODE((front.place / "wider").stat().st_mode) == 0o640


def test_out_file_tricks(front: Front) -> None:  # L19
    (front.place / "there").write_text("mine")
    (front.place / "link").symlink_to(front.place / "elsewhere")
    (front.place / "dir").mkdir()
    with front.holding(a=b"x") as daemon:
        refused = {"there": "exists", "link": "is a link", "dir": "not a regular file", "no/file": "not a directory"}
        for name, why in refused.items():
            ended = front("read", "sv://a", "--out-file", name)
            assert (ended.exit, why in ended.err) == (2, True), ended.err
        # Even when told to replace, never through a link.
        assert front("read", "sv://a", "--out-file", "link", "--force").exit == 2
        assert daemon.calls == []
        assert front("read", "sv://a", "--out-file", "there", "--force").exit == 0
    assert (front.place / "there").read_bytes() == b"x"
    assert not (front.place / "elsewhere").exists()


def test_a_full_disk_is_said(front: Front) -> None:
    with front.holding(a=b"x" * 1000), Path("/dev/full").open("wb") as full:
        ended = front("read", "sv://a", stdout=full)
    assert ended.exit == 1
    assert "stillvault: output: standard output took only a part: No space left on device" in ended.err


def test_a_reader_that_left(front: Front) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with front.holding(a=b"x" * 1000):
        ended = front("read", "sv://a", stdout=writing)
    os.close(writing)
    assert (ended.exit, "nobody reads standard output" in ended.err) == (1, True)


def test_closed_streams(front: Front) -> None:
    with front.holding(a=b"value"):
        script = f'exec "$0" read sv://a --out-file {front.place}/f <&- >&- 2>&-'
        assert subprocess.run(["sh", "-c", script, str(FRONT)], env=front.env, check=False).returncode == 0
    assert (front.place / "f").read_bytes() == b"value"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "takes one reference"),
        (["sv://a", "sv://b"], "takes one reference"),
        (["prod/db"], "write the secret as sv://PATH"),
        (["sv://"], "not the path of a secret"),
        (["sv://A"], "not the path of a secret"),
        (["sv://a/../b"], "not the path of a secret"),
        (["sv://a\x1b[2J"], "\\u{1b}"),
        ([b"sv://\xff"], "not the path of a secret"),
        (["sv://" + "a" * 201], "not the path of a secret"),
        (["sv://a#"], "not the name of a field"),
        (["sv://a#b#c"], "not the name of a field"),
        (["--detach", "sv://a", "--out-file", "f"], "--detach gives a handle at once"),
        (["--detach", "sv://a", "--wait", "5s"], "--detach gives a handle at once"),
        (["sv://a", "--uses", "0"], "--uses takes how often"),
        (["sv://a", "--window", "9h"], "--window takes a time"),
        (["sv://a", "--ttl", "2h"], "--ttl takes a time"),
        (["sv://a", "--ttl", "0"], "--ttl takes a time"),
        (["sv://a", "--wait", "-1"], "--wait takes a time"),
        (["sv://a", "--wait", "99999999999999999999"], "--wait takes a time"),
        (["sv://a", "--reason", "x" * 501], "--reason is longer"),
        (["sv://a", "--mode", "0600"], "go with --out-file"),
        (["sv://a", "--out-file", "f", "--mode", "4755"], "--mode takes permissions"),
        (["sv://a", "--bogus"], "does not take '--bogus'"),
        (["sv://a", "--format", "xml"], "--format takes text or json"),
        (["sv://a", "--out-file"], "--out-file"),
    ],
)
def test_usage(front: Front, words: list[str | bytes], why: str) -> None:
    ended = front("read", *words)
    assert (ended.exit, ended.out) == (2, b"")
    assert why in ended.err, ended.err
    assert not any(ord(c) < 32 and c != "\n" for c in ended.err)


def test_errors_in_json(front: Front) -> None:
    ended = front("read", "nothing", "--format", "json")
    assert json.loads(ended.err) == {"v": 1, "error": {
        "code": "usage", "exit": 2, "message": "'nothing' is not a reference",
        "remedy": "write the secret as sv://PATH, for example sv://prod/db-primary"}}
