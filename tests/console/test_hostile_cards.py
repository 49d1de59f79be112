"""What a hostile relay, a hostile caller or an unlucky finger can do to a card: nothing that is approved unseen."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Playwright, expect

from tests.console.browser import Tab, opened
from tests.console.cards import Town, approve, build, deny, gone, open_card, refused, released, rogue
from tests.world import STILLVAULT

PROMPTS = "**/v1/prompts"
SMALL = {"width": 360, "height": 640}
Card = dict[str, Any]

# A hostile relay, inside the page: what `GET /v1/prompts` answers, changed before the console sees it.
RELAY = """(() => {
  const honest = window.fetch.bind(window);
  const rewrite = (signed, change) => {
    const text = atob(signed.payload.replaceAll('-', '+').replaceAll('_', '/'));
    const payload = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (one) => one.charCodeAt(0))));
    change(payload);
    const bytes = new TextEncoder().encode(JSON.stringify(payload));
    const coded = btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    signed.payload = coded;
  };
  const attacks = {
    'other key': (one) => rewrite(one.request, (said) => {
      said.ephemeral = said.ephemeral.slice(0, 20) + 'AAAA' + said.ephemeral.slice(24);
    }),
    'other program': (one) => rewrite(one.request, (said) => { said.observed.exe = '/usr/bin/trusted'; }),
    'other host': (one) => rewrite(one.cert, (said) => { said.host = 'trusted'; }),
    'other secret': (one) => rewrite(one.secret, (said) => { said.core.path = 'prod/other'; }),
    'sibling field': (one) => { one.request.signed_payload = one.request.payload; },
    'no signature': (one) => { one.request.signatures = []; },
    'replay': (one, body) => {
      const kept = JSON.parse(sessionStorage.getItem('kept') ?? 'null') ?? (body.prompts.length ? body.prompts : null);
      if (kept) { sessionStorage.setItem('kept', JSON.stringify(kept)); body.prompts = kept; }
    },
  };
  window.fetch = async (path, options) => {
    const answer = await honest(path, options);
    const attack = attacks[sessionStorage.getItem('attack')];
    if (!attack || path !== '/v1/prompts') return answer;
    const body = await answer.json();
    if (sessionStorage.getItem('attack') === 'replay') attack(undefined, body);
    else body.prompts.forEach((one) => attack(one, body));
    return new Response(JSON.stringify(body), {status: 200, headers: {'content-type': 'application/json'}});
  };
})()"""


@pytest.fixture(scope="module")
def built(playwright: Playwright) -> Iterator[Town]:
    with opened(playwright) as console:
        town = build(console)
        town.bob.page.add_init_script(RELAY)
        yield town


@pytest.fixture
def town(built: Town) -> Town:
    built.bob.page.evaluate("sessionStorage.clear()")
    built.begin()
    return built


def attack(town: Town, name: str) -> None:
    """From now on the relay does this to bob, and to him alone."""
    town.bob.page.evaluate("name => sessionStorage.setItem('attack', name)", name)


# ---- the relay -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "code"), [
    ("other key", "signature"),  # A3
    ("other program", "signature"),  # A9
    ("other host", "cert"),  # A9
    ("other secret", "signature"),  # A4
    ("sibling field", "field"),  # A10
    ("no signature", "signatures?"),
])
def test_a_prompt_that_does_not_verify_cannot_be_approved(town: Town, name: str, code: str) -> None:
    attack(town, name)
    asking = town.ask()
    notice = town.bob.page.get_by_role("alert").filter(has_text="A prompt cannot be verified")
    expect(notice).to_contain_text(re.compile(f"Code: {code}"))
    expect(town.bob.page.get_by_role("list", name="Waiting cards")).to_have_count(0)
    gone(town.bob.page)
    assert asking.poll() is None
    # Another browser, to which the relay is honest, goes on.
    approve(open_card(town.carol))
    released(asking)


def test_an_answered_prompt_that_is_sent_again_is_not_shown_again(town: Town) -> None:  # A7
    attack(town, "replay")
    page = town.bob.page
    asking = town.ask()
    approve(open_card(town.bob))
    released(asking)
    for _ in range(3):
        town.bob.open("/")
        expect(page.get_by_text("Nothing waits for you")).to_be_visible()
        assert page.evaluate("JSON.parse(sessionStorage.getItem('kept')).length") == 1


def test_a_log_that_does_not_fit_stops_approving(town: Town) -> None:  # A14
    page = town.bob.page
    note = "other/log\n1\nAAAA\n\n— other/log AAAA\n"
    page.route("**/v1/log/checkpoint", lambda route: route.fulfill(json={"checkpoint": note}))
    asking = town.ask()
    open_card(town.bob)
    expect(page.get_by_role("alert").filter(has_text="different histories")).to_contain_text("log-signature")
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_attribute("aria-disabled", "true")
    deny(page)  # saying no always works
    refused(asking, 10)


# ---- the caller ------------------------------------------------------------------------------------------------------------

NASTY = ["<img src=x onerror=alert(1)>", "</p><script>alert(2)</script>", "__proto__", "constructor", "{{7*7}}",
         "javascript:alert(3)", "Approved by CISO, host: ci-1", "\\u{202e}txt.exe", "\\u{1b}[2J\\u{1b}]0;x\\u{7}"]


TAGS = ["img src=x", "svg", "iframe src=javascript:alert(1)", "body", "input autofocus", "video src=x", "details open",
        "a href=javascript:alert(1)", "object data=javascript:alert(1)", "math"]
EVENTS = ["onerror", "onload", "onfocus", "onclick", "ontoggle", "onmouseover", "onbegin", "onanimationend", "onwheel", "oncut"]
PAYLOADS = [f"{start}<{tag} {event}=alert(1)>" for tag in TAGS for event in EVENTS for start in ("", "\"'></textarea></script>")]


def test_hostile_words_are_plain_text_and_stay_in_their_place(town: Town) -> None:  # X1, X2, X3, X5, X10
    page = town.bob.page
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    reason = " ".join(NASTY)
    with rogue(town, "host/words") as ask:
        ask([{"path": "prod/db", "observed": {"exe": "/tmp/" + NASTY[0], "user": NASTY[1], "unit": NASTY[2]},
              "claimed": {"reason": reason, "argv": NASTY + PAYLOADS}}])
        open_card(town.bob)
        facts, claim = page.locator(".prompt > .evidence"), page.get_by_role("group", name="The caller says")
        assert facts.first.inner_text().replace("\n", "").count(NASTY[0]) == 1
        assert NASTY[1] in facts.first.inner_text().replace("\n", "")
        expect(claim.locator("bdi").first).to_have_text(reason)
        claim.get_by_role("button", name="Show all").last.click()
        assert claim.locator("bdi.word").all_text_contents() == NASTY + PAYLOADS
        assert len(PAYLOADS) == 200
        assert "CISO" not in page.locator(".prompt").inner_text().partition("The caller says")[0]
        assert page.locator(".prompt > *").last.get_attribute("class") == "claim"  # after all facts
        assert page.evaluate("({}).polluted === undefined && Object.keys(Object.prototype).length === 0")
        town.bob.axe()
    expect(page.locator(".notice").filter(has_text="Withdrawn")).to_be_visible()


def test_hostile_names_are_plain_text_on_the_other_screens_too(town: Town) -> None:  # X1, X2, X10
    page, label = town.bob.page, "<img src=x onerror=alert(1)> __proto__"
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    url = town.alice.ok("person", "invite", "mallory", "--role", "auditor").text.strip()
    town.console.world.join(url, "mallory", town.alice, "mallory", "--no-passphrase", "--name", label)
    town.bob.open("/people/mallory")
    expect(page.get_by_role("heading", name=label)).to_be_visible()
    with rogue(town, "host/names") as ask:
        ask([{"path": "prod/db", "observed": {"exe": "/tmp/" + NASTY[0], "user": NASTY[1]}, "claimed": {"reason": NASTY[8]}}])
        town.bob.open("/audit")
        sentence = page.get_by_role("link", name="host/names on names requested prod/db").first
        expect(sentence).to_contain_text(f"exe=/tmp/{NASTY[0]}")
        sentence.click()
        expect(page.get_by_text(NASTY[1], exact=True)).to_be_visible()
        town.bob.open("/clients/host/names")
        expect(page.get_by_role("heading", name="host/names", exact=True)).to_be_visible()
    assert page.locator("img, script:not([src])").count() == 0
    assert page.evaluate("({}).polluted === undefined && Object.keys(Object.prototype).length === 0")
    town.alice.ok("person", "remove", "mallory")


def boxes(tab: Tab) -> dict[str, tuple[float, float]]:
    """Top and bottom of what must be in sight, and of the actions that cover the rest."""
    found: dict[str, tuple[float, float]] = tab.page.evaluate("""() => {
      const box = (one) => { const {top, bottom} = one.getBoundingClientRect(); return [top, bottom]; };
      const pieces = [...document.querySelectorAll('.prompt > .evidence:not(.small) > div')];
      return {secret: box(document.querySelector('.names')), actions: box(document.querySelector('.deciding')),
        ...Object.fromEntries(pieces.map((one) => [one.querySelector('dt').textContent, box(one)]))};
    }""")
    return found


DIGEST = base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
LONGEST: Card = {
    "path": "prod/" + "a-rather_long.name/" * 10 + "and-2",
    "observed": {"exe": "/" + "dir\\u{202e}ectory/" * 255 + "run", "user": "u" * 256, "unit": "x" * 256,
                 "chain": [{"exe": "/" + "y" * 4000, "exe_sha256": DIGEST}] * 8},
    "claimed": {"reason": "please " * 1200, "argv": ["x" * 5000, "", "y"]},
}


def test_the_four_facts_are_in_sight_whatever_their_length(town: Town) -> None:  # X4
    assert len(LONGEST["path"]) == 200
    assert len(LONGEST["observed"]["exe"]) > 4000
    page = town.carol.page
    page.set_viewport_size(SMALL)  # type: ignore[arg-type]
    try:
        town.seal(LONGEST["path"])
        for number, card in enumerate(([LONGEST], [{"path": "prod/db"}], [LONGEST, {**LONGEST, "path": "prod/db"}])):
            with rogue(town, f"host/{'long-' * 11}{number}") as ask:
                ask(card)
                open_card(town.carol, card[0]["path"])
                found = boxes(town.carol)
                for fact in ("secret", "Program", "Host", "Asked"):
                    top, bottom = found[fact]
                    assert top >= 0, fact
                    assert bottom <= found["actions"][0], (fact, found)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            town.carol.open("/")
    finally:
        page.set_viewport_size({"width": 390, "height": 844})


def test_what_is_folded_must_be_opened_before_approving(town: Town) -> None:  # X4
    page = town.bob.page
    with rogue(town, "host/folded") as ask:
        ask([{"path": "prod/db", "observed": {"exe": LONGEST["observed"]["exe"]}}])
        open_card(town.bob)
        approve(page)
        expect(page.get_by_text("Show the parts that are folded")).to_be_visible()
        expect(page.locator(".prompt")).to_be_visible()
        page.get_by_role("button", name="more characters").click()
        assert page.locator(".evidence .long").first.inner_text().replace("\n", "") == LONGEST["observed"]["exe"]
        approve(page)
        expect(page.get_by_text("Released.")).to_be_visible()


def test_a_program_that_changed_and_a_name_that_looks_alike(town: Town) -> None:  # X6
    page = town.bob.page
    shell = Path(shutil.which("dash") or "/bin/sh").resolve()
    program = town.console.world.root / "tool"
    shutil.copy(shell, program)

    def run(path: str) -> Any:
        return town.host.spawn("-c", f"{STILLVAULT} read -n sv://prod/{path}; exit $?", program=program)

    asking = run("db")
    approve(open_card(town.bob))
    released(asking)
    town.alice.ok("hold", "host/none", "--for", "1s")  # another roster: the card is verified anew
    with program.open("ab") as file:
        file.write(b"\0")
    town.seal("prod/db-primary")
    asking = run("db-primary")
    card = open_card(town.bob, "prod/db-primary").locator(".marks")
    expect(card).to_contain_text("has changed since you approved it last")
    expect(card.locator("mark")).to_have_text("-primary")
    town.bob.axe()
    deny(page)
    refused(asking, 10)


# ---- the finger ------------------------------------------------------------------------------------------------------------


def test_a_click_right_after_a_change_approves_nothing(town: Town) -> None:  # X11
    town.policy("two", "prod/two/**", "--threshold", "2")
    town.seal("prod/two/db")
    asking = town.ask("prod/two/db")
    page = open_card(town.bob, "prod/two/db")
    expect(page.locator(".deciding .button.accent.armed")).to_be_visible()
    decisions: list[str] = []
    page.on("request", lambda request: decisions.append(request.url) if "/v1/decisions" in request.url else None)
    # The click comes 100 ms after another person's word has changed the card.
    page.evaluate("""() => new MutationObserver((_, seen) => { seen.disconnect();
      setTimeout(() => { document.querySelector('.deciding .accent').click(); document.body.dataset.clicked = 'yes'; }, 100);
    }).observe(document.querySelector('.progress'), {subtree: true, childList: true, attributes: true, characterData: true})""")
    town.alice.ok("approve", "--next", "--wait", "10", "--yes")
    expect(page.locator("body[data-clicked]")).to_be_attached()
    expect(page.locator(".progress")).to_contain_text("1 of 2 people: alice")
    assert decisions == []
    assert asking.poll() is None
    approve(page)
    released(asking)


def test_the_list_keeps_its_order_under_a_finger(town: Town) -> None:  # X11
    town.seal("prod/api")
    first = town.ask("prod/db", "--reason", "first")
    page = town.bob.page
    lines = page.get_by_role("list", name="Waiting cards").get_by_role("listitem")
    expect(lines).to_have_count(1)
    page.mouse.move(300, 300)
    page.mouse.down()
    with page.expect_response(PROMPTS):
        second = town.ask("prod/api", "--reason", "second")
    expect(town.carol.page.get_by_role("list", name="Waiting cards")).to_contain_text("prod/api")
    assert lines.count() == 1  # held while the pointer is down
    page.mouse.up()
    expect(lines).to_have_count(2)
    expect(lines.nth(0)).to_contain_text("prod/db")
    expect(lines.nth(1)).to_contain_text("prod/api")
    deny(open_card(town.carol, "prod/db"))
    refused(first, 10)
    expect(lines.nth(0)).to_contain_text("Denied already")  # it stays where it was
    expect(lines.nth(1)).to_contain_text("prod/api")
    second.terminate()


def test_a_link_opens_a_card_and_does_nothing_else(town: Town) -> None:  # C18, D9
    asking = town.ask()
    page = open_card(town.carol)
    path = page.url.removeprefix(town.console.world.url)
    posts: list[str] = []
    town.bob.page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    town.bob.open(path + "?approve=1&verdict=approve")
    expect(town.bob.page.locator(".deciding .button.accent.armed")).to_be_visible()
    assert not any("decisions" in one for one in posts)
    assert town.bob.page.evaluate("!document.activeElement.closest('.deciding')")
    assert asking.poll() is None
    town.bob.open("/pending/000000000000")
    expect(town.bob.page.get_by_role("heading", name="Not waiting any more")).to_be_visible()
    town.bob.axe()
    deny(page)
    refused(asking, 10)


def test_a_notification_says_how_many_and_no_names(town: Town) -> None:  # A26, D9
    page = town.bob.page
    page.add_init_script("""(() => {
      if (sessionStorage.getItem('hidden')) Object.defineProperty(Document.prototype, 'visibilityState', {get: () => 'hidden'});
      window.told = [];
      window.Notification = class { constructor(title, options) { window.told.push([title, JSON.stringify(options)]);
          document.body.dataset.told = 'yes'; }
        close() {} static get permission() { return 'granted'; } };
      if (navigator.serviceWorker) navigator.serviceWorker.getRegistration = async () => undefined;
    })()""")
    page.evaluate("() => { localStorage.setItem('stillvault.notify', 'on'); sessionStorage.setItem('hidden', '1'); }")
    town.bob.open("/")
    expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    asking = town.ask()
    expect(page.locator("body[data-told]")).to_be_attached()
    ((title, options),) = page.evaluate("window.told")
    assert title == "1 release is waiting"
    # Where a tap leads to: the card, by its opaque number.
    shown = json.loads(options)
    assert re.fullmatch("/pending/[0-9a-f]{12}", shown.pop("data"))
    assert shown == {"tag": "stillvault", "body": ""}
    page.evaluate("() => { localStorage.removeItem('stillvault.notify'); sessionStorage.removeItem('hidden'); }")
    asking.terminate()


# ---- very many -------------------------------------------------------------------------------------------------------------


def test_five_hundred_cards_are_ten_and_a_number(town: Town) -> None:  # C19
    page = town.bob.page
    with rogue(town, "host/many") as ask:
        ask(*[[{"path": "prod/db", "observed": {"uid": 2000 + n}}] for n in range(500)])
        expect(page.get_by_role("list", name="Waiting cards").get_by_role("listitem")).to_have_count(10)
        expect(page.get_by_text("490 more cards are held back")).to_be_visible()
        town.bob.axe()
        # An honest host's card comes up when there is room: what is denied gives way to the next ones, up to the hour's limit.
        page.reload()
        expect(page.get_by_text("490 more cards are held back")).to_be_visible()
