"""While people decide: what the caller sees, and how the wait ends."""

from __future__ import annotations

import json
import re
import signal
import threading
import time

import pytest

from tests.front.conftest import Front
from tests.front.standin import Call, pack


def test_one_line_at_once(front: Front) -> None:
    def script(call: Call) -> None:
        call.pending(needed=2)
        call.pending(needed=2)  # no news, no line
        call.pending(needed=2, approved=1)
        call.deliver({"a": b"value"})

    with front.daemon(script):
        ended = front("read", "sv://a")
    assert ended.out == b"value"
    first, second = ended.err.splitlines()
    assert re.fullmatch(r"waiting for alice, bob: code 012345, 0 of 2, \d+h\d\dm left", first)
    assert ", 1 of 2, " in second
    assert "\x1b" not in ended.err


def test_news_that_come_together(front: Front) -> None:
    """Several frames in one piece, and one frame in many."""

    def script(call: Call) -> None:
        call.put([b"value"])
        facts = [{"path": "a", "version": 1, "revision": 0, "length": 5, "from": "release", "window": 0, "left": 0}]
        pending = {"event": "pending", "asked": ["alice"], "needed": 2, "expires": 4000000000}
        news = b"".join(pack({**pending, "approved": people}) for people in (0, 1))
        call.sock.sendall(news + pack({"event": "delivered", "values": facts}))

    with front.daemon(script):
        ended = front("read", "sv://a")
    assert (ended.out, len(ended.err.splitlines())) == (b"value", 2)

    def slowly(call: Call) -> None:
        for byte in pack({"event": "error", "code": "denied", "exit": 10, "message": "", "remedy": ""}):
            call.sock.sendall(bytes([byte]))

    with front.daemon(slowly):
        assert front("read", "sv://a").exit == 10


def test_events_in_json(front: Front) -> None:
    def script(call: Call) -> None:
        call.pending(why="first time on this host")
        call.refuse(10, "denied", check="deny")

    with front.daemon(script):
        ended = front("read", "sv://a", "--format", "json")
    event, error = map(json.loads, ended.err.splitlines())
    assert (event["v"], event["event"], event["code"], event["asked"]) == (1, "pending", "012345", ["alice", "bob"])
    assert error["error"]["exit"] == 10
    assert error["v"] == 1


def test_a_terminal_sees_one_live_line(front: Front) -> None:
    def script(call: Call) -> None:
        call.pending()
        call.pending(approved=1)
        call.deliver({"a": b"value"})

    with front.daemon(script):
        shown = front.on_terminal("read", "--reveal", "-n", "sv://a").out
    lines = shown.split(b"\r")
    assert all(len(line.replace(b"\x1b[K", b"").decode()) <= 79 for line in lines)
    assert shown.endswith(b"\r\x1b[Kvalue")  # the line is gone before the value comes
    with front.daemon(script):
        plain = front.on_terminal("read", "--reveal", "-n", "sv://a", env={"TERM": "dumb"}).out
    assert b"\x1b" not in plain


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"])
@pytest.mark.parametrize("words", [["read", "sv://a"], ["run", "--env", "A=sv://a", "--", "true"]], ids=["read", "run"])
def test_an_interrupt_withdraws(front: Front, sent: signal.Signals, code: int, words: list[str]) -> None:
    asked = threading.Event()
    withdrawn: list[bool] = []

    def script(call: Call) -> None:
        call.pending()
        asked.set()
        withdrawn.append(call.ended())

    with front.daemon(script), front.start(*words) as process:
        assert asked.wait(30)
        process.send_signal(sent)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, withdrawn) == (code, b"", [True])
    assert b"interrupted" in err


def test_an_interrupt_before_the_first_word(front: Front) -> None:
    with front.daemon(lambda _: None, hello=b"") as daemon, front.start("read", "sv://a") as process:
        assert daemon.met.wait(30)
        time.sleep(0.1)  # either before or while it waits: the same end
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


def test_ctrl_c_on_a_terminal(front: Front) -> None:
    def script(call: Call) -> None:
        call.pending()
        call.ended()

    with front.daemon(script):
        ended = front.on_terminal("read", "--reveal", "sv://a", until=b"code 012345")
    assert ended.exit == 130


def test_an_ignored_interrupt_stays_ignored(front: Front) -> None:
    asked = threading.Event()
    gone = threading.Event()

    def script(call: Call) -> None:
        call.pending()
        asked.set()
        assert gone.wait(30)
        call.deliver({"a": b"value"})

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with front.daemon(script), front.start("read", "sv://a", preexec_fn=ignore) as process:
        assert asked.wait(30)
        process.send_signal(signal.SIGINT)
        gone.set()
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"value")


@pytest.mark.parametrize("exit", [1, 2, 10, 11, 12, 13, 14, 15, 16])
def test_the_daemons_word_is_the_exit_status(front: Front, exit: int) -> None:
    for words in (["read", "sv://a"], ["run", "--env", "A=sv://a", "--", "true"]):
        with front.daemon(lambda call: call.refuse(exit, "some-code")):
            ended = front(*words)
        assert (ended.exit, ended.out) == (exit, b"")
        assert "stillvault: some-code: it was refused\n  ask again\n" in ended.err


def test_untrusted_names_the_check(front: Front) -> None:
    with front.daemon(lambda call: call.refuse(15, "untrusted", check="quorum")):
        ended = front("read", "sv://a")
    assert ended.err.splitlines()[0] == "untrusted: quorum"
    with front.daemon(lambda call: call.refuse(15, "untrusted", check="quorum")):
        ended = front("read", "sv://a", "--format=json")
    named, last = ended.err.splitlines()
    assert named == "untrusted: quorum"
    error = json.loads(last)["error"]
    assert (error["untrusted"], error["exit"]) == ("quorum", 15)


def test_a_status_that_scripts_do_not_know(front: Front) -> None:
    for exit in (0, 3, 130, 255, 256, -1):
        with front.daemon(lambda call, exit=exit: call.refuse(exit, "odd")):
            assert front("read", "sv://a").exit == 1


def test_words_of_others_move_no_cursor(front: Front) -> None:
    def script(call: Call) -> None:
        call.pending(asked=["\x1b[2J\u202e"], code="\n", why="\x9b")
        call.refuse(1, "odd\x1b", message="\x1b]0;x\x07\r\nline", remedy="\u200b")

    with front.daemon(script):
        ended = front("read", "sv://a")
    assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) <= 0x9F or c in "\u202e\u200b" for c in ended.err)
    assert len(ended.err.splitlines()) == 4


def test_patience_ends(front: Front) -> None:
    def script(call: Call) -> None:
        call.pending()
        call.ended()

    with front.daemon(script):
        ended = front("read", "sv://a", "--wait", "1s")
    assert (ended.exit, "stillvault: expired: " in ended.err) == (11, True)
