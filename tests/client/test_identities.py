"""`identities.toml`: what is refused in it, who may write it, and what becomes of agents when it or their programs change.

No wait is timed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.client.agency import WHOAMI, agency, agent, entry, identities, path_of, program, restore, told
from tests.client.dialogue import ROOT, leases, until
from tests.client.house import SCRIPTS, House


@pytest.fixture(scope="module")
def house():
    yield from agency()


@pytest.fixture(autouse=True)
def as_it_was(house):
    restore(house)


# ---- the file --------------------------------------------------------------------------------------------------------------


TWO = "[[identity]]\nclient = 'agent/x'\nuid = 1\n[[identity]]\nclient = 'agent/y'\nuid = 1\n"


@pytest.mark.parametrize(("text", "place", "rule"), [
    ("[[identity]]\nclient = 'agent/x'\n", "identity 1", "no condition"),
    ("[[identity]]\nclient = 'host/x'\nuid = 1\n", "identity 1, client", "not agent/NAME"),
    ("[[identity]]\nclient = 'agent/x'\nexe = 'bin/x'\n", "identity 1, exe", "absolute path"),
    ("[[identity]]\nclient = 'agent/x'\nexe = '/bin/../bin/x'\n", "identity 1, exe", "absolute path"),
    ("[[identity]]\nclient = 'agent/x'\nexe = '/x'\nsha256 = 'abc'\n", "identity 1, sha256", "64 hexadecimal digits"),
    ("[[identity]]\nclient = 'agent/x'\nexe = '/usr/bin/python3'\n", "identity 1, exe", "an interpreter"),
    ("[[identity]]\nclient = 'agent/x'\nuser = 'nobody-of-that-name'\n", "identity 1, user", "no such account"),
    ("[[identity]]\nclient = 'agent/x'\nuid = 1\nuser = 'root'\n", "identity 1, user", "twice"),
    ("[[identity]]\nclient = 'agent/x'\nuid = -1\n", "identity 1, uid", "not the number"),
    ("[[identity]]\nclient = 'agent/x'\nuid = true\n", "uid", "bool"),
    ("[[identity]]\nclient = 'agent/x'\nexee = '/x'\n", "identity", "unknown field"),
    ("[[identity]]\nuid = 1\n", "identity", "client"),
    ("identity = 1\n", "identity", "Expected `array"),
    ("", "", "it names no identity"),
    ("# nothing yet\n", "", "it names no identity"),
    ("[[identity]\n", "", "not TOML"),
    (TWO, "identity 2", "identity 1 holds wherever"),
    (TWO + "exe = '/x'\n", "identity 2", "never would"),
])
def test_a_file_that_is_not_right_is_refused_with_place_rule_and_remedy(house, tmp_path, text, place, rule):
    file = tmp_path / "identities.toml"
    file.write_text(text)
    words = ("daemon", "--socket", str(tmp_path / "s" / "d.sock"), "--identities", str(file), "--format", "json")
    done = subprocess.run([SCRIPTS / "stillvault", *words], env=house.environment("host"), capture_output=True, timeout=60,
                          check=False)
    assert done.returncode == 2, done
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert (error["code"], place in error["message"], rule in error["message"]) == ("identities", True, True), error
    assert error["remedy"]


@pytest.mark.parametrize("spoil", ["file", "folder", "link", "way", "owner", "absent"])
def test_a_file_that_others_could_write_is_refused(house, tmp_path, spoil):
    folder = tmp_path / "etc"
    folder.mkdir()
    file = named = folder / "agents.toml"
    file.write_text(entry(uid=1))
    match spoil:
        case "file":
            file.chmod(0o664)
        case "folder":
            folder.chmod(0o775)
        case "link":
            file.rename(folder / "real.toml")
            file.symlink_to("real.toml")
        case "way":  # a link in a directory of others: today it leads to a good file
            theirs = tmp_path / "theirs"
            theirs.mkdir()
            (theirs / "current").symlink_to(folder)
            theirs.chmod(0o777)
            named = theirs / "current" / file.name
        case "owner":
            if not ROOT:
                pytest.skip("needs a second account")
            os.chown(file, 65534, 65534)
        case "absent":
            file.unlink()
    words = ("daemon", "--socket", str(tmp_path / "s" / "d.sock"), "--identities", str(named))
    done = subprocess.run([SCRIPTS / "stillvault", *words], env=house.environment("host"), capture_output=True, timeout=60,
                          check=False)
    assert done.returncode == 2, done
    assert b"identities" in done.stderr


def test_the_file_is_read_again_and_a_bad_one_changes_nothing(house):
    assert told(house, agent(house, WHOAMI))["identity"]["client"] == "agent/helper"
    identities(house, "[[identity]]\nclient = 'agent/helper'\n")
    seen = told(house, agent(house, WHOAMI))
    assert seen["identity"]["client"] == "agent/helper"
    assert "identities.toml was changed and is not in force" in seen["why"]
    identities(house, entry("agent/other", exe=path_of(house, "agent")))
    house.daemon.send_signal(signal.SIGHUP)
    seen = told(house, agent(house, WHOAMI))
    assert seen["identity"]["client"] == "agent/other"
    assert "not in force" not in seen["why"]
    identities(house)
    assert "identity" not in told(house, agent(house, WHOAMI))


@pytest.mark.parametrize("left", ["", "# being written\n", "[[identity]]\nclient = ", None])
def test_a_file_that_is_emptied_or_gone_makes_no_agent_the_host(house, left):
    file = house.folder / "host" / "identities.toml"
    assert told(house, agent(house, WHOAMI))["identity"]["client"] == "agent/helper"
    if left is None:
        file.unlink()
    else:
        file.write_text(left)  # in place, as an editor or a shell does
    seen = told(house, agent(house, WHOAMI))
    assert seen["identity"]["client"] == "agent/helper"
    assert "identities.toml was changed and is not in force" in seen["why"]
    out, err = house.ended(agent(house, "stillvault read sv://prod/db; echo $?"))
    assert out == b"13\n", err
    house.daemon.send_signal(signal.SIGHUP)
    assert told(house, agent(house, WHOAMI))["identity"]["client"] == "agent/helper"
    assert "the 2 identities of before stay in force" in house.log()
    identities(house)
    seen = told(house, agent(house, WHOAMI))
    assert ("identity" in seen, "not in force" in seen["why"]) == (False, False)


@pytest.mark.skipif(not ROOT, reason="needs a second account")
@pytest.mark.parametrize(("where", "more", "refused"), [
    ("folder", {}, "account 65534 can change"), ("folder", {"uid": 65533}, "account 65534"), ("folder", {"uid": 65534}, ""),
    ("folder", {"sha256": "0" * 64}, ""), ("file", {}, "account 65534 can change"), ("writable", {}, "others can write"),
    ("shared", {}, ""), ("missing", {}, "others can make"), ("link", {}, "account 65534"), ("session", {}, "account 65534"),
])
def test_a_program_that_others_could_replace_names_no_agent(house, tmp_path, where, more, refused):
    """Whoever can put another program in the place of the agent's would be the agent."""
    bin_folder = Path(path_of(house, "agent")).parent.parent / f"bin-{where}-{len(more)}-{refused[:3]}"
    shutil.rmtree(bin_folder, ignore_errors=True)
    bin_folder.mkdir(mode=0o755)
    exe = bin_folder / "agent"
    shutil.copy("/usr/bin/env", exe)
    named = exe
    match where:
        case "folder" | "session":
            os.chown(bin_folder, 65534, 65534)
        case "file":
            os.chown(exe, 65534, 65534)
        case "writable":
            bin_folder.chmod(0o775)
        case "shared":
            bin_folder.chmod(0o1777)
        case "missing":
            bin_folder.chmod(0o1777)
            exe.unlink()
        case "link":
            away = bin_folder / "of-another"
            away.mkdir()
            exe.rename(away / "agent")
            os.chown(away, 65534, 65534)
            (bin_folder / "link").symlink_to("of-another/../of-another")
            named = bin_folder / "link" / "agent"
    condition = {"session": str(named), "unit": "x.service"} if where == "session" else {"exe": str(named), **more}
    identities(house, entry(exe=path_of(house, "agent")), entry("agent/other", **condition))
    why = told(house, agent(house, WHOAMI))["why"]
    assert ("identity 2, " in why, refused in why) == (bool(refused), True), why


