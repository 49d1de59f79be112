"""The daemon's real door: frames, nonces, pipes, the socket's file, and what one account may take of it."""

from __future__ import annotations

import contextlib
import json
import os
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client.caller import Call, contents, pipe
from tests.client.door import lines

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: other accounts")


def test_bad_frames_end_the_call(door):
    for block in (b"\xff\xff\xff\xff", b"\0\0\0\2{}", b"\0\0\0\5[[[[[", b"\0\0\0\1\xff", (300 * 1024).to_bytes(4, "big")):
        call = Call(str(door.path))
        call.hello()
        call.raw(block)
        event = call.event()
        assert event["event"] == "error"
        assert event["exit"] == 2
        assert call.event() is None
        call.sock.close()


def test_frames_of_another_form_are_refused(door):
    for text in (
        '{"nonce":"N","v":1, "verb":"ping"}',
        '{"verb":"ping","nonce":"N","v":1}',
        '{"nonce":"N","v":1,"verb":"ping","x":1}',
        '{"nonce":"N","nonce":"N","v":1,"verb":"ping"}',
        '{"nonce":"N","v":2,"verb":"ping"}',
        '{"nonce":"N","v":1,"verb":"pi"}',
    ):
        call = Call(str(door.path))
        raw = text.replace("N", call.hello()["nonce"]).encode()
        call.raw(len(raw).to_bytes(4, "big") + raw)
        assert call.event()["exit"] == 2
        assert call.event() is None
        call.sock.close()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(["verb", "refs", "v", "ttl", "path", "id", "argv"]),
                    st.one_of(st.integers(), st.text(max_size=8), st.none(), st.lists(st.text(max_size=4), max_size=3),
                              st.sampled_from(["get", "ping", "whoami", "leases", "cancel"])), max_size=5),
))
def test_no_frame_breaks_the_door(door, said):
    call = Call(str(door.path))
    call.hello()
    if isinstance(said, bytes):
        call.raw(len(said).to_bytes(4, "big") + said)
    else:
        call.say(said)
    event = call.event()
    assert event["event"] in ("error", "pong", "whoami", "pending")
    assert event.get("code") != "internal"
    call.sock.close()


def test_a_wrong_nonce_is_refused(door):
    call = Call(str(door.path))
    call.hello()
    call.nonce = "A" * 43
    call.say({"verb": "ping"})
    assert call.event()["check"] == "caller-nonce"
    assert call.event() is None
    call.sock.close()


@pytest.mark.parametrize("what", ["file", "socket", "reading end", "small", "full", "named", "unread"])
def test_values_leave_through_fresh_pipes_alone(door, what, tmp_path):
    door.opened.set()
    reading, writing = os.pipe()
    import fcntl

    extra = []
    if what == "file":
        fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    elif what == "socket":
        one, other = socket.socketpair()
        extra, fd = [other], one.detach()
    elif what == "reading end":
        fd = os.dup(reading)
    elif what == "small":
        fcntl.fcntl(writing, 1031, 4096)
        fd = os.dup(writing)
    elif what == "full":
        os.write(writing, b"x")
        fd = os.dup(writing)
    elif what == "named":
        os.mkfifo(tmp_path / "fifo")
        extra = [os.fdopen(os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK), "rb")]
        fd = os.open(tmp_path / "fifo", os.O_WRONLY)
    else:
        os.close(reading)
        reading = os.dup(writing)
        fd = os.dup(writing)
    call = Call(str(door.path))
    call.hello()
    call.say({"verb": "get", "refs": ["prod/db"]}, [fd])
    event = call.last()
    assert (event["code"], event["exit"]) == ("descriptor", 2)
    assert door.delivered == 0
    for one in (fd, reading, writing):
        os.close(one)
    for one in [*extra, call.sock]:
        one.close()


@needs_root
def test_one_account_cannot_take_every_connection(door):  # L16
    calls = []
    while True:
        call = Call(str(door.path))
        calls.append(call)
        if (hello := call.hello()) is None or "nonce" not in hello:
            break
        assert len(calls) < 2000
    assert hello["code"] == "rate-limited"
    assert hello["exit"] == 16
    assert json.loads(lines(door.start("whoami", uid=65534))[0])["uid"] == 65534
    for call in calls:
        call.sock.close()
    while True:  # and the door opens again
        call = Call(str(door.path))
        hello = call.hello()
        call.sock.close()
        if hello and "nonce" in hello:
            break


@pytest.mark.parametrize("whole", [False, True])
def test_one_account_cannot_take_every_descriptor(door, whole):  # L16
    """Two hundred connections with a hundred descriptors each, in a frame without an end or in a call that waits."""
    mine, held, refused_ones = len(os.listdir("/proc/self/fd")), [], 0
    reading, writing = pipe()
    for _ in range(200):
        call = Call(str(door.path))
        held.append(call)
        call.hello()
        if whole:
            call.say({"verb": "get", "refs": [f"prod/{number}" for number in range(100)]}, [writing] * 100)
            event = call.event()
        else:
            call.say({"verb": "ping"})
            assert call.event() == {"event": "pong"}
            call.raw((1000).to_bytes(4, "big"), [writing] * 100)
            call.raw(b"{")
            call.sock.settimeout(0.05)
            event = None
            with contextlib.suppress(TimeoutError):
                event = call.event()
        refused_ones += event is not None and event.get("check") == "descriptors"
    assert refused_ones >= 100
    assert len(os.listdir("/proc/self/fd")) < mine + 4000  # the door is in this process
    door.opened.set()
    for call in held:
        call.sock.close()
    one = Call(str(door.path))
    one.hello()
    one.say({"verb": "ping"})
    assert one.event() == {"event": "pong"}
    for end in (reading, writing):
        os.close(end)
    one.sock.close()


def test_a_second_daemon_refuses_and_a_stale_socket_is_replaced(door):
    from stillvault.client.socketfile import open_socket
    from stillvault.protocol.errors import Failed, Usage

    with pytest.raises(Failed, match="running"):
        open_socket(door.path, system=True)
    other = door.folder / "t" / "d.sock"
    for _ in range(2):
        sock, lock = open_socket(other, system=False)
        sock.close()
        os.close(lock)
    other.unlink()
    other.write_text("in the way")
    with pytest.raises(Usage, match="not a socket"):
        open_socket(other, system=False)
    other.parent.chmod(0o777)
    with pytest.raises(Usage, match="nobody else can write"):
        open_socket(other, system=False)


def test_contents_reads_to_the_end():
    reading, writing = os.pipe()
    os.write(writing, b"x")
    os.close(writing)
    assert contents(reading) == b"x"
