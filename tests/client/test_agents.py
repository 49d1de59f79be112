"""Agents of a host: who is one is said by the kernel and by a file of an administrator, and by nothing that a program does.

The agent is a program of its own here: a copy of a shell, started by name; what it starts is its own. No wait is timed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.client.agency import (
    WHOAMI,
    agency,
    agent,
    entry,
    identities,
    lease_uses,
    path_of,
    program,
    restore,
    told,
)
from tests.client.dialogue import ROOT, audit, leases, until


@pytest.fixture(scope="module")
def house():
    yield from agency()


@pytest.fixture(autouse=True)
def as_it_was(house):
    restore(house)


# ---- who is who ------------------------------------------------------------------------------------------------------------


def test_an_agent_is_known_by_what_started_the_caller(house):
    """Directly, behind shells, behind another session, and as an orphan of the same session."""
    script = f"echo '{WHOAMI}; true' > {house.folder}/orphan.sh"
    subprocess.run(["/bin/sh", "-c", script], check=True)
    for command in (WHOAMI, f"/bin/sh -c '{WHOAMI}; true'", f"setsid -w /bin/sh -c '{WHOAMI}; true'",
                    f"setsid -w setsid -w /bin/sh -c 'env -i PATH=$PATH STILLVAULT_SOCKET=$STILLVAULT_SOCKET {WHOAMI}; true'",
                    f"(/bin/sh {house.folder}/orphan.sh & ); sleep 2"):
        process = agent(house, command)
        seen = told(house, process)
        expected = {"client": "agent/helper", "entry": 1, "exe": path_of(house, "agent"), "pid": process.pid}
        assert seen["identity"] == expected, command
        assert [one["subject"] for one in seen["clients"]] == ["agent/helper"]
        assert seen["task"] == {"kind": "agent", "pid": process.pid}
    text = house.ended(agent(house, "/bin/sh -c 'stillvault whoami; true'"))[0].decode()
    assert f"agent      agent/helper: identity 1, {path_of(house, 'agent')}" in text
    assert f"started by {path_of(house, 'agent')}" in text


def test_an_agent_is_known_by_the_program_that_leads_its_session(house):
    identities(house, entry(session=path_of(house, "agent")))
    for command in (WHOAMI, f"/bin/sh -c '{WHOAMI}; true'"):
        assert told(house, agent(house, command))["identity"] == {"client": "agent/helper", "entry": 1}
    for process in (agent(house, WHOAMI, name="agent-two"), house.shell(f"{path_of(house, 'agent')} -c '{WHOAMI}; true'; true")):
        assert "identity" not in told(house, process)  # another program leads; the agent's program alone is not meant


def test_no_depth_of_shells_hides_the_agent(house):
    file = house.folder / "deep.sh"
    file.write_text(f'if [ $1 -gt 0 ]; then /bin/sh {file} $(($1 - 1)); else {WHOAMI}; fi; true\n')
    process = agent(house, f"/bin/sh {file} 60")
    assert told(house, process)["identity"]["pid"] == process.pid
    out, err = house.ended(agent(house, f"/bin/sh {file} 300"))  # deeper than is looked at: nobody at all, and not the host
    assert out == b""
    assert b"it has more than 256 ancestors" in err


def test_what_leaves_parents_and_session_behind_is_not_known_any_more(house):
    """The limit that docs/guides/hosts.md names; an account, a unit or a container is what such a program takes along."""
    escape = f"setsid setsid /bin/sh -c '{WHOAMI} > {house.folder}/escaped; true'; sleep 1"
    file = house.folder / "escaped"
    house.ended(agent(house, escape))
    until(lambda: file.exists() and file.read_text().endswith("\n"), "it did not say who it is")
    assert "identity" not in json.loads(file.read_text())
    exe = path_of(house, "agent")
    identities(house, entry(exe=exe, uid=os.geteuid()), entry(uid=os.geteuid()))
    file.unlink()
    house.ended(agent(house, escape))
    until(lambda: file.exists() and file.read_text().endswith("\n"), "it did not say who it is")
    assert json.loads(file.read_text())["identity"] == {"client": "agent/helper", "entry": 2}


def test_who_is_no_agent_is_the_host(house):
    seen = told(house, house.shell(f"{WHOAMI}; true"))
    assert "identity" not in seen
    assert [one["subject"] for one in seen["clients"]] == ["host/db-1"]


@pytest.mark.parametrize("pretence", [
    "exec -a {agent} /bin/sh -c '{call}; true'",  # argv[0]
    "cp /bin/sh {folder}/agent; {folder}/agent -c '{call}; true'",  # the name of the file
    "ln -sf {agent} {folder}/link; env CLAUDECODE=1 STILLVAULT_CLIENT=agent/helper /bin/sh -c '{call}; true'",  # the environment
    # the name that the kernel shows
    "/usr/bin/python3 -c 'import ctypes,subprocess;ctypes.CDLL(None).prctl(15,b\"agent\");"
    "subprocess.run([\"/bin/sh\",\"-c\",\"{call};true\"])'",
    "mkdir -p {folder}/bin2; cp /bin/sh \"{folder}/bin2/agent\"; cd {folder}/bin2 && ./agent -c '{call}; true'",
])
def test_nothing_that_a_program_says_makes_it_the_agent(house, pretence, tmp_path):
    tmp_path.chmod(0o755)
    script = pretence.format(agent=path_of(house, "agent"), folder=tmp_path, call=WHOAMI)
    process = house.start("", "/bin/bash", "-c", f"{script}\nexit 0", session=True)
    assert "identity" not in told(house, process)


@pytest.mark.skipif(not ROOT, reason="needs a mount namespace")
def test_a_mount_over_the_path_makes_nobody_the_agent(house):
    path = path_of(house, "agent")
    over = f"unshare -m /bin/sh -c 'mount --bind /usr/bin/env {path} && {path} /bin/sh -c \"{WHOAMI}; true\"'"
    process = house.start("", "/bin/sh", "-c", over, session=True)
    assert "identity" not in told(house, process)


def test_a_client_that_a_caller_names_must_be_its_own(house):
    script = ("import json,os,socket,sys\n"
              "sys.path.insert(0, sys.argv[2]); from caller import Call\n"
              "one = Call(sys.argv[1]); one.hello(); ends = one.get(['prod/agent/key'], client='agent/helper')\n"
              "print(json.dumps(one.last()))\n")
    file = house.folder / "claims.py"
    file.write_text(script)
    here = str(Path(__file__).parent)
    process = house.start("", "/usr/bin/python3", str(file), str(house.socket), here, session=True)
    out, err = house.ended(process)
    event = json.loads(out)
    assert (event["exit"], event["check"]) == (13, "not-this-client"), err


def test_scopes_are_those_of_the_agent_alone(house):
    """An agent gets nothing of the host, and the host nothing of the agent, and neither learns whether it exists."""
    for ref in ("prod/db", "prod/never-was", "other/key", "other/never-was"):
        out, err = house.ended(agent(house, f"stillvault read sv://{ref}; echo $?"))
        assert out == b"13\n", err
    out, err = house.ended(house.shell("stillvault read sv://other/key; echo $?"))
    assert out == b"13\n", err
    assert not house.cards()


def test_the_card_names_agent_and_host(house):
    process = agent(house, "/bin/sh -c 'stillvault read sv://prod/agent/key; true'")
    card = house.card()
    assert (card["client"], card["host"], card["exe"]) == ("agent/helper", "db-1", os.path.realpath("/bin/sh"))
    assert path_of(house, "agent") in [one["exe"] for one in card["chain"]]
    shown = house.run("bob", "stillvault", "inbox")
    assert "db-1" in shown
    assert "agent/helper" in shown
    house.approve()
    assert house.ended(process)[0] == b"value of prod/agent/key;"
    row = audit(house, "requested")[-1]
    assert (row["actor"], row["host"]) == ("agent/helper", "db-1")


# ---- what is not clear is refused ------------------------------------------------------------------------------------------


def test_an_agent_started_by_another_agent_is_neither(house):
    inner = f"{path_of(house, 'agent-two')} -c '{WHOAMI}; stillvault read sv://other/key; echo $?'; true"
    out, err = house.ended(agent(house, inner))
    assert b"by identity 1 and agent/other by identity 2" in err
    assert out == b"13\n"


def test_the_more_specific_entry_first(house):
    uid = os.geteuid()
    exe = path_of(house, "agent")
    identities(house, entry("agent/other", exe=exe, uid=uid), entry("agent/helper", exe=exe))
    assert told(house, agent(house, WHOAMI))["identity"]["client"] == "agent/other"
    # Neither says more than the other: the file does not say which was meant.
    identities(house, entry("agent/other", uid=uid), entry("agent/helper", exe=exe))
    assert b"by identity 1 and agent/helper by identity 2" in house.ended(agent(house, WHOAMI))[1]


def test_a_digest_that_is_not_the_one_named_is_refused_and_not_the_host(house):
    exe = path_of(house, "agent")
    digest = hashlib.sha256(Path(exe).read_bytes()).hexdigest()
    identities(house, entry(exe=exe, sha256=digest))
    assert told(house, agent(house, WHOAMI))["identity"]["client"] == "agent/helper"
    identities(house, entry(exe=exe, sha256="0" * 64))
    out, err = house.ended(agent(house, "stillvault read sv://prod/db; echo $?"))
    assert out == b"13\n"
    assert b"is not the program whose digest" in err


def test_a_copy_of_the_agent_around_it_or_below_it_makes_it_nobody_else(house):
    """A copy alone is refused; behind or before the agent itself the caller is that agent either way."""
    exe = path_of(house, "agent")
    copy = program(house, "copy")
    digest = hashlib.sha256(Path(exe).read_bytes()).hexdigest()
    identities(house, entry(exe=exe, sha256=digest))
    assert b"runs as a copy" in house.ended(agent(house, WHOAMI, name="copy"))[1]
    for name, inner in (("copy", exe), ("agent", copy)):
        seen = told(house, agent(house, f"{inner} -c '{WHOAMI}; true'; true", name=name))
        assert (seen["identity"]["client"], seen["identity"]["exe"]) == ("agent/helper", exe), name
    # What is another agent's copy still is nobody.
    other = path_of(house, "agent-two")
    identities(house, entry(exe=exe, sha256=digest), entry("agent/other", exe=other, sha256=digest))
    assert b"runs as a copy" in house.ended(agent(house, f"{copy} -c '{WHOAMI}; true'; true"))[1]


def test_a_program_that_was_replaced_while_it_runs_is_not_the_host(house):
    fifo = house.folder / "go"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(fifo)
    running = agent(house, f"read line < {fifo}; stillvault read sv://prod/db; echo $?")
    program(house, "agent", b"newer")
    fifo.write_text("go\n")
    out, err = house.ended(running)
    assert out == b"13\n"
    assert b"was replaced while it runs" in err
    assert told(house, agent(house, WHOAMI))["identity"]["client"] == "agent/helper"


# ---- task leases -----------------------------------------------------------------------------------------------------------


def test_one_approval_covers_the_agents_descendants_and_nobody_else(house):
    fifo = house.folder / "more"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(fifo)
    ref = "sv://prod/agent/key"
    running = agent(house, f"stillvault read {ref}; /bin/sh -c 'stillvault read {ref}; true'; "
                           f"setsid -w /bin/sh -c 'stillvault read {ref}; true'; read line < {fifo}")
    house.approve()
    until(lambda: lease_uses(house) == 3, "the descendants were not served")
    # Another run of the same agent is another task.
    other = agent(house, f"stillvault read {ref}; echo $?")
    card = house.card()
    house.run("bob", "stillvault", "deny", card["id"])
    out, err = house.ended(other)
    assert out == b"10\n"
    assert b"the lease that lives is for another task" in err
    # It ends with the agent.
    fifo.write_text("end\n")
    house.ended(running)
    until(lambda: not leases(house), "the lease outlived the task")


@pytest.mark.skipif(not ROOT, reason="needs a second account")
def test_another_account_below_the_agent_is_another_task(house):
    ref = "sv://prod/agent/key"
    below = f"setpriv --reuid 65534 --regid 65534 --clear-groups /bin/sh -c 'stillvault read {ref}; true'"
    running = agent(house, f"stillvault read {ref}; {below}")
    house.approve()
    card = house.card()
    assert card["uid"] == 65534
    house.run("bob", "stillvault", "deny", card["id"])
    out, _ = house.ended(running)
    assert out == b"value of prod/agent/key;"


def test_a_request_proposes_terms_and_people_only_shrink_them(house):
    ref = "sv://prod/host/key"
    shell = house.shell(f"stillvault read {ref} --window 1h --uses 2; stillvault read {ref}; stillvault read {ref}; true")
    card = house.card()
    assert card["window"] == 900  # of the policy: a request cannot widen it
    assert card["uses"] == 2
    house.approve("bob", "--window", "5m", "--uses", "9")  # which widens nothing
    card = house.card()  # two uses, then it is asked again
    house.run("bob", "stillvault", "deny", card["id"])
    out, err = house.ended(shell)
    assert out == b"value of prod/host/key;" * 2
    assert b"every use of its lease is spent" in err
    assert all("every use" not in json.dumps(one) for one in (card["claimed"], card["chain"]))


def test_a_person_gives_fewer_uses_than_were_proposed(house):
    ref = "sv://prod/host/key"
    shell = house.shell(f"stillvault read {ref} --uses 9; stillvault read {ref}; stillvault read {ref}; true")
    house.card()
    assert "up to 15m   9 uses" in house.run("bob", "stillvault", "inbox")
    decided = json.loads(house.approve("bob", "--uses", "2", "--format", "json"))
    assert (decided["window"], decided["uses"]) == (900, 2)
    card = house.card()
    house.run("bob", "stillvault", "deny", card["id"])
    out, err = house.ended(shell)
    assert out == b"value of prod/host/key;" * 2
    assert b"every use of its lease is spent" in err


def test_asked_again_for_a_newer_version(house):
    ref = "sv://prod/host/key"
    fifo = house.folder / "newer"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(fifo)
    shell = house.shell(f"stillvault read {ref}; read line < {fifo}; stillvault read {ref}; true")
    house.approve()
    until(lambda: len(leases(house)) == 1, "no lease")
    house.seal("prod/host/key", b"value of prod/host/key;")
    until(lambda: not leases(house), "the old version stayed")
    fifo.write_text("go\n")
    house.approve()
    out, err = house.ended(shell)
    assert out == b"value of prod/host/key;" * 2
    assert b"there is a newer version" in err or b"the relay ended its lease" in err  # which of its two words came first


# ---- handles of an agent ---------------------------------------------------------------------------------------------------


def test_a_handle_is_for_the_whole_task_where_the_policy_says_so(house):
    """Each command of an agent has a shell, often a session, of its own."""
    fetch = "setsid -w /bin/sh -c 'stillvault wait '$h'; true'"
    running = agent(house, f"h=$(setsid -w /bin/sh -c 'stillvault read --detach sv://prod/agent/key; true'); {fetch}")
    house.approve()
    out, err = house.ended(running)
    assert out == b"value of prod/agent/key;", err


def test_a_handle_is_for_the_program_that_was_shown_where_it_does_not(house):
    start = "h=$(/bin/sh -c 'stillvault read --detach sv://prod/agent/each/key; true')"
    other = "nice stillvault wait $h; echo $?; stillvault wait $h; echo $?"  # of the agent itself, and that was not shown
    running = agent(house, f"{start}; {other}; /bin/sh -c 'stillvault wait '$h'; true'")
    house.approve()
    out, err = house.ended(running)
    assert out == b"13\n13\nvalue of prod/agent/each/key;", err
    assert b"asked for by another program" in err


def test_a_handle_of_another_run_of_the_agent(house):
    fifo = house.folder / "another-run"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(fifo)
    file = house.folder / "handle-of-one"
    one = agent(house, f"stillvault read --detach sv://prod/agent/key > {file}; read line < {fifo}")
    card = house.card()
    out, err = house.ended(agent(house, f"stillvault wait $(cat {file}); echo $?"))
    assert out == b"13\n", err
    house.run("bob", "stillvault", "deny", card["id"])
    fifo.write_text("end\n")
    house.ended(one)