# ---- a program that is renamed ---------------------------------------------------------------------------------------------


def held(house: House, name: str) -> str:
    """A FIFO that a script reads from, until the test writes to it."""
    fifo = house.folder / name
    with contextlib.suppress(FileExistsError):
        os.mkfifo(fifo)
    return str(fifo)


@pytest.mark.parametrize("how", ["renamed", "another in its place", "linked, then removed", "copied by digest"])
def test_an_agent_that_renames_its_program_is_not_the_host(house, how):
    exe = Path(path_of(house, "agent"))
    other = exe.with_name("renamed")
    if how == "copied by digest":
        identities(house, entry(exe=str(exe), sha256=hashlib.sha256(exe.read_bytes()).hexdigest()))
        shutil.copy(exe, other)
        out, err = house.ended(agent(house, "stillvault read sv://prod/db; echo $?", name="renamed"))
    else:
        fifo = held(house, "renamed-go")
        running = agent(house, f"{WHOAMI} > {fifo}.seen; read line < {fifo}; stillvault read sv://prod/db; echo $?")
        until(lambda: Path(f"{fifo}.seen").exists() and Path(f"{fifo}.seen").read_text().endswith("\n"), "it did not start")
        Path(f"{fifo}.seen").unlink()
        if how == "linked, then removed":
            os.link(exe, other)
            exe.unlink()
        else:
            exe.rename(other)
        if how == "another in its place":
            program(house, "agent", b"another")
        Path(fifo).write_text("go\n")
        out, err = house.ended(running)
    other.unlink()
    program(house, "agent")
    assert out == b"13\n", err
    assert b"or moved, or runs as a copy" in err
    assert not house.cards()


