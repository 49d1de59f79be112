"""A person's own notification targets in the browser: added, tested, removed; what arrives names nothing. A26."""

from __future__ import annotations

import contextlib
import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.console.browser import Console, Tab, opened
from tests.console.cards import approve
from tests.relay.listeners import Listener, closed_port, listening, until

NAMES = ("prod/", "db-1", "bob", "alice", "Example", "chrome")
PUSH = """
Object.defineProperty(navigator.serviceWorker, "ready",
    {get: () => Promise.resolve({pushManager: {subscribe: window.subscribing}})});
window.point = null;
crypto.subtle.generateKey({name: "ECDH", namedCurve: "P-256"}, true, ["deriveBits"])
    .then((pair) => crypto.subtle.exportKey("raw", pair.publicKey))
    .then((raw) => { window.point = new Uint8Array(raw); });
"""


@contextlib.contextmanager
def town(console: Console, *entries: str) -> Iterator[Tab]:
    """bob in a browser; the operator allows these hosts."""
    console.create()
    console.world.stop_relay()
    console.world.relay_environment["STILLVAULT_RELAY_NOTIFY_EGRESS"] = ",".join(entries)
    console.world.relay_environment["STILLVAULT_RELAY_NOTIFY_TIMEOUT_SECONDS"] = "5"
    console.world.relay_environment["STILLVAULT_RELAY_NOTIFY_RETRY_SECONDS"] = "1"
    console.world.relay_environment["STILLVAULT_RELAY_NOTIFY_TRIES"] = "2"
    console.world.start()
    bob = console.page("bob", "approver")
    bob.open("/notifications")
    yield bob


def add(page: Page, kind: str, **fields: str) -> None:
    page.get_by_label("Kind").select_option(kind)
    for label, text in fields.items():
        page.get_by_label(label.replace("_", " ")).fill(text)
    page.get_by_role("button", name="Add", exact=True).click()


@dataclass
class Pair:
    """A town in which one server takes messages and the other is dead."""

    console: Console
    bob: Tab
    listener: Listener
    dead: int


@pytest.fixture(scope="module")
def built(playwright: Playwright) -> Iterator[Pair]:
    with closed_port() as dead, listening() as listener, opened(playwright) as console:
        port = dead.getsockname()[1]
        with town(console, f"http://127.0.0.1:{listener.port}", f"http://127.0.0.1:{port}") as bob:
            yield Pair(console, bob, listener, port)


@pytest.fixture
def pair(built: Pair) -> Pair:
    """Without targets, and nothing arrived yet."""
    page = built.bob.open("/notifications")
    expect(page.get_by_label("Kind")).to_be_visible()
    for one in page.get_by_role("button", name=re.compile("^Remove ")).all()[::-1]:
        one.click()
        expect(one).to_have_count(0)
    expect(page.get_by_text("No targets.")).to_be_visible()
    built.listener.arrived.clear()
    return built


def test_one_post_without_names_and_a_dead_listener_is_said(pair: Pair) -> None:
    bob, listener, dead = pair.bob, pair.listener, pair.dead
    page = bob.page
    bob.axe()
    add(page, "ntfy", Server=f"http://127.0.0.1:{listener.port}", Topic="waiting")
    rows = page.get_by_role("list", name="Your targets").get_by_role("listitem")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(f"http://127.0.0.1:{listener.port}/waiting")
    page.get_by_role("button", name="Send a test to ntfy").click()
    expect(page.get_by_text("Test of ntfy: sent")).to_be_visible()
    assert len(listener.arrived) == 1
    one = listener.arrived[0]
    assert (one.path, one.body) == ("/waiting", b"This is a test.")
    assert [name for name in NAMES if name in one.all] == []
    bob.axe()

    # A webhook's key is made here, shown once, and signs.
    add(page, "webhook", Address_that_takes_the_message=f"http://127.0.0.1:{listener.port}/hook")
    key = page.get_by_role("dialog").locator("pre").inner_text()
    assert len(key) == 43
    bob.axe()
    page.get_by_role("button", name="I have it").click()
    expect(page.locator("dialog pre")).to_have_count(0)  # gone from the document, not only from sight
    assert key not in page.content()
    page.get_by_role("button", name="Send a test to webhook").click()
    expect(page.get_by_text("Test of webhook: sent")).to_be_visible()
    check_signed(listener, key)

    # Nobody listens: it is said, everything else goes on, and the log has it.
    add(page, "gotify", Server=f"http://127.0.0.1:{dead}", Token_of_the_application="Axyz")
    page.get_by_role("button", name="Send a test to gotify").click()
    expect(page.get_by_text("Test of gotify: not sent: nobody answers there")).to_be_visible()
    page.get_by_role("button", name="Remove gotify").click()
    expect(rows).to_have_count(2)
    page.goto(pair.console.world.url + "/audit")
    for line in ("target tested: gotify: connect", "target tested: ntfy: sent", "target removed: gotify"):
        expect(page.get_by_text(line)).to_be_visible()
    assert len(listener.arrived) == 2


