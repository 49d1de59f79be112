"""The log in the browser: read, filtered, exported, verified; and found out when somebody changes it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.browser import Console, Tab
from tests.world import PATIENCE, Party


@pytest.fixture
def town(console: Console) -> tuple[Party, Tab]:
    """alice at the command line, bob in a browser, one secret released to a host and one denied."""
    alice = console.create()
    bob = console.page("bob", "approver", "sealer", "auditor")
    host = console.host()
    for path in ("prod/db", "prod/web/key"):
        alice.ok("seal", path, stdin=b"x")
    asking = host.spawn("read", "sv://prod/db")
    alice.ok("approve", "--next", "--wait", "30", "--yes")
    assert asking.wait(PATIENCE) == 0
    asking = host.spawn("read", "sv://prod/web/key")
    alice.ok("deny", waiting(alice))
    assert asking.wait(PATIENCE) == 10
    return alice, bob


def waiting(alice: Party) -> str:
    """The id of the card that waits."""
    for _ in range(200):
        cards = json.loads(alice.ok("--format", "json", "inbox").out)
        found = cards["cards"] if isinstance(cards, dict) else cards
        if found:
            return str(found[0]["id"])
    raise AssertionError("no card came")


def rows(page: Page) -> Any:
    return page.get_by_role("list", name="Rows, the newest first").get_by_role("listitem")


def verify(page: Page) -> None:
    page.get_by_role("button", name="Verify all of it").click()


def test_rows_read_as_sentences_and_are_filtered(town: tuple[Party, Tab]) -> None:
    alice, bob = town
    page = bob.open("/audit")
    expect(page.get_by_text("alice approved prod/db: released, lease 15m")).to_be_visible()
    expect(page.get_by_text("alice denied prod/web/key")).to_be_visible()
    expect(page.get_by_text("host/db-1 on db-1 requested prod/db uid=")).to_be_visible()
    # The same sentences as on the command line.
    said = [line.split(" ", 1)[1] for line in alice.ok("audit", "tail", "-n", "1000").text.splitlines()]
    expect(rows(page)).to_have_count(len(said))
    assert rows(page).locator(".audit-sentence").all_inner_texts() == said[::-1]
    bob.axe()
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Kind").select_option("sealed")
    expect(rows(page)).to_have_count(2)
    page.get_by_label("Secret", exact=True).fill("web")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Kind").select_option("")
    page.get_by_label("Host").fill("db-1")
    expect(rows(page).filter(has_text="requested")).to_have_count(1)
    page.get_by_label("Actor").fill("nobody")
    expect(page.get_by_role("heading", name="No rows")).to_be_visible()
    bob.axe()
    page.get_by_role("button", name="Clear the filter").click()
    page.get_by_label("Until").fill("2020-01-01T00:00")
    expect(page.get_by_role("heading", name="No rows")).to_be_visible()
    page.get_by_label("Until").fill("")
    page.get_by_label("From").fill("2020-01-01T00:00")
    expect(rows(page)).to_have_count(len(said))
    # A new row comes by itself; one row shows all that stands in it.
    alice.ok("seal", "prod/late", stdin=b"x")
    expect(page.get_by_text("alice sealed prod/late version 1.0")).to_be_visible()
    page.get_by_role("link", name="alice denied prod/web/key").click()
    expect(page.get_by_role("heading", level=1, name="Row ")).to_be_visible()
    expect(page.locator("pre")).to_contain_text('"kind":"denied"')
    bob.axe()


# B7
def test_the_log_verifies_here_and_one_changed_row_is_named(town: tuple[Party, Tab]) -> None:
    _, bob = town
    page = bob.open("/audit")
    verify(page)
    expect(page.get_by_text("The log verifies: ")).to_be_visible()
    bob.axe()

    at = 3
    real = whole_log(page)
    edits: dict[str, Callable[[list[str]], Any]] = {
        "row 3": lambda leaves: leaves.__setitem__(at, leaves[at].replace('"time":1', '"time":2')),
        "row 5": lambda leaves: leaves.__setitem__(slice(5, 7), leaves[5:7][::-1]),
        "row 7": lambda leaves: leaves.__setitem__(7, "{}"),
        "row": lambda leaves: leaves.pop(at),
    }
    for where, edit in edits.items():
        leaves = list(real["leaves"])
        edit(leaves)
        serve(page, {**real, "leaves": leaves})
        verify(page)
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text(f"The log does not verify: {where}")
        expect(alert).to_contain_text("log-leaf" if where in ("row 7", "row") else "log-root")
        expect(page.get_by_text("The log verifies: ")).not_to_be_visible()
    bob.axe()
    # Another log key.
    serve(page, {**real, "checkpoint": f"{real['checkpoint'].partition('— ')[0]}— x AAAA\n"})
    verify(page)
    expect(page.get_by_role("alert")).to_contain_text("log-signature")
    page.unroute("**/v1/audit?*")
    verify(page)
    expect(page.get_by_text("The log verifies: ")).to_be_visible()


def whole_log(page: Page) -> Any:
    return page.evaluate("fetch('/v1/audit?after=0&limit=1000').then(answer => answer.json())")


def serve(page: Page, log: Any) -> None:
    """From now on the relay seems to have this log."""

    def answer(route: Route) -> None:
        asked = parse_qs(urlsplit(route.request.url).query)
        after, limit = int(asked["after"][0]), int(asked["limit"][0])
        route.fulfill(json={**log, "first": after, "leaves": log["leaves"][after : after + limit]})

    page.unroute("**/v1/audit?*")
    page.route("**/v1/audit?*", answer)


# A14, B8
def test_a_log_that_went_back_is_refused(console: Console, town: tuple[Party, Tab]) -> None:
    alice, bob = town
    page = bob.open("/audit")
    before = whole_log(page)
    alice.ok("seal", "prod/more", stdin=b"x")
    verify(page)
    expect(page.get_by_text("The log verifies: ")).to_be_visible()

    serve(page, before)
    verify(page)
    expect(page.get_by_role("alert")).to_contain_text("The log is shorter than this browser has seen it.")
    expect(page.get_by_role("alert")).to_contain_text("log-rollback")


def test_exports_verify_on_the_command_line_and_execute_in_no_spreadsheet(town: tuple[Party, Tab], tmp_path: Path) -> None:
    alice, bob = town
    page = bob.open("/audit")
    expect(rows(page).first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export all as JSON Lines").click()
    whole = tmp_path / download.value.suggested_filename
    download.value.save_as(whole)
    assert alice.json("audit", "verify", "--file", str(whole))["verified"]
    lines = whole.read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines[:-1]] == list(range(len(lines) - 1))  # X8
    whole.write_text(whole.read_text().replace('"prod/db"', '"prod/dc"', 1))
    assert "log-root" in alice.fails(15, "audit", "verify", "--file", str(whole))

    # X7: what a caller could put into a row.
    log = whole_log(page)
    leaves = [json.loads(one) for one in log["leaves"]]
    for leaf, text in zip(leaves, ("=1+1", "+1", "-1", "@SUM(A1)", 'a;=cmd|" /C calc"!A0', "＝1"), strict=False):
        leaf["detail"]["exe"] = text
    served = [json.dumps(leaf, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for leaf in leaves]
    serve(page, {**log, "leaves": served})
    page.reload()
    expect(rows(page).first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export what is shown as CSV").click()
    table = tmp_path / "audit.csv"
    download.value.save_as(table)
    read = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert len(read) == len(lines) - 1
    cells = [cell for row in read for cell in row.values()]
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r＝＋－＠")]
    pieces = [piece for cell in cells for separator in ";,|" for piece in cell.split(separator)]
    assert not [piece for piece in pieces if piece.strip().startswith(("=", "+", "@"))]
    assert read[0]["exe"] == "'=1+1"
    assert read[0]["time"].endswith("Z")
