"""A clock that is wrong is named, and nothing is done by it (A25)."""

from __future__ import annotations

import re
import time

import pytest

from stillvault.approver import device, prompts
from stillvault.approver.account import Account
from stillvault.protocol.errors import StillvaultError
from stillvault.transport.home import Home
from stillvault.transport.session import forget_session
from tests.cli.test_approving import card_of
from tests.world import World


def no_passphrase(what: str) -> bytes:
    raise AssertionError(what)


@pytest.mark.parametrize(("apart", "word"), [(3600, "ahead of"), (-3600, "behind"), (200 * 86400, "ahead of")])
def test_a_wrong_clock_is_named(town: World, apart: int, word: str) -> None:
    home = Home(town.parties["carol"].home)
    forget_session(home)
    account = Account(home, no_passphrase, lambda: int(time.time()) + apart)
    with pytest.raises(StillvaultError) as refused:
        account.trust()
    assert refused.value.exit in (14, 15)
    said = re.match(r"this clock is (\d+) seconds (ahead of|behind) the relay's", refused.value.remedy)
    assert said is not None
    assert abs(int(said[1]) - abs(apart)) < 60
    assert said[2] == word
    account.close()
    forget_session(home)


def test_a_right_clock_is_not_blamed(town: World) -> None:
    home = Home(town.parties["carol"].home)
    forget_session(home)
    account = Account(home, no_passphrase, lambda: int(time.time()) + 60)
    assert account.trust().pair[1] > 1
    account.close()
    forget_session(home)


def test_a_card_out_of_the_future_is_marked(town: World) -> None:
    asking = town.parties["host/db-1"].spawn("read", "sv://prod/db")
    carol = town.parties["carol"]
    card_of(carol, "prod/db")
    account = Account(Home(carol.home), no_passphrase, lambda: int(time.time()))
    card = next(one for one in prompts.waiting(account).cards if one.first.request.path == "prod/db")
    account.close()
    issued = card.first.request.issued
    assert device.describe(card, issued - 200)["ahead"] == 200
    assert "ahead" not in device.describe(card, issued - 100)
    carol.ok("deny", card.id)
    asking.communicate()
