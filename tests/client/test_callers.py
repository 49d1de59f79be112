"""Who is calling, with real processes against the daemon's real door: honest callers are served, thieves get nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stillvault.client.front import Front
from stillvault.client.peer import has_peer_pidfd
from tests.client.caller import Call
from tests.client.door import PYTHON, VALUE, Door, lines

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: other accounts, namespaces, a chosen pid")


def digest(path: str) -> str:
    import base64
    import hashlib

    with open(path, "rb") as file:
        return base64.urlsafe_b64encode(hashlib.sha256(file.read()).digest()).decode().rstrip("=")


def test_an_honest_caller_is_named_and_served(door):
    for _ in range(10):
        process = door.start("get", "prod/db")
        assert door.waiting.acquire(timeout=10)
        door.opened.set()
        out = lines(process)
        assert json.loads(out[-2]) == {"event": "delivered"}
        assert bytes.fromhex(out[-1]) == VALUE


@needs_root
def test_the_kernel_names_uid_executable_and_ancestors(door):
    for uid in (None, 65534):
        event = json.loads(lines(door.start("whoami", uid=uid))[0])
        assert event["uid"] == (uid or 0)
        assert event["user"] == ("nobody" if uid else "root")
        assert event["exe"] == os.path.realpath(PYTHON)
        assert event["exe_sha256"] == digest(PYTHON)
        own = os.path.realpath("/proc/self/exe")
        if os.getsid(0) != os.getpid():
            assert event["chain"][0] == {"exe": own, "exe_sha256": digest(own)}
        assert len(event["chain"]) <= 8


@needs_root
def test_two_programs_of_one_user_are_told_apart(door):  # L2
    python = json.loads(lines(door.start("whoami", uid=65534))[0])
    source = """use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0) or die; connect(S, sockaddr_un($ARGV[0])) or die;
    sub frame { my $h; read(S, $h, 4) == 4 or die; my $b; my $n = unpack("N", $h); read(S, $b, $n) == $n or die; return $b }
    my ($nonce) = frame() =~ /"nonce":"([^"]+)"/; my $call = qq({"nonce":"$nonce","v":1,"verb":"whoami"});
    syswrite(S, pack("N", length $call) . $call); print frame(), "\\n";"""
    perl = json.loads(lines(door.start(uid=65534, program=["/usr/bin/perl", "-e", source]))[0])
    assert perl["uid"] == python["uid"]
    assert perl["exe"] == "/usr/bin/perl"
    assert perl["exe_sha256"] == digest("/usr/bin/perl") != python["exe_sha256"]


# The thief connects as itself and then becomes the trusted program, with the connection still open.
BECOME = """
import os, sys, caller
call = caller.Call(sys.argv[1]); hello = call.hello()
os.set_inheritable(call.sock.fileno(), True)
{before}
os.execv(sys.argv[2], [sys.argv[2], *sys.argv[3:], str(call.sock.fileno()), call.nonce or ""])
"""
TRUSTED = """
import os, socket, sys
sys.path.insert(0, os.environ["FOLDER"])
import caller
call = caller.Call(sock=socket.socket(fileno=int(sys.argv[-2]))); call.nonce = sys.argv[-1] or None
ends = call.get(["prod/db"]) if {ask} else []
event = call.event()
while event and event.get("event") == "pending": event = call.event()
print(event)
for end in ends or [int(os.environ.get("END", "-1"))]:
    print(caller.contents(end) if end >= 0 else b"")
"""


@pytest.mark.parametrize("target", ["another program", "the same interpreter"])
def test_connect_then_exec_gets_nothing(door, target):  # L3
    trusted = door.folder / "trusted.py"
    trusted.write_text(TRUSTED.format(ask=True))
    program = PYTHON
    if target == "another program":
        program = str(door.folder / "trusted-python")
        shutil.copy(os.path.realpath(PYTHON), program)
    door.opened.set()
    for _ in range(10):
        before = "os.environ['FOLDER'] = os.path.dirname(caller.__file__)"
        thief = door.script(BECOME.format(before=before), program, str(trusted))
        out = "\n".join(lines(thief))
        assert "caller-changed" in out or out.startswith("None"), out
        assert VALUE.decode() not in out
    assert door.delivered == 0


def test_exec_while_people_decide_gets_nothing(door):  # L3
    trusted = door.folder / "trusted.py"
    trusted.write_text(TRUSTED.format(ask=False))
    before = """
