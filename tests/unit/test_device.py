"""The approver's pure parts: cards, budget, memory, key files, the drawn card."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stillvault.approver import budget, keyfile, screen
from stillvault.approver.memory import Answer, Memory
from stillvault.protocol.errors import Refused, Usage
from stillvault.protocol.objects import Item
from stillvault.protocol.text import HIDDEN, plain

ITEM = Item(request="r", secret="s", path="a", version=1, revision=0, index=1, window=0, uses=0)
CARD = {
    "id": "0" * 12, "client": "host/db-1", "host": "db-1", "user": "agent", "uid": 1001, "exe": "/usr/bin/claude",
    "exe_sha256": "p8xxtCov2JPtYXZOJsFHzW1wcjCAu2rXNt9JuIia8ms", "chain": [{"exe": "/usr/bin/bash", "exe_sha256": "x"}],
    "grade": "system", "purpose": "use", "issued": 100, "age": 20, "expires": 400, "window": 900, "people_needed": 2,
    "people_approved": 1, "approved_by": ["bob"], "code": "123456", "unit": "agent.service",
    "requests": [{"secret": "prod/db", "version": 3, "revision": 0, "sealed_by": "alice", "sealed": 90}],
    "claimed": {"reason": "nightly run", "argv": ["psql", "-h", "db"]},
}


def test_a_drawn_card() -> None:
    assert screen.draw(CARD) == """\
secret      prod/db   version 3
program     /usr/bin/claude
started by  /usr/bin/bash
host        db-1   client host/db-1
account     agent   uid 1001
asked       20s ago   4m40s left
lease       up to 15m
quorum      ●○ 1 of 2   bob
sealed by   alice   1970-01-01T00:01:30Z
unit        agent.service
grade       system
digest      p8xxtCov2JPtYXZO   sha256 of the program
code        123456   must be the one on the asking screen

The caller says:
  reason      nightly run
  command     psql -h db

