"""Attacks by programs of the host on its daemon, each against real processes. What they must not get is in the test's name."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess

from tests.client.caller import contents
from tests.client.dialogue import audit, call, until
from tests.client.test_daemon import house, no_leases  # noqa: F401

ADOPTER = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans below become its children
own = subprocess.run(["stillvault", "read", sys.argv[1]], capture_output=True)
print("own", own.stdout.decode(), flush=True)
again = subprocess.run(["stillvault", "read", sys.argv[1], "--wait", "3s"], capture_output=True)
print("again", again.stdout.decode(), flush=True)
# A program in a session of its own orphans a front, which the adopter then is the parent of.
orphan = "import os, time\\nif os.fork(): os._exit(0)\\nos.setsid()\\nwhile os.getppid() != %d: time.sleep(0.01)\\n" % os.getpid()
orphan += "os.execvp('stillvault', ['stillvault', 'read', '%s', '--wait', '3s'])" % sys.argv[1]
stranger = subprocess.Popen([sys.executable, "-c", orphan], stdout=subprocess.PIPE)
print("stranger", stranger.stdout.read().decode(), flush=True)
"""


def test_a_value_that_reached_its_pipe_is_logged_as_delivered(house):  # noqa: F811
    """Of two values the second cannot be written: the first one left all the same, and the log must say so."""
    one = call(house)
    first, second = os.pipe(), os.pipe()
    for _, writing in (first, second):
        fcntl.fcntl(writing, 1031, 65536)  # F_SETPIPE_SZ
    before = len(audit(house, "delivered"))
    one.say({"verb": "get", "refs": ["prod/api", "prod/db"]}, [first[1], second[1]])
    assert one.event()["event"] == "pending"
    os.set_blocking(second[1], False)
    os.write(second[1], bytes(65536))
    house.approve()
    assert one.last()["event"] == "error"
    os.close(first[1])
    got = contents(first[0])
    os.close(second[0])
    os.close(second[1])

    def reported() -> bool:
        return len(audit(house, "delivered")) + len(audit(house, "failed")) >= before + 2

    until(reported, "no receipts")
    logged = {row["secret"] for row in audit(house, "delivered")[before:]}
    assert logged == ({"prod/api"} if got else set())


def test_programs_with_long_names_keep_no_use_out_of_the_log(house):  # noqa: F811
    """What many programs of one task with names of 3,800 bytes each did is more than one report holds: it becomes several, and
    the uses of everybody else are reported as before."""
    house.policy("attacks", "prod/attacks/**", "--lease-scope", "task")
    house.seal("prod/attacks/key", b"x")
    folder = house.folder / "long"
    for _ in range(15):
        folder /= "d" * 250
    folder.mkdir(parents=True)
    copies = [folder / f"sh{number}" for number in range(20)]
    for copy in copies:
        shutil.copy(os.path.realpath("/bin/sh"), copy)
    read = "stillvault read sv://prod/attacks/key >/dev/null"
    script = "\n".join([read, *(f"{copy} -c '{read}; exit 0'" for copy in copies), "stillvault leases purge", "exit 0"])
    shell = house.start("", os.path.realpath("/bin/sh"), "-c", script, session=True)
    house.approve()
    out, err = house.ended(shell)
    assert shell.returncode == 0, (out, err)

    def reported() -> int:
        return sum(row["count"] for row in audit(house, "lease-used") if row["secret"] == "prod/attacks/key")

    until(lambda: reported() == len(copies), "the uses were not reported")
    assert "Traceback" not in house.log()


def test_an_orphan_does_not_pass_for_whoever_adopted_it(house):  # noqa: F811
    """A front that lost its parent has a new one: init, or the nearest subreaper. That program did not ask for anything."""
    adopter = subprocess.Popen([os.path.realpath("/usr/bin/python3"), "-c", ADOPTER, "sv://prod/db"], env=house.environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    house.approve()
    out, err = adopter.communicate(timeout=60)
    said = dict(line.partition(" ")[::2] for line in out.splitlines())
    assert said["own"] == said["again"] != "", (out, err)
    assert said["stranger"] == ""


def test_who_waits_behind_does_not_keep_a_release_from_who_joined(house):  # noqa: F811
    """The first caller goes: the next that its lease would have covered is served, not one that waits its turn."""
    def start(source: str) -> subprocess.Popen:
        program = [os.path.realpath("/usr/bin/python3"), "-c", PRELUDE + source, os.path.dirname(__file__), str(house.socket)]
        return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    one = start(JOINS)
    assert one.stdout.readline() == b"first False\n"
    other = start(QUEUES)
    assert other.stdout.readline() == b"other True\n"
    one.stdin.write(b"go\n")
    one.stdin.flush()
    assert one.stdout.readline() == b"second False\n"
    house.approve()
    out, _ = one.communicate(timeout=60)
    assert out == b"release\n"
    other.kill()
    other.communicate()


PRELUDE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from caller import Call
def ask(name):
    one = Call(sys.argv[2]); one.hello(); one.get(["prod/db"])
    print(name, "queued" in one.event(), flush=True)
    return one
"""
JOINS = """
one = ask("first")
sys.stdin.readline()
two = ask("second")
one.sock.close()
print(two.last()["values"][0]["from"])
"""
QUEUES = """
ask("other").last()
"""
