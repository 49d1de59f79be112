"""`--detach`, `wait` and `--handle`, against every answer that a daemon could give."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.front.conftest import Front
from tests.front.standin import Call

H = "h-AAAAAAAAAAAAAAAAAAAAAA"
VALUES = {"a": b'{"x":"first value"}', "b": b"second value"}


class Desk:
    """A daemon that answers for one handle, verb after verb on one connection."""

    def __init__(self, refs: list[str], state: str = "ready", **more: Any) -> None:
        self.refs, self.state, self.more = refs, state, more
        self.frames: list[dict[str, Any]] = []

    def __call__(self, call: Call) -> None:
        frame = call.frame
        while frame:
            self.frames.append(frame)
            facts = {"handle": H, "refs": self.refs, "state": self.state, **self.more}
            match frame["verb"]:
                case "ask":
                    call.say(event="handle", **facts)
                case "state":
                    call.say(event="state", **facts)
                case "take" if "error" in self.more or self.state == "pending":
                    call.refuse(**({"exit": 11, "code": "expired", "check": "pending"} if self.state == "pending"
                                   else {name: self.more["error"][name] for name in ("exit", "code")}))
                case "take":
                    call.put([VALUES[ref] for ref in self.refs])
                    fixed = {"version": 1, "revision": 0, "from": "release", "window": 0, "left": 0}
                    call.say(event="delivered", values=[{**fixed, "path": ref, "length": len(VALUES[ref])} for ref in self.refs])
            frame = call.next()


PENDING = {"card": "0123456789ab", "code": "012345", "asked": ["alice"], "needed": 1, "approved": 0, "expires": 4000000000}


def test_detach_prints_a_handle_at_once(front: Front) -> None:
    desk = Desk(["a"], "pending", **PENDING)
    with front.daemon(desk):
        ended = front("read", "--detach", "sv://a#x", "--reason", "r", "--ttl", "5m", "--window", "0s", "--uses", "2")
        answer = json.loads(front("read", "--detach", "sv://a", "--format", "json").out)
    assert (ended.exit, ended.out.decode()) == (0, f"{H}#x\n")
    assert "code 012345" in ended.err
    assert f"stillvault wait '{H}#x'" in ended.err
    assert desk.frames[0] == {"v": 1, "verb": "ask", "refs": ["a"], "reason": "r", "ttl": 300, "window": 0, "uses": 2}
    assert answer == {"v": 1, "handle": H, "refs": ["a"], "state": "pending", **PENDING}


def test_run_detach_asks_for_everything_and_runs_nothing(front: Front) -> None:
    desk = Desk(["a", "b"], "pending", **PENDING)
    with front.daemon(desk):
        ended = front("run", "--detach", "--env", "A=sv://a#x", "--env", "B=sv://b", "--", "touch", "ran")
    assert (ended.exit, ended.out.decode(), (front.place / "ran").exists()) == (0, f"{H}\n", False)
    assert (desk.frames[0]["refs"], desk.frames[0]["argv"]) == (["a", "b"], ["touch", "ran"])
    assert f"stillvault run --handle {H} .." in ended.err


@pytest.mark.parametrize("words", [("run", "--detach", "--env", "A=sv://a", "--", "true"),
                                   ("inject", "--detach", "-i", "t", "-o", "f")])
def test_what_was_asked_for_a_command_or_a_file_is_not_said_to_be_printed(front: Front, words: tuple[str, ...]) -> None:
    """Also where it is one value alone: `wait` would show it to whoever reads along."""
    (front.place / "t").write_text("{{ sv://a }}")
    with front.daemon(Desk(["a"], "pending", **PENDING)):
        ended = front(*words)
    assert f"stillvault {words[0]} --handle {H} .." in ended.err
    assert "stillvault wait" not in ended.err


def test_a_file_is_asked_for_now_and_written_later(front: Front) -> None:
    (front.place / "t").write_text("{{ sv://a#x }}, {{ sv://b }}")
    words = ("inject", "-i", "t", "-o", "f")
    desk = Desk(["a", "b"], "pending", **PENDING)
    with front.daemon(desk):
        ended = front(*words, "--detach", "--reason", "r")
    assert (ended.exit, ended.out.decode(), (front.place / "f").exists()) == (0, f"{H}\n", False)
    assert desk.frames == [{"v": 1, "verb": "ask", "refs": ["a", "b"], "reason": "r"}]
    with front.daemon(Desk(["a", "b"], "pending", **PENDING)):
        assert front(*words, "--handle", H, "--wait", "1s").exit == 11
    with front.daemon(Desk(["a"])) as daemon:
        ended = front(*words, "--handle", H)
        assert (ended.exit, "does not hold sv://b" in ended.err) == (2, True)
    assert [call["verb"] for call in daemon.calls] == ["state"]
    assert not (front.place / "f").exists()
    with front.daemon(Desk(["b", "a"])):
        assert front(*words, "--handle", H).exit == 0
    assert (front.place / "f").read_bytes() == b"first value, second value"


def test_wait_delivers_as_read_does(front: Front) -> None:
    desk = Desk(["b"])
    with front.daemon(desk):
        assert front("wait", H).out == b"second value"
        assert front("wait", H, "--wait", "25s", "--out-file", "f").exit == 0
        assert json.loads(front("wait", H, "--format", "json").out)["value"] == "second value"
        assert b"second value\r\n" in front.on_terminal("wait", H, "--reveal").out
        assert front.on_terminal("wait", H).exit == 2
    assert (front.place / "f").read_bytes() == b"second value"
    assert desk.frames[1] == {"verb": "take", "handle": H, "wait": 3600, "v": 1}
    assert desk.frames[3]["wait"] == 25
    with front.daemon(Desk(["a"])):
        assert front("wait", f"{H}#x").out == b"first value"


def test_run_with_a_handle(front: Front) -> None:
    words = ("run", "--handle", H, "--env", "A=sv://a#x", "--env", "B=sv://b", "--no-masking", "--", "sh", "-c", 'echo "$A $B"')
    with front.daemon(Desk(["b", "a"])):
        assert front(*words).out == b"first value second value\n"
    with front.daemon(Desk(["b"])) as daemon:
        ended = front(*words)
        assert (ended.exit, "does not hold sv://a" in ended.err) == (2, True)
    assert [call["verb"] for call in daemon.calls] == ["state"]
    with front.daemon(Desk(["b", "a"])):
        ended = front("wait", H)
    assert (ended.exit, "run --handle" in ended.err) == (2, True)


@pytest.mark.parametrize(("state", "more", "code"), [
    ("pending", PENDING, 11), ("ended", {"error": {"code": "denied", "exit": 10, "message": "no", "remedy": ""}}, 10),
    ("ended", {"error": {"code": "expired", "exit": 11, "message": "no", "remedy": ""}}, 11),
])
def test_the_same_exit_codes(front: Front, state: str, more: dict[str, Any], code: int) -> None:
    with front.daemon(Desk(["b"], state, **more)):
        assert front("wait", H, "--wait", "1s").exit == code
        ended = front("wait", H, "--state", "--wait", "1s", "--format", "json")
        assert (ended.exit, json.loads(ended.out)["state"]) == (code, state)
        assert front("wait", H, "--state").out.decode() == f"{state}\n"


def test_state_takes_nothing(front: Front) -> None:
    desk = Desk(["a", "b"])
    with front.daemon(desk):
        assert front("wait", H, "--state").exit == 0
    assert [frame["verb"] for frame in desk.frames] == ["state"]


def test_a_look_without_waiting(front: Front) -> None:
    desk = Desk(["b"], "pending", **PENDING)
    with front.daemon(desk):
        ended = front("wait", H, "--state", "--wait", "0s")
        assert (ended.exit, ended.out) == (11, b"pending\n")
        assert front("wait", H, "--wait", "0s").exit == 11
    assert [(frame["verb"], frame["wait"]) for frame in desk.frames] == [("state", 0), ("state", 0), ("take", 0)]


@pytest.mark.parametrize(("words", "why"), [
    (["wait"], "takes one handle"), (["wait", H, H], "takes one handle"), (["wait", "sv://a"], "is not a handle"),
    (["wait", H, "--state", "-n"], "--state takes no value"), (["wait", H, "--ttl", "5m"], "does not take"),
    (["run", "--handle", H, "--reason", "x", "--", "true"], "--handle takes what was asked before"),
    (["run", "--handle", H, "--detach", "--", "true"], "--handle takes what was asked before"),
    (["run", "--detach", "--", "true"], "no reference"), (["read", "sv://a", "--wait", "0s"], "--wait takes a time"),
    (["run", "--detach", "--wait", "5s", "--env", "A=sv://a", "--", "true"], "goes without --wait"),
    (["inject", "-i", "t", "-o", "f", "--handle", H, "--uses", "2"], "--handle takes what was asked before"),
    (["inject", "-i", "t", "-o", "f", "--handle", H, "--detach"], "--handle takes what was asked before"),
    (["inject", "-i", "t", "-o", "f", "--detach", "--wait", "5s"], "goes without --wait"),
    (["inject", "-i", "t", "-o", "f", "--handle", "h"], "is not a handle"),
])
def test_usage(front: Front, words: list[str], why: str) -> None:
    ended = front(*words)
    assert (ended.exit, why in ended.err) == (2, True), ended.err