"""


def test_what_to_look_at_twice() -> None:
    assert "look twice" not in screen.draw(CARD)
    ahead = screen.draw({**CARD, "ahead": 200})  # A25
    assert "\nlook twice: made 3m20s in the future by this device's clock: one of the two clocks is off\n" in ahead
    alike = screen.draw({**CARD, "exe": "/usr/bin/cl\u0430ude"})  # X3
    assert "\nlook twice: the name of the program holds letters that may look like others\n" in alike
    assert "\u0430" in alike.partition("\n")[2]


def test_a_limit_on_uses_is_drawn() -> None:
    assert "\nlease       up to 15m   3 uses\n" in screen.draw({**CARD, "uses": 3})
    assert "\nlease       none: this once\n" in screen.draw({**CARD, "uses": 1})


@given(st.text(max_size=300), st.lists(st.text(max_size=100), max_size=5))
@example(screen.STRONG, [screen.STRONG + "x" + screen.RESET])  # our own colours, from a stranger
def test_what_a_caller_says_stays_in_its_place(reason: str, argv: list[str]) -> None:  # X2, X3, X5, A9
    drawn = screen.draw({**CARD, "claimed": {"reason": reason, "argv": argv}})
    facts, heading, said = drawn.partition("\nThe caller says:\n")
    assert heading
    assert facts == screen.draw(CARD).partition("\nThe caller says:\n")[0]
    assert not HIDDEN.search(drawn.replace("\n", ""))
    assert all(line.startswith("  ") for line in said.split("\n") if line)
    assert all(len(line) <= 80 for line in drawn.split("\n"))


@given(st.text(alphabet="abc/-", min_size=1, max_size=400))
def test_a_long_name_is_broken_never_cut(name: str) -> None:  # X4
    drawn = screen.draw({**CARD, "exe": name})
    shown = re.search(r"^program {5}(.*?)^started by", drawn, re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert re.sub(r"\s", "", shown[1]) == name


@given(st.text())
def test_plain_text_has_nothing_hidden(text: str) -> None:
    assert not HIDDEN.search(plain(text))
    assert plain(plain(text)) == plain(text)


def test_colour_is_only_added_when_asked_for() -> None:
    assert "\x1b" not in screen.draw({**CARD, "grade": "user"})
    assert "\x1b" in screen.draw({**CARD, "grade": "user"}, colour=True)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m"), (5400, "1h30m"), (90061, "1d1h")])
def test_spans(seconds: int, text: str) -> None:
    assert screen.span(seconds) == text


# ---- budget and memory ----------------------------------------------------------------------------------------------------


def test_a_hostile_relay_cannot_show_more_than_the_budget() -> None:  # P3, B11
    memory, shown = Memory(), set()
    for minute in range(60):
        cards = [f"card-{minute}-{n}" for n in range(20)]
        admitted, memory = budget.admit(cards, memory, budget.Limits(), 1000 + minute * 60)
        shown |= set(admitted)
    assert len(shown) == budget.Limits().shown_per_hour


def test_an_approved_card_gives_its_place_back() -> None:
    memory = Memory()
    for n in range(100):
        admitted, memory = budget.admit([f"card-{n}"], memory, budget.Limits(), 1000 + n)
        assert admitted == [f"card-{n}"]
        memory = budget.approved(f"card-{n}", memory, 1000 + n)


def test_a_card_that_was_shown_stays_shown() -> None:
    limits = budget.Limits(shown_per_hour=1)
    _, memory = budget.admit(["a"], Memory(), limits, 10)
    assert budget.admit(["b", "a"], memory, limits, 20)[0] == ["a"]
    assert budget.admit(["b", "a"], memory, limits, 10 + budget.HOUR)[0] == ["b"]


def test_the_fourth_approval_in_ten_minutes_wants_the_code() -> None:
    memory = Memory()
    for n in range(3):
        assert not budget.wants_code(memory, budget.Limits(), 100 + n)
        memory = budget.approved("c", memory, 100 + n)
    assert budget.wants_code(memory, budget.Limits(), 103)
    assert not budget.wants_code(memory, budget.Limits(), 103 + budget.TEN_MINUTES)


def test_three_wrong_codes_in_an_hour_freeze() -> None:  # P5
    memory, frozen = Memory(), []
    for at in (0, 10, 20):
        freeze, memory = budget.wrong_code(memory, budget.Limits(), 5000 + at)
        frozen.append(freeze)
    assert frozen == [False, False, True]


def test_memory_never_lowers_a_version_and_forgets_only_what_is_over() -> None:  # A7, A11
    memory = Memory().with_highest([("a", (3, 0)), ("a", (2, 9)), ("b", (1, 1))])
    assert memory.highest == {"a": (3, 0), "b": (1, 1)}
    one = Answer(client="c", request_id="r", verdict="approve", expires=1000, card="x", item=ITEM)
    memory = memory.with_answers([one], 500)
    assert memory.decided("c", "r")
    assert not memory.decided("other", "r")
    assert memory.with_answers([], 1000).decided("c", "r")
    assert not memory.with_answers([], 2000).decided("c", "r")
    assert msgspec.json.decode(msgspec.json.encode(memory), type=Memory) == memory


# ---- key files --------------------------------------------------------------------------------------------------------------

HELD = keyfile.Secrets(use="device", auth="AAAA", kem="BBBB")


def test_a_key_file_opens_with_its_passphrase_alone() -> None:
    raw = keyfile.lock(HELD, b"correct horse")
    assert keyfile.is_locked(raw)
    assert b"AAAA" not in raw
    assert keyfile.unlock(raw, "device", b"correct horse") == HELD
    with pytest.raises(Usage) as refused:
        keyfile.unlock(raw, "device", b"wrong")
    assert refused.value.code == "passphrase"
    assert "AAAA" not in repr(HELD)


@pytest.mark.parametrize("change", [{"ops": 2}, {"ops": 17}, {"memory": 8192}, {"memory": 1 << 40}, {"kdf": "scrypt"},
                                    {"salt": "AA"}, {"v": 2}, {"extra": 1}])
def test_a_file_cannot_name_its_own_cost(change: dict[str, object]) -> None:  # A17
    raw = msgspec.json.decode(keyfile.lock(HELD, b"x"))
    with pytest.raises(Refused) as refused:
        keyfile.unlock(msgspec.json.encode({**raw, **change}), "device", b"x")
    assert refused.value.code == "key-file"


def test_a_file_made_for_another_place_is_refused() -> None:
    with pytest.raises(Refused):
        keyfile.unlock(keyfile.lock(HELD, None), "root", None)
