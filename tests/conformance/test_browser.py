"""The console's protocol in a real browser: its WebCrypto is another one than Node's, and it is the one that counts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, sync_playwright

from tests.conformance.console import NOT_IN_CONSOLE, SCRIPT
from tests.conformance.sides import Answer
from tests.conformance.vectors import Case, judge, read

VECTORS = Path(__file__).parents[1] / "vectors"
ORIGIN = "https://vectors.invalid"  # WebCrypto wants a secure context; nothing is looked up, every answer is a file
PAGE = '<!doctype html><script type="module">import {answer} from "/table.mjs"; window.answer = answer;</script>'
ASK = "async (lines) => { const found = []; for (const line of lines) found.push(await window.answer(line)); return found; }"


def serve(route: Route) -> None:
    name = route.request.url.removeprefix(f"{ORIGIN}/")
    if name:
        route.fulfill(path=SCRIPT.parent / name, content_type="text/javascript")
    else:
        route.fulfill(body=PAGE, content_type="text/html")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=as_root)
        page = browser.new_page()
        page.route("**/*", serve)
        page.goto(f"{ORIGIN}/")
        page.wait_for_function("window.answer")
        yield page
        browser.close()


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_the_browser_agrees_with_every_case_and_every_code(page: Page, path: Path) -> None:
    cases = [found for found in read(path) if isinstance(found, Case) and found.op not in NOT_IN_CONSOLE]
    answers = page.evaluate(ASK, [json.dumps({"op": case.op, "input": case.given}) for case in cases])
    assert len(answers) == len(cases)
    for case, found in zip(cases, answers, strict=True):
        answer = Answer(found["kind"], found.get("value"), found.get("code", ""))
        assert judge(case, answer) == "ok", f"{case.name} [{case.op}]: wanted {case.wanted}, got {answer}"
