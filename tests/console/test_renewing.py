"""What expires is said a quarter of its life before, and renewed by one click: seventy days pass between two starts."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

from playwright.sync_api import Playwright, expect

from tests.console.browser import Console, opened
from tests.console.inviting import client

DAYS = 70
CLOCK = Path(__file__).parents[1] / "faults" / "clock.c"


def test_a_roster_in_its_last_quarter_is_renewed_by_one_click(playwright: Playwright, tmp_path: Path) -> None:
    library = tmp_path / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(CLOCK)], check=True)
    with opened(playwright, LD_PRELOAD=str(library), CLOCK_OFF=str(-DAYS * 86400)) as console:
        renewed_by_one_click(console)


def renewed_by_one_click(console: Console) -> None:
    world = console.world
    alice = console.tab()
    alice.context.clock.install(time=datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=DAYS))
    console.found(tab=alice)
    expect(alice.open("/people").get_by_role("list", name="People")).to_be_visible()
    expect(alice.page.get_by_text("Something expires")).to_have_count(0)

    world.stop_relay()
    for name in ("LD_PRELOAD", "CLOCK_OFF"):
        del world.relay_environment[name]
    world.start()
    alice.context.clock.set_system_time(datetime.datetime.now(datetime.UTC))
    alice.sign_in()
    page = alice.open("/people")
    expect(page.get_by_text("The roster: without a new one nothing can be released")).to_be_visible()
    alice.axe()
    page.get_by_role("button", name="Renew", exact=True).click()
    expect(page.get_by_text("Renewed: the roster holds until")).to_be_visible()
    expect(alice.open("/people").get_by_role("list", name="People")).to_be_visible()
    expect(page.get_by_text("Something expires")).to_have_count(0)
    client(console, alice, "db-1", "prod/**")  # what is signed under it verifies on another machine