def check_signed(listener: Listener, key: str) -> None:
    one = listener.arrived[-1]
    assert one.path == "/hook"
    assert json.loads(one.body)["event"] == "test"
    tag = hmac.digest(key.encode(), one.headers["stillvault-timestamp"].encode() + b"." + one.body, "sha256").hex()
    assert one.headers["stillvault-signature"] == f"v1={tag}"
    assert [name for name in NAMES if name in one.all] == []


def test_a_release_that_waits_is_one_post_and_its_link_opens_the_card_whoever_else_is_dead(pair: Pair) -> None:
    page, alice = pair.bob.page, pair.console.world.parties["alice"]
    add(page, "ntfy", Server=f"http://127.0.0.1:{pair.listener.port}", Topic="waiting")
    add(page, "gotify", Server=f"http://127.0.0.1:{pair.dead}", Token_of_the_application="Axyz")
    expect(page.get_by_role("list", name="Your targets").get_by_role("listitem")).to_have_count(2)
    host = pair.console.host()
    alice.ok("seal", "prod/db", stdin=b"value")
    asking = host.spawn("read", "-n", "sv://prod/db")
    until(lambda: pair.listener.arrived)
    (one,) = pair.listener.arrived
    assert (one.path, one.body) == ("/waiting", b"1 release is waiting")
    assert [name for name in NAMES if name in one.all] == []
    page.goto(one.headers["click"])
    expect(page.get_by_role("heading", name="prod/db")).to_be_visible()
    approve(page)
    assert asking.communicate(timeout=60)[0] == b"value"
    rows = until(lambda: (text := alice.ok("audit", "tail").text) and "failed: connect" in text and text)
    assert "prompted bob ntfy (ntfy)" in rows
    assert "prompted bob gotify (gotify)" in rows
    assert len(pair.listener.arrived) == 1


def test_what_the_operator_does_not_allow_is_refused_in_words(console: Console) -> None:
    with town(console, "ntfy.corp.internal") as bob:
        page = bob.page
        expect(page.get_by_text("Allowed by the operator: ntfy.corp.internal")).to_be_visible()
        add(page, "ntfy", Server="https://ntfy.sh", Topic="waiting")
        expect(page.get_by_role("alert")).to_contain_text("egress")
        expect(page.get_by_text("No targets.")).to_be_visible()
        page.get_by_label("Topic").fill("a b")
        page.get_by_label("Server").fill("https://ntfy.corp.internal")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("1 to 64 of A-Z a-z 0-9 _ -")
        bob.axe()


def test_without_hosts_the_page_says_so_and_still_tells_the_truth_about_phones(console: Console) -> None:
    console.create()
    bob = console.page("bob", "approver", phone=True)
    page = bob.open("/notifications")
    expect(page.get_by_text("The operator allowed no host yet")).to_be_visible()
    expect(page.get_by_role("button", name="Subscribe this browser")).not_to_be_visible()
    expect(page.get_by_role("row", name="ntfy on your own server")).to_contain_text("not air-gapped")
    expect(page.get_by_text("an iPhone is not woken by anything that Apple does not carry")).to_be_visible()
    bob.axe()
    # This browser: on the tap and at no other time.
    bob.context.grant_permissions(["notifications"])
    page.reload()
    expect(page.get_by_text("Off in this browser.")).to_be_visible()
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("On in this browser.")).to_be_visible()
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_text("Off in this browser.")).to_be_visible()


@pytest.mark.parametrize("answers", [True, False], ids=["a push host answers", "no network: it never settles"])
def test_web_push(console: Console, answers: bool) -> None:
    with town(console, "push.corp.internal") as bob:
        page = bob.page
        settles = """async (options) => ({
            endpoint: "https://push.corp.internal/send/abc",
            getKey: (part) => (part === "auth" ? new Uint8Array(16) : window.point).buffer,
            unsubscribe: async () => true,
            options,
        })"""
        page.add_init_script(f"window.subscribing = {settles if answers else '() => new Promise(() => {})'};{PUSH}")
        page.clock.install()
        page.reload()
        page.wait_for_function("window.point")
        page.get_by_role("button", name="Subscribe this browser").click()
        if answers:
            rows = page.get_by_role("list", name="Your targets").get_by_role("listitem")
            expect(rows).to_contain_text("https://push.corp.internal")
        else:
            page.clock.fast_forward(15_000)
            expect(page.get_by_text("The browser's push service did not answer.")).to_be_visible()
            expect(page.get_by_role("button", name="Subscribe this browser")).to_have_attribute("aria-disabled", "false")
