"""Handles against the real daemon: asked by one command, fetched by another of the same task, and by nobody else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.client.caller import Call, contents, pipe
from tests.client.dialogue import CANARY, ROOT, afresh, audit, call, furnished, until
from tests.client.house import House


@pytest.fixture(scope="module")
def house():
    yield from furnished()


@pytest.fixture(autouse=True)
def no_leases(house):
    yield from afresh(house)


def asked(house: House, *refs: str, **terms) -> tuple[Call, str]:
    """A handle of this process, and the connection that asked."""
    one = call(house)
    one.say({"verb": "ask", "refs": list(refs or ("prod/db",)), **terms})
    event = one.event()
    assert event["event"] == "handle", event
    return one, event["handle"]


def state(one: Call, handle: str, wait: int = 0) -> dict:
    one.say({"verb": "state", "handle": handle, "wait": wait})
    return one.last()


def take(one: Call, handle: str, count: int = 1, wait: int = 0) -> tuple[dict, list[bytes]]:
    pairs = [pipe() for _ in range(count)]
    one.say({"verb": "take", "handle": handle, "wait": wait}, [writing for _, writing in pairs])
    for _, writing in pairs:
        os.close(writing)
    event = one.last()
    return event, [contents(reading) for reading, _ in pairs]


def other_program(house: House, verb: str, handle: str, **how) -> dict:
    """Another program of this account: in the same session, unless `how` says otherwise."""
    script = ("import json,os,sys; sys.path.insert(0, sys.argv[1]); from caller import Call, pipe, contents\n"
              "one = Call(sys.argv[2]); one.hello(); reading, writing = pipe()\n"
              "one.say({'verb': sys.argv[3], 'handle': sys.argv[4], 'wait': 0}, [writing] if sys.argv[3] == 'take' else [])\n"
              "os.close(writing); event = one.last(); event['got'] = len(contents(reading)); print(json.dumps(event))\n")
    shutil.copy(Path(__file__).parent / "caller.py", house.folder)
    (house.folder / "caller.py").chmod(0o644)
    words = ["/usr/bin/python3", "-c", script, str(house.folder), str(house.socket), verb, handle]
    done = subprocess.run(words, capture_output=True, timeout=60, check=True, **how)
    return json.loads(done.stdout)


# ---- the way through -----------------------------------------------------------------------------------------------------------


def test_asked_by_one_command_and_fetched_by_another(house):
    shell = house.shell("h=$(stillvault read --detach sv://prod/db --reason 'ticket 7'); stillvault wait $h; "
                        "stillvault wait $h; echo $?")
    card = house.card()
    assert card["exe"] == os.path.realpath("/bin/sh")
    assert card["claimed"] == {"reason": "ticket 7"}
    house.approve()
    out, err = house.ended(shell)
    assert out == CANARY + b"1\n"
    assert b"were taken" in err


def test_a_handle_comes_at_once_and_says_how_it_stands(house):
    one, handle = asked(house, "prod/api", "prod/db", argv=["x"])
    shown = state(one, handle)
    card = house.card()
    assert (shown["state"], shown["refs"]) == ("pending", ["prod/api", "prod/db"])
    assert (shown["card"], shown["code"]) == (card["id"], card["code"])
    assert (shown["asked"], shown["needed"], shown["approved"]) == (["alice", "bob"], 1, 0)
    house.approve()
    shown = state(one, handle, wait=30)
    assert (shown["state"], "card" in shown) == ("ready", False)
    event, values = take(one, handle, 2)
    assert [value["from"] for value in event["values"]] == ["release", "release"]
    assert values == [b"the api key", CANARY]
    assert state(one, handle)["state"] == "delivered"
    assert take(one, handle, 2)[1] == [b"", b""]
    assert audit(house, "delivered")


def test_a_command_for_a_set(house):
    script = ("export A=sv://prod/db B=sv://prod/api; h=$(stillvault run --detach -- true); "
              "stillvault run --no-masking --handle $h --wait 60s -- sh -c 'echo $A $B'")
    shell = house.shell(script)
    house.approve()
    assert house.ended(shell)[0] == CANARY + b" the api key\n"


def test_the_same_question_is_one_handle(house):
    one, handle = asked(house)
    two, same = asked(house)
    assert same == handle
    _, different = asked(house, reason="another")
    assert different != handle
    assert len(house.cards()) == 1
    one.say({"verb": "cancel", "id": handle})
    assert one.event() == {"event": "cancelled", "count": 1}
    assert len(house.cards()) == 1  # the other one waits for it too
    two.say({"verb": "cancel", "id": different})
    two.event()
    until(lambda: not house.cards(), "the card stayed")


def test_what_a_lease_answers_is_ready_at_once(house):
    one, handle = asked(house)
    house.approve()
    assert take(one, handle, wait=30)[0]["event"] == "delivered"
    one, handle = asked(house)
    assert state(one, handle)["state"] == "ready"
    event, values = take(one, handle)
    assert (event["values"][0]["from"], values) == ("lease", [CANARY])
    assert not house.cards()


def test_a_caller_that_waits_goes_before_a_handle_and_both_are_served(house):
    one, handle = asked(house)
    two = call(house)
    (end,) = two.get(["prod/db"])
    two.event()
    assert len(house.cards()) == 1
    house.approve()
    assert two.last()["values"][0]["from"] == "release"
    assert contents(end) == CANARY
    event, values = take(one, handle, wait=30)
    assert (event["values"][0]["from"], values) == ("lease", [CANARY])


# ---- how it ends -------------------------------------------------------------------------------------------------------------


def test_denied_expired_cancelled(house):
    one, handle = asked(house)
    house.run("bob", "stillvault", "deny", house.card()["id"], "--note", "not today")
    shown = state(one, handle, wait=30)
    assert (shown["state"], shown["error"]["code"], shown["error"]["exit"]) == ("ended", "denied", 10)
    assert "not today" in take(one, handle)[0]["message"]
    one, handle = asked(house, ttl=1)
    assert state(one, handle, wait=30)["error"]["exit"] == 11
    one, handle = asked(house)
    house.run("", "stillvault", "cancel", handle)
    assert state(one, handle)["error"]["code"] == "cancelled"
    until(lambda: not house.cards(), "the card stayed")


def test_the_exit_codes_of_wait(house):
    fifo = house.folder / "denied"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(fifo)
    shell = house.shell(f"h=$(stillvault read --detach sv://prod/db); stillvault wait $h --wait 1s; echo $?; "
                        f"stillvault wait $h --state --wait 0s; echo $?; read line < {fifo}; stillvault wait $h; echo $?; "
                        "stillvault wait h-AAAAAAAAAAAAAAAAAAAAAA; echo $?")
    card = house.card()
    fifo.write_text("go\n")  # a time that is over has denied and withdrawn nothing
    house.run("bob", "stillvault", "deny", card["id"])
    out, err = house.ended(shell)
    assert out == b"11\npending\n11\n10\n1\n", err


def test_what_nobody_takes_is_wiped_with_the_request(house):
    one, handle = asked(house, ttl=4)
    house.approve()
    assert state(one, handle, wait=30)["state"] == "ready"
    until(lambda: state(one, handle)["state"] == "ended", "it stayed")
    event, values = take(one, handle)
    assert (event["exit"], values) == (11, [b""])
    assert not json.loads(house.run("", "stillvault", "leases", "--format", "json"))["leases"]


def test_refused_at_once_is_no_handle(house):
    one = call(house)
    for refs, code in ((["dev/db"], 13), (["prod/never-sealed"], 14), ([], 2), (["prod/db", "prod/db"], 2)):
        one.say({"verb": "ask", "refs": refs})
        event = one.last()
        assert (event["event"], event["exit"]) == ("error", code), event


def test_a_killed_command_leaves_a_prompt_only_where_it_was_detached(house):
    fifo = house.folder / "killed"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(fifo)
    file = house.folder / "handle"
    shell = house.shell(f"stillvault read --detach sv://prod/db > {file}; stillvault wait $(cat {file}) & "
                        f"echo $! > {house.folder}/pid; wait $!; read line < {fifo}; stillvault wait $(cat {file})")
    until(lambda: (house.folder / "pid").exists() and (house.folder / "pid").read_text().strip(), "it did not start")
    house.card()
    os.kill(int((house.folder / "pid").read_text()), signal.SIGKILL)
    assert len(house.cards()) == 1
    house.approve()
    fifo.write_text("go\n")
    assert house.ended(shell)[0] == CANARY
    # One that was killed before it could print its handle: nobody knows it, so nobody is asked.
    house.relay.send_signal(signal.SIGSTOP)
    try:
        one = call(house)
        one.say({"verb": "ask", "refs": ["prod/api"]})
        one.sock.close()
    finally:
        house.relay.send_signal(signal.SIGCONT)
    until(lambda: not house.cards(), "the card stayed")


def test_it_ends_with_the_task_that_asked(house):
    shell = house.shell("stillvault read --detach sv://prod/db")
    house.ended(shell)
    until(lambda: not house.cards(), "the card outlived the session")


def test_it_ends_with_the_daemon(house):
    one, _ = asked(house)
    house.card()
    one.sock.close()
    house.stop(house.daemon)
    until(lambda: not house.cards(), "the card stayed")
    house.start_daemon()


def test_there_are_only_so_many(house):
    one = call(house)
    handles = []
    for number in range(65):
        one.say({"verb": "ask", "refs": ["prod/db"], "reason": f"number {number}"})
        event = one.last()
        handles.append(event.get("handle"))
    assert (event["exit"], event["check"]) == (16, "handles")
    for handle in handles[:-1]:
        one.say({"verb": "cancel", "id": handle})
        one.event()
    until(lambda: not house.cards(), "a card stayed")


# ---- whose it is --------------------------------------------------------------------------------------------------------------


def test_another_task_of_the_same_account_gets_nothing(house):
    one, handle = asked(house)
    house.approve()
    assert state(one, handle, wait=30)["state"] == "ready"
    for verb in ("state", "take"):
        event = other_program(house, verb, handle, start_new_session=True)
        assert (event["exit"], event["check"], event["got"]) == (13, "handle-other", 0)
    # In the same session, but another program than the one that people saw.
    event = other_program(house, "take", handle)
    assert (event["exit"], event["check"], event["got"]) == (13, "handle-other", 0)
    assert take(one, handle)[1] == [CANARY]


@pytest.mark.skipif(not ROOT, reason="needs a second account")
def test_another_account_does_not_even_learn_of_it(house):
    one, handle = asked(house)
    for verb in ("state", "take"):
        event = other_program(house, verb, handle, user=65534, group=65534, extra_groups=[], cwd="/", start_new_session=True)
        assert (event["exit"], event["message"], event["got"]) == (1, "there is no such handle, or not any more", 0)
    one.say({"verb": "cancel", "id": handle})
    one.event()


def test_pipes_are_looked_at_before_anything_is_given(house):
    one, handle = asked(house)
    house.approve()
    assert state(one, handle, wait=30)["state"] == "ready"
    assert take(one, handle, 2)[0]["code"] == "descriptor"
    with open(os.devnull, "wb") as null:
        one.say({"verb": "take", "handle": handle, "wait": 0}, [null.fileno()])
        assert one.last()["exit"] == 2
    assert take(one, handle)[1] == [CANARY]


def test_a_front_without_session_or_agent_gets_no_handle(house):
    script = ("import subprocess\n"
              "print(subprocess.run(['stillvault', 'read', '--detach', 'sv://prod/db'], start_new_session=True).returncode)\n")
    shell = house.start("", "/usr/bin/python3", "-c", script, session=True)
    out, err = house.ended(shell)
    assert out == b"2\n"
    assert b"nobody could take the values later" in err
    assert not house.cards()