os.environ["FOLDER"] = os.path.dirname(caller.__file__)
end, = call.get(["prod/db"]); os.set_inheritable(end, True); os.environ["END"] = str(end)
call.event()
"""
    for program in (PYTHON, str(door.folder / "other")):
        if program != PYTHON:
            shutil.copy(os.path.realpath(PYTHON), program)
        door.opened.clear()
        thief = door.script(BECOME.format(before=before), program, str(trusted))
        assert door.waiting.acquire(timeout=10)
        while Path(f"/proc/{thief.pid}/cmdline").read_bytes().split(b"\0")[1:2] != [str(trusted).encode()]:
            time.sleep(0.01)
        door.opened.set()
        out = "\n".join(lines(thief))
        assert "caller-changed" in out
        assert VALUE.decode() not in out
    assert door.delivered == 0


@pytest.mark.parametrize("how", ["inherited", "passed"])
def test_a_descriptor_in_other_hands_is_refused(door, how):  # L4
    door.opened.set()
    source = """
import array, os, socket, sys, caller
call = caller.Call(sys.argv[1]); call.hello()
left, right = socket.socketpair()
child = os.fork()
if child == 0:
    if sys.argv[2] == "passed":
        fd = array.array("i"); fd.frombytes(right.recvmsg(1, 100)[1][0][2]); nonce = call.nonce
        call = caller.Call(sock=socket.socket(fileno=fd[0])); call.nonce = nonce
    end, = call.get(["prod/db"])
    print(call.last()); print(caller.contents(end), flush=True); os._exit(0)
left.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [call.sock.fileno()]))])
os.waitpid(child, 0)
"""
    for _ in range(10):
        out = "\n".join(lines(door.script(source, how)))
        assert "caller-changed" in out or out.startswith("None"), out
    assert door.delivered == 0


def test_a_caller_that_exits_while_people_decide_gets_nothing(door):  # L5
    source = """
import os, sys, caller
call = caller.Call(sys.argv[1]); call.hello(); end, = call.get(["prod/db"]); call.event()
if os.fork(): os._exit(0)
print(caller.contents(end)); print(call.event(), flush=True)  # the child holds the connection and the pipe
"""
    process = door.script(source)
    assert door.waiting.acquire(timeout=10)
    assert door.ended.acquire(timeout=10)  # without anybody having decided
    door.opened.set()
    assert lines(process) == ["b''", "None"]
    assert door.delivered == 0


@needs_root
def test_a_pid_used_again_is_another_caller(door):  # L5
    door.opened.set()
    source = """
import array, os, socket, sys, caller
left, right = socket.socketpair()
first = os.fork()
if first == 0:
    call = caller.Call(sys.argv[1]); call.hello()
    right.sendmsg([call.nonce.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [call.sock.fileno()]))])
    os._exit(0)
nonce, ancillary, _, _ = left.recvmsg(100, 100)
os.waitpid(first, 0)
fd = array.array("i"); fd.frombytes(ancillary[0][2])
for _ in range(200):
    with open("/proc/sys/kernel/ns_last_pid", "w") as file: file.write(str(first - 1))
    again = os.fork()
    if again == 0:
        if os.getpid() != first: os._exit(3)
        call = caller.Call(sock=socket.socket(fileno=fd[0])); call.nonce = nonce.decode()
        end, = call.get(["prod/db"])
        print(call.last(), caller.contents(end), "reused", flush=True); os._exit(0)
    if os.waitpid(again, 0)[1] == 0: break
