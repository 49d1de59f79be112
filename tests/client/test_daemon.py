"""The daemon in a whole house: real relay, real people's commands, real programs that ask. No wait is timed; ends are events."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.client.caller import Call, contents
from tests.client.dialogue import CANARY, ROOT, afresh, ask, audit, call, furnished, leases, released, until
from tests.client.house import SCRIPTS, House


@pytest.fixture(scope="module")
def house():
    yield from furnished()


@pytest.fixture(autouse=True)
def no_leases(house):
    yield from afresh(house)


def from_lease(one: Call, path: str = "prod/db") -> bool:
    """Whether a lease serves the path; a request that comes of it instead is withdrawn by closing."""
    (end,) = one.get([path])
    event = one.event()
    got = contents(end) if event["event"] == "delivered" else os.close(end)
    return event["event"] == "delivered" and event["values"][0]["from"] == "lease" and bool(got)


def leased(house: House, path: str = "prod/db") -> bool:
    """The same by a connection of its own: a request that comes of it is withdrawn."""
    one = call(house)
    try:
        return from_lease(one, path)
    finally:
        one.sock.close()


# ---- the loop --------------------------------------------------------------------------------------------------------------


def test_a_thousand_reads_under_one_lease_are_one_prompt(house):
    before = len(audit(house, "requested"))
    loop = "i=0; while [ $i -lt 1000 ]; do stillvault read sv://prod/db; i=$((i+1)); done"
    shell = house.shell(loop, uid=65534 if ROOT else None)
    house.approve("bob", "--window", "1m")
    out, err = house.ended(shell)
    assert out == CANARY * 1000, err
    assert len(audit(house, "requested")) == before + 1
    # The use reports name the program and count every use but the first.
    until(lambda: sum(row["count"] for row in audit(house, "lease-used")) >= 999, "the uses were not reported")
    row = audit(house, "lease-used")[-1]
    assert row["exe"] == os.path.realpath("/bin/sh")
    assert row["uid"] == (65534 if ROOT else os.geteuid())


def test_another_program_of_the_same_account_is_asked_for_anew(house):  # L2
    one = released(house)
    assert from_lease(one)
    other = house.shell("stillvault read sv://prod/db")
    card = house.card()
    assert card["exe"] == os.path.realpath("/bin/sh")
    house.run("bob", "stillvault", "deny", card["id"])
    out, err = house.ended(other)
    assert out == b""
    assert b"denied" in err
    assert from_lease(one)


@pytest.mark.skipif(not ROOT, reason="needs a second account")
def test_accounts_see_and_purge_their_own(house):  # L1
    one = released(house)
    script = "stillvault read sv://prod/api; stillvault leases --format json; stillvault leases purge; sleep 1000"
    other = house.shell(script, uid=65534)
    house.approve()
    listed = b""
    while b"}]" not in listed:
        listed += os.read(other.stdout.fileno(), 4096)
    shown = json.loads(listed[listed.index(b"{"):].decode().splitlines()[0])["leases"]
    assert [lease["path"] for lease in shown] == ["prod/api"]
    until(lambda: len(leases(house)) == 1, "not purged")
    assert from_lease(one)
    one.sock.close()
    other.kill()


def test_what_the_person_sees_is_what_the_kernel_said(house):
    one = call(house)
    ends = one.get(["prod/api", "prod/db"], argv=["migrate", "--prod"], reason="ticket 7")
    event = one.event()
    card = house.card()
    assert (card["id"], card["code"]) == (event["card"], event["code"])
    assert sorted(asked["secret"] for asked in card["requests"]) == ["prod/api", "prod/db"]
    assert card["exe"] == os.path.realpath("/proc/self/exe")
    assert card["uid"] == os.geteuid()
    assert card["host"] == "db-1"
    assert card["claimed"] == {"argv": ["migrate", "--prod"], "reason": "ticket 7"}
    assert card["grade"] == ("system" if ROOT else "user")
    house.approve()
    assert [value["path"] for value in one.last()["values"]] == ["prod/api", "prod/db"]
    assert [contents(end) for end in ends] == [b"the api key", CANARY]


def test_callers_of_one_process_share_a_request(house):
    one, end = ask(house)
    two = call(house)
    (second,) = two.get(["prod/db"])
    assert two.event()["card"]
    assert len(house.cards()) == 1
    house.approve()
    assert one.last()["values"][0]["from"] == "release"
    assert two.last()["values"][0]["from"] == "lease"
    assert contents(end) == contents(second) == CANARY


def test_when_the_first_caller_goes_the_second_is_served(house):
    one, end = ask(house)
    two = call(house)
    (second,) = two.get(["prod/db"])
    two.event()
    one.sock.close()
    os.close(end)
    house.approve()
    assert two.last()["values"][0]["from"] == "release"
    assert contents(second) == CANARY


def test_a_command_takes_leases_and_releases_together(house):
    one = released(house)
    ends = one.get(["prod/db", "prod/api"])
    assert [asked["secret"] for asked in house.card()["requests"]] == ["prod/api"]
    house.approve()
    event = one.last()
    assert [(value["path"], value["from"]) for value in event["values"]] == [("prod/db", "lease"), ("prod/api", "release")]
    assert [contents(end) for end in ends] == [CANARY, b"the api key"]


def test_all_or_nothing(house):
    """Of two references one is out of scope: nothing is asked, nothing is written."""
    one = call(house)
    ends = one.get(["prod/db", "dev/db"])
    assert one.last()["exit"] == 13
    assert [contents(end) for end in ends] == [b"", b""]
    assert not house.cards()


def test_a_policy_without_a_window_asks_every_time(house):
    house.policy("once", "prod/once/**", "--window", "0s")
    house.seal("prod/once/key", b"once")
    one = call(house)
    for _ in range(2):
        (end,) = one.get(["prod/once/key"])
        assert one.event()["event"] == "pending"
        house.approve()
        assert one.last()["values"][0]["window"] == 0
        assert contents(end) == b"once"
    assert not leases(house)


@pytest.mark.parametrize(("scope", "together", "apart"), [
    # `timeout` is no interpreter: two of them are one program
    ("exe", "timeout 60 stillvault read {ref}; timeout 60 stillvault read {ref}", "nice stillvault read {ref}"),
    # one session is one task, whatever runs in it
    ("task", "timeout 60 stillvault read {ref}; stillvault read {ref}; nice stillvault read {ref}",
     "setsid sh -c 'stillvault read {ref}; true'"),
])
def test_leases_of_a_wider_scope(house, scope, together, apart):
    house.policy(scope, f"prod/{scope}/**", "--lease-scope", scope)
    house.seal(f"prod/{scope}/key", b"wide.")
    ref = f"sv://prod/{scope}/key"
    shell = house.shell(together.format(ref=ref) + "; " + apart.format(ref=ref))
    house.approve()
    card = house.card()  # the one that stands apart
    assert leases(house)[0]["scope"] == scope
    house.run("bob", "stillvault", "deny", card["id"])
    out, _ = house.ended(shell)
    assert out == b"wide." * together.count("read")


def test_two_people_of_two(house):
    house.policy("both", "prod/both/**", "--threshold", "2")
    house.seal("prod/both/key", b"shared")
    one, end = ask(house, "prod/both/key")
    house.approve("bob")
    event = one.event()
    assert (event["approved"], event["needed"]) == (1, 2)
    house.approve("alice")
    assert one.last()["event"] == "delivered"
    assert contents(end) == b"shared"


# ---- no --------------------------------------------------------------------------------------------------------------------


def test_a_denial_ends_with_10_and_the_note(house):
    one, end = ask(house)
    house.run("bob", "stillvault", "deny", house.card()["id"], "--note", "not today")
    event = one.last()
    assert (event["code"], event["exit"]) == ("denied", 10)
    assert "bob" in event["message"]
    assert "not today" in event["message"]
    assert contents(end) == b""


def test_nobody_answers_ends_with_11(house):
    one, end = ask(house, ttl=1)
    assert one.last()["exit"] == 11
    os.close(end)


def test_out_of_scope_and_unknown_paths(house):  # C2
    one = call(house)
    for path, code in (("dev/db", 13), ("root/**", 15), ("prod/never-sealed", 14)):
        (end,) = one.get([path])
        event = one.last()
        assert event["exit"] == code, event
        os.close(end)
    assert (event["code"], "prod/never-sealed" in event["message"]) == ("unavailable", True), event
    ends = one.get(["prod/db", "prod/never-sealed"])  # of several, the one that is missing is named
    event = one.last()
    assert (event["exit"], "no secret prod/never-sealed" in event["message"]) == (14, True), event
    for end in ends:
        os.close(end)


def test_a_hold_is_said_and_ends(house):
    house.run("alice", "stillvault", "hold", "prod/db", "--for", "1h")
    one = call(house)

    def held() -> bool:
        (end,) = one.get(["prod/db"])
        event = one.event()
        os.close(end)
        return event.get("exit") == 13 and event["check"] == "hold"

    assert held()
    house.run("alice", "stillvault", "hold", "prod/db", "--lift")
    one.sock.close()
    released(house)


def test_closing_withdraws_the_request(house):
    one, end = ask(house)
    house.card()
    one.sock.close()
    os.close(end)
    until(lambda: not house.cards(), "the card stayed")
    assert audit(house, "cancelled")


def test_interrupted_front_withdraws(house):
    front = house.start("", str(SCRIPTS / "stillvault"), "read", "sv://prod/db")
    house.card()
    front.send_signal(signal.SIGINT)
    house.ended(front)
    assert front.returncode == 130
    until(lambda: not house.cards(), "the card stayed")


def test_cancel_by_card(house):
    one, end = ask(house)
    card = house.card()["id"]
    house.run("", "stillvault", "cancel", card)
    event = one.last()
    assert (event["code"], event["exit"]) == ("cancelled", 1)
    until(lambda: not house.cards(), "the card stayed")
    os.close(end)


# ---- the ends of a lease -----------------------------------------------------------------------------------------------------


def test_a_lease_ends_with_its_window(house):  # L15
    released(house, window=1)
    until(lambda: not leased(house), "the window did not end")


def test_a_lease_ends_with_its_uses(house):
    one = released(house, uses=2)
    assert from_lease(one)
    assert not from_lease(one)


def test_a_lease_ends_with_its_process(house):
    shell = house.shell("stillvault read sv://prod/db; sleep 1000")
    house.approve()
    until(lambda: len(leases(house)) == 1, "no lease")
    shell.kill()
    until(lambda: not leases(house), "the lease stayed")


def test_a_newer_version_ends_it(house):
    house.seal("prod/api", b"old")
    released(house, "prod/api")
    house.seal("prod/api", b"the api key")
    until(lambda: not leased(house, "prod/api"), "the old value stayed")


def test_a_denial_after_the_approval_ends_it(house):  # L15
    one, end = ask(house)
    card = house.card()["id"]
    house.approve()
    assert one.last()["event"] == "delivered"
    os.close(end)
    assert leased(house)
    house.run("bob", "stillvault", "deny", card)
    until(lambda: not leases(house), "the lease stayed")


def test_a_hold_ends_it(house):
    released(house)
    house.run("alice", "stillvault", "hold", "host/db-1", "--for", "1h")
    until(lambda: not leases(house), "the lease stayed")
    house.run("alice", "stillvault", "hold", "host/db-1", "--lift")


def test_a_revoked_client_loses_it(house):  # L15
    house.join("host/passing", "host", "client", "invite", "host/passing", "--host", "db-1", "--grade",
               "system" if ROOT else "user", "--scope", "passing/**")
    house.policy("passing", "passing/**")
    house.seal("passing/key", b"not for long")
    released(house, "passing/key")
    assert leases(house)
    house.run("alice", "stillvault", "client", "revoke", "host/passing")
    until(lambda: not leases(house), "the lease stayed")
    one = call(house)
    (end,) = one.get(["passing/key"])
    assert one.last()["exit"] == 13
    os.close(end)


# ---- faults ----------------------------------------------------------------------------------------------------------------


def test_leases_live_while_the_relay_is_down_and_new_requests_fail_clearly(house):  # R22
    one = released(house)
    house.stop(house.relay, signal.SIGKILL)
    for _ in range(100):
        assert from_lease(one)
    for _ in range(20):
        (end,) = one.get(["prod/api"])
        event = one.last()
        assert (event["code"], event["exit"]) == ("unavailable", 14), event
        os.close(end)
    house.start_relay()
    assert from_lease(one)

    def back() -> bool:
        (end,) = one.get(["prod/api"])
        event = one.event()
        if event["event"] == "pending":
            house.approve()
            event = one.last()
            assert contents(end) == b"the api key"
            return True
        os.close(end)
        return False

    until(back, "the daemon did not come back")


def test_a_request_survives_a_restart_of_the_relay(house):  # R16
    one, end = ask(house)
    house.card()
    house.stop(house.relay, signal.SIGKILL)
    house.start_relay()
    house.approve()
    assert one.last()["values"][0]["from"] == "release"
    assert contents(end) == CANARY


def test_a_relay_that_says_nothing_is_told_from_one_that_thinks(house):  # R22, R23
    house.relay.send_signal(signal.SIGSTOP)
    try:
        one = call(house)
        (end,) = one.get(["prod/db"])
        event = one.last()
        assert (event["code"], event["exit"]) == ("unavailable", 14), event
        os.close(end)
        one.sock.close()
    finally:
        house.relay.send_signal(signal.SIGCONT)
    until(lambda: not house.cards(), "the request that nobody waits for stayed")


def test_a_daemon_starts_while_the_relay_is_down(house):
    house.stop(house.daemon)
    house.stop(house.relay, signal.SIGKILL)
    assert house.start_daemon()["relay"] == "down"
    one = call(house)
    (end,) = one.get(["prod/db"])
    assert one.last()["exit"] == 14
    os.close(end)
    (end,) = one.get(["dev/db"])  # the roster of the last time is known
    assert one.last()["exit"] == 13
    os.close(end)
    house.start_relay()

    def asked() -> bool:
        (end,) = one.get(["prod/db"], wait=1)
        event = one.event()
        os.close(end)
        return event["event"] == "pending" and one.last()["exit"] == 11

    until(asked, "the daemon did not come up")


def test_a_killed_daemon_leaves_nothing_and_asks_again(house):  # R24
    released(house)
    house.stop(house.daemon, signal.SIGKILL)
    places = [str(house.folder), "/run", "/dev/shm"]
    found = subprocess.run(["grep", "-rlaFsD", "skip", CANARY.decode(), *places], capture_output=True, check=False)
    assert found.stdout == b""
    house.start_daemon()
    one = call(house)
    assert not from_lease(one)


def test_sigterm_withdraws_wipes_and_removes_the_socket(house):
    one, end = ask(house)
    house.card()
    assert house.stop(house.daemon) == 0
    assert one.event() is None
    assert contents(end) == b""
    assert not house.socket.exists()
    until(lambda: not house.cards(), "the card stayed")


def test_the_daemon_cannot_be_looked_into_and_never_forks(house):
    pid = house.daemon.pid
    status = Path(f"/proc/{pid}/limits").read_text()
    core = next(line for line in status.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    assert Path(f"/proc/{pid}/task/{pid}/children").read_text() == ""


def test_nothing_of_the_value_is_at_the_relay(house):
    data = house.folder / "relay" / "stillvault.db"
    with contextlib.closing(sqlite3.connect(f"file:{data}?mode=ro", uri=True)) as database:
        assert database.execute("select count(*) from sqlite_master").fetchone()[0] > 0
    for file in (house.folder / "relay").rglob("*"):
        if file.is_file():
            assert CANARY not in file.read_bytes()