# ---- identities that change while a call waits -------------------------------------------------------------------------------


def test_a_call_that_waits_is_refused_where_its_caller_is_another_by_then(house):
    """Asked as the host; by the time that people have said yes, the file says that it is an agent."""
    shell = house.start("", path_of(house, "agent-three"), "-c", "stillvault read sv://prod/db; echo $?\nexit 0", session=True)
    house.shells.append(shell)
    assert house.card()["client"] == "host/db-1"
    identities(house, entry(exe=path_of(house, "agent")), entry("agent/other", exe=path_of(house, "agent-three")))
    house.approve()
    out, err = house.ended(shell)
    assert out == b"13\n"
    assert b"identities.toml was changed while this call waited" in err
    assert not leases(house)


def test_a_call_that_waits_goes_on_where_it_is_the_same(house):
    running = agent(house, "stillvault read sv://prod/agent/key")
    house.card()
    identities(house, entry("agent/other", exe=path_of(house, "agent-two")), entry(exe=path_of(house, "agent")))
    house.approve()
    assert house.ended(running)[0] == b"value of prod/agent/key;"


def test_a_handle_is_not_taken_by_who_became_another_meanwhile(house):
    script = "h=$(stillvault read --detach sv://prod/db 2>/dev/null); stillvault wait $h; echo $?\nexit 0"
    shell = house.start("", path_of(house, "agent-three"), "-c", script, session=True)
    house.shells.append(shell)
    said = b""
    while b"waiting for" not in said:  # the take waits
        piece = os.read(shell.stderr.fileno(), 4096)
        assert piece, said
        said += piece
    identities(house, entry("agent/other", exe=path_of(house, "agent-three")))
    house.approve()
    out, err = house.ended(shell)
    assert out == b"13\n", err
    assert not leases(house)
