"""The socket is judged before a byte goes into it; what does not speak as a daemon is named."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.front.conftest import Ended, Front
from tests.front.standin import Call, pack

NOBODY = 65534


def refused(ended: Ended, exit: int, code: str) -> None:
    assert (ended.exit, ended.out) == (exit, b"")
    assert f"stillvault: {code}: " in ended.err, ended.err
    assert ("untrusted: " in ended.err) == (exit == 15)
    assert exit != 15 or ended.err.startswith(f"untrusted: {code}\n")


def silent(_: Call) -> None:
    """A daemon that must not be spoken to."""


def test_no_socket(front: Front) -> None:
    refused(front("whoami"), 14, "daemon-absent")
    refused(front("read", "sv://a", env={"STILLVAULT_SOCKET": "/nowhere/at/all.sock"}), 14, "daemon-absent")
    ended = front("whoami")
    assert "start it with: stillvault daemon" in ended.err


def test_a_socket_left_behind(front: Front) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(front.socket))
    refused(front("whoami"), 14, "daemon-stale")


def test_what_is_not_a_socket(front: Front) -> None:
    front.socket.write_text("")
    refused(front("whoami"), 14, "daemon-absent")
    front.socket.unlink()
    front.socket.mkdir()
    refused(front("whoami"), 14, "daemon-absent")


def test_a_link_is_not_followed(front: Front) -> None:
    with front.daemon(silent) as daemon:
        (front.place / "link").symlink_to(front.socket)
        refused(front("whoami", env={"STILLVAULT_SOCKET": str(front.place / "link")}), 15, "socket-link")
    assert daemon.traffic == b""


def test_a_path_that_no_address_holds(front: Front) -> None:
    refused(front("whoami", env={"STILLVAULT_SOCKET": f"{front.place}/{'x' * 108}"}), 2, "usage")


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o1777])
def test_a_directory_that_others_write(front: Front, mode: int) -> None:  # L14
    with front.daemon(silent) as daemon:
        front.place.chmod(mode)
        ended = front("read", "sv://prod/db")
        front.place.chmod(0o700)
    refused(ended, 15, "socket-directory")
    assert daemon.traffic == b""


def test_a_squatter_learns_nothing(front: Front) -> None:  # L14
    """Another account's socket, or one that it serves behind a socket file of ours: refused before anything is sent."""
    with front.daemon(silent) as daemon:
        os.chown(front.socket, NOBODY, NOBODY)
        refused(front("read", "sv://prod/db"), 15, "socket-owner")
        os.chown(front.socket, 0, 0)
        os.chown(front.place, NOBODY, NOBODY)
        refused(front("read", "sv://prod/db"), 15, "socket-directory")
        os.chown(front.place, 0, 0)
    assert daemon.traffic == b""
    squatter = (
        "import os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.setuid(65534); s.listen()\n"
        "print('ready', flush=True); c, _ = s.accept()\n"
        "try: c.sendall(bytes.fromhex(sys.argv[2]))\n"
        "except BrokenPipeError: pass\n"
        "try: seen = c.recv(1)\n"
        "except ConnectionResetError: seen = b''\n"
        "print(seen == b'', flush=True)\n"
    )
    hello = pack({"v": 1, "nonce": "A" * 43}).hex()
    with subprocess.Popen([sys.executable, "-c", squatter, str(front.socket), hello], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        refused(front("read", "sv://prod/db"), 15, "daemon-uid")
        # It saw the connection close, and not one byte.
        assert process.stdout.readline() == b"True\n"


def test_other_accounts_reach_only_sockets_of_root_or_their_own(front: Front) -> None:  # L14
    with front.holding(a=b"value"):
        front.place.chmod(0o755)
        front.socket.chmod(0o666)
        assert front("read", "sv://a", user=NOBODY, group=NOBODY, extra_groups=[]).out == b"value"
        front.socket.chmod(0o600)
        refused(front("read", "sv://a", user=NOBODY, group=NOBODY, extra_groups=[]), 14, "daemon-closed")
        front.place.chmod(0o700)
        refused(front("read", "sv://a", user=NOBODY, group=NOBODY, extra_groups=[], cwd="/"), 14, "daemon-closed")


def test_where_the_socket_is_looked_for(front: Front) -> None:
    runtime = front.place / "runtime"
    (runtime / "stillvault").mkdir(parents=True, mode=0o700)
    front.socket = runtime / "stillvault" / "daemon.sock"
    with front.holding(a=b"value"):
        assert front("read", "sv://a", env={"STILLVAULT_SOCKET": "", "XDG_RUNTIME_DIR": str(runtime)}).out == b"value"
    # Without one there, the system's: this machine may have a daemon of its own, which then answers.
    ended = front("whoami", env={"STILLVAULT_SOCKET": "", "XDG_RUNTIME_DIR": str(runtime)})
    assert Path("/run/stillvault/daemon.sock").is_socket() or "/run/stillvault/daemon.sock" in ended.err


@pytest.mark.parametrize(
    "hello",
    [
        b"\0\0\0\x02{}",
        b"\0\0\0\x02[]",
        b"\0\0\0\x01{",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"HTTP/1.1 400 Bad\r\n",
        pack({"nonce": 1}),
    ],
)
def test_what_does_not_speak_as_a_daemon(front: Front, hello: bytes) -> None:
    with front.daemon(silent, hello=hello) as daemon:
        refused(front("whoami"), 14, "daemon-speech")
    assert daemon.traffic == b""


def test_a_daemon_that_serves_this_caller_nothing(front: Front) -> None:
    error = {"event": "error", "code": "untrusted", "check": "caller-unknown", "exit": 15, "message": "no", "remedy": ""}
    with front.daemon(silent, hello=pack(error)):
        refused(front("read", "sv://a"), 15, "caller-unknown")


def test_a_daemon_that_hangs_up(front: Front) -> None:
    with front.daemon(lambda call: call.sock.shutdown(socket.SHUT_RDWR)):
        refused(front("read", "sv://a"), 14, "daemon-gone")


def test_only_what_was_asked_is_taken(front: Front) -> None:
    """A daemon that delivers another length, path or number: nothing comes out."""
    fact = {"path": "a", "version": 1, "revision": 0, "length": 5, "from": "lease", "window": 0, "left": 0}
    lengths = [[{**fact, "length": length}] for length in (4, 6, -1, 1 << 40, "5")]
    for values in [*lengths, [{**fact, "path": "b"}], [], [fact, fact], ["a"], None]:
        def script(call: Call, values: object = values) -> None:
            call.put([b"value"])
            call.say(event="delivered", values=values)

        with front.daemon(script):
            refused(front("read", "sv://a"), 15, "delivery")
    with front.daemon(lambda call: call.say(event="surprise")):
        refused(front("read", "sv://a"), 14, "daemon-speech")


def test_the_pipes_are_as_the_daemon_wants_them(front: Front) -> None:
    import fcntl

    def script(call: Call) -> None:
        for pipe in call.pipes:
            assert fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) >= 65536
            assert fcntl.fcntl(pipe, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
        assert len(call.pipes) == 100
        call.deliver({f"s/{n}": b"x" * n for n in range(100)})

    template = front.place / "template"
    template.write_text("".join(f"{{{{ sv://s/{n} }}}}\n" for n in range(100)))
    with front.daemon(script):
        ended = front("inject", "-i", template, "-o", "out")
        assert ended.exit == 0, ended.err
    assert Path(front.place / "out").read_text() == "".join("x" * n + "\n" for n in range(100))