"""
    out = "\n".join(lines(door.script(source)))
    assert "reused" in out  # the attack took place
    assert "caller-changed" in out or out.startswith("None"), out
    assert door.delivered == 0


@needs_root
def test_other_accounts_in_user_mode():  # L1
    with Door(system=False) as door:
        door.opened.set()
        assert oct(door.path.parent.stat().st_mode & 0o777) == "0o700"
        assert oct(door.path.stat().st_mode & 0o777) == "0o600"
        stranger = door.start("get", "prod/db", uid=65534)
        _, _ = stranger.communicate(timeout=30)
        assert stranger.returncode != 0  # connect fails
        # With every mode forced open, the peer check still refuses.
        door.path.parent.chmod(0o755)
        door.path.chmod(0o666)
        event = json.loads(lines(door.start("get", "prod/db", uid=65534))[0])
        assert event["check"] == "caller-uid"
        assert json.loads(lines(door.start("whoami"))[0])["uid"] == os.geteuid()
        assert door.delivered == 0


@needs_root
def test_in_system_mode_every_account_is_attributed(door):  # L1
    assert oct(door.path.stat().st_mode & 0o777) == "0o666"
    assert [json.loads(lines(door.start("whoami", uid=uid))[0])["uid"] for uid in (65534, 1, None)] == [65534, 1, 0]


@needs_root
def test_the_front_speaks_for_its_parent():
    with Door(front=Front(Path(PYTHON))) as door:
        shell = ["/bin/sh", "-c", f'{PYTHON} {door.folder}/caller.py "$0" whoami; exit 0']
        event = json.loads(lines(door.start(program=shell, uid=65534))[0])
        assert event["front"] is True
        assert event["exe"] == os.path.realpath("/bin/sh")
        assert event["exe_sha256"] == digest("/bin/sh")
        assert event["uid"] == 65534


def test_an_update_of_the_front_while_the_daemon_runs(tmp_path):
    """The new one speaks for its parent as the old one did, and a copy, or what is no program, does not."""
    tmp_path.chmod(0o755)
    path, fresh = tmp_path / "front", tmp_path / "fresh"
    with Door(front=Front(path)) as door:
        def asked(program):
            shell = ["/bin/sh", "-c", f'{program} {door.folder}/caller.py "$0" whoami; exit 0']
            event = json.loads(lines(door.start(program=shell))[0])
            return event["front"], event["exe"]

        sh = os.path.realpath("/bin/sh")
        assert asked(PYTHON) == (False, os.path.realpath(PYTHON))  # nothing is installed yet
        for _ in range(2):
            shutil.copy(os.path.realpath(PYTHON), fresh)
            fresh.rename(path)
            assert asked(path) == (True, sh)
        os.rename(path, fresh)
        assert asked(fresh) == (False, str(fresh))
        path.write_text("#!/bin/sh\n")
        assert asked(fresh) == (False, str(fresh))


def test_the_front_whose_parent_becomes_another_program_gets_nothing():  # L3
    with Door(front=Front(Path(PYTHON))) as door:
        # perl starts the front and becomes a shell while people decide
        source = f"""my $p = fork(); if (!$p) {{ exec("{PYTHON}", "{door.folder}/caller.py", $ARGV[0], "get", "prod/db") }}
        while (!-e "{door.folder}/go") {{ select(undef, undef, undef, 0.01) }}
        exec("/bin/sh", "-c", "touch {door.folder}/gone; wait; sleep 1")"""
        process = door.start(program=["/usr/bin/perl", "-e", source])
        assert door.waiting.acquire(timeout=10)
        (door.folder / "go").touch()
        while not (door.folder / "gone").exists():
            time.sleep(0.01)
        door.opened.set()
        out = lines(process)
        assert json.loads(out[1])["check"] == "caller-changed"
        assert door.delivered == 0


def test_an_older_kernel_is_served_by_pid_in_user_mode():
    with Door(system=False, exact=False) as door:
        door.opened.set()
        assert bytes.fromhex(lines(door.start("get", "prod/db"))[-1]) == VALUE
        source = """
import os, sys, caller
call = caller.Call(sys.argv[1]); call.hello()
if os.fork() == 0:
    end, = call.get(["prod/db"]); print(call.last(), caller.contents(end), flush=True); os._exit(0)
os.wait()
"""
        assert "caller-changed" in lines(door.script(source))[0]
        assert door.delivered == 1


def test_this_kernel_names_the_peer_by_pidfd():
    assert has_peer_pidfd()


# ---- disguises -----------------------------------------------------------------------------------------------------------


def test_a_borrowed_name_is_not_an_identity(door):  # L8
    """argv[0] and comm say `claude`; the kernel says which program runs."""
    disguise = ["/bin/bash", "-c", f'exec -a /usr/bin/claude {PYTHON} "$@"', "bash", "-c", f"""
import ctypes, sys
ctypes.CDLL(None).prctl(15, b"claude", 0, 0, 0)
sys.path.insert(0, {str(door.folder)!r}); sys.argv[0] = "claude"
import caller; caller.main()
"""]
    event = json.loads(lines(door.start("whoami", program=disguise))[0])
    assert event["exe"] == os.path.realpath(PYTHON)
    assert event["exe_sha256"] == digest(PYTHON)
    assert "claude" not in json.dumps(event)


def test_a_hostile_file_name_is_shown_on_one_line(door):  # L9
    for name, shown in (("claude (deleted)", r"claude \u{28}deleted)"), ("a\nb\x1b[2J\u202e", r"a\u{a}b\u{1b}[2J\u{202e}")):
        program = door.folder / name
        shutil.copy(os.path.realpath(PYTHON), program)
        event = json.loads(lines(door.start("whoami", program=[str(program), str(door.folder / "caller.py")]))[0])
        assert event["exe"] == f"{door.folder}/{shown}"


def test_a_deleted_program_is_said_to_be_deleted(door):  # L9
    program = door.folder / "gone"
    shutil.copy(os.path.realpath(PYTHON), program)
    source = "import os, sys, caller; os.unlink(sys.executable); sys.argv = [sys.argv[0], sys.argv[1], 'whoami']; caller.main()"
    script = door.folder / "script.py"
    script.write_text(source)
    event = json.loads(lines(door.start(program=[str(program), str(script)]))[0])
    assert event["exe"] == f"{program} (deleted)"
    assert event["exe_sha256"] == digest(PYTHON)


@needs_root
def test_a_path_of_another_mount_namespace_is_not_trusted(door):  # L7
    """A file bound over the trusted path inside a namespace of its own."""
    fake = door.folder / "fake"
    shutil.copy(os.path.realpath(PYTHON), fake)
    with fake.open("ab") as file:
        file.write(b"changed")
    script = f"mount --bind {fake} /usr/bin/perl && exec /usr/bin/perl {door.folder}/caller.py {door.path} whoami"
    event = json.loads(lines(door.start(program=["/usr/bin/unshare", "-m", "/bin/sh", "-c", script]))[0])
    assert event["exe"] == "(in a mount namespace of its own) /usr/bin/perl"
    assert event["exe_sha256"] == digest(str(fake))


@needs_root
def test_a_caller_in_a_container_is_known_by_what_the_host_sees(door):  # L18
    caller = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc", PYTHON, str(door.folder / "caller.py")]
    event = json.loads(lines(door.start("whoami", program=caller))[0])
    assert event["exe"].startswith("(in a mount namespace of its own) ")
    assert event["exe_sha256"] == digest(PYTHON)
    assert event["pid"] > 1  # of our namespace: two containers are never one caller


@needs_root
def test_a_caller_that_cannot_be_seen_is_refused(door):  # L18
    """The daemon in a container, the caller outside: its pid does not exist in here."""
    source = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from stillvault.client.executable import Hasher
from stillvault.client.listener import Listener
from stillvault.client.socketfile import open_socket
from stillvault.client.workers import Workers
async def main():
    sock, _ = open_socket(Path(sys.argv[1]), system=True)
    Listener(sock, None, Hasher(), Workers(1, "w"), system=True, exact=True, front=lambda: None)
    print("ready", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    inside = door.folder / "inside.py"
    inside.write_text(source)
    path = door.folder / "t" / "d.sock"
    command = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, str(inside), str(path)]
    container = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert container.stdout.readline() == "ready\n"
        call = Call(str(path))
        event = call.hello()
        assert (event["code"], event["check"]) == ("untrusted", "caller-unknown")
        call.sock.close()
    finally:
        container.kill()
        container.communicate()


def test_a_huge_program_is_refused_at_once(door):  # L20
    program = door.folder / "huge"
    shutil.copy(os.path.realpath(PYTHON), program)
    os.truncate(program, 8 << 30)
    event = json.loads(lines(door.start("whoami", program=[str(program), str(door.folder / "caller.py")]))[0])
    assert event["check"] == "caller-exe"
