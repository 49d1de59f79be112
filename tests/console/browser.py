"""Real browsers before a real relay: Chromium over TLS, the relay's CA in the browser's own store, a real host name, and a
virtual authenticator with PRF for each person.

    console.create()                                  # the organisation, by the command line: alice is its administrator
    bob = console.page("bob", "approver")             # a signed-in page: invited, joined and confirmed by five words
    alice = console.found()                           # instead of `create`: first start in the browser
    host = console.host()                             # a machine with a daemon, and a policy for prod/**
    asking = host.spawn("read", "sv://prod/db")       # it waits for a person

Each `Tab` is a context of its own: its own storage, its own authenticator. Nothing sleeps: `expect` waits for what must come. At
the end of a test every tab is asked for errors, refused content policies and failed scripts: there must be none (`tab.expected`
names what a test provokes).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Playwright, Request, expect

from tests.world import Party, World, free_port, read_line

ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
NAME = "vault.corp.internal"
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.corp.internal 127.0.0.1"]
AUTHENTICATOR = {
    "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True, "hasPrf": True, "defaultBackupEligibility": True,
    "defaultBackupState": True,
}
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}  # all that a theme can change
TARGET = 44  # CSS pixels of everything that a finger aims at, in both directions
# What is smaller: its own box, that of its label, or what its ::after adds. A link in a sentence is as tall as its line.
SMALL = """(least) => {
  const found = [];
  for (const one of document.querySelectorAll('a[href], button, input, select, textarea, summary')) {
    if (!one.checkVisibility({visibilityProperty: true}) || one.closest('.skip')) continue;
    if (one.matches('a') && getComputedStyle(one).display === 'inline') continue;
    const box = (one.closest('label') ?? one).getBoundingClientRect();
    const more = getComputedStyle(one, '::after');
    const grown = more.position === 'absolute' && more.content !== 'none';
    const [wide, tall] = grown
      ? [box.width - parseFloat(more.left) - parseFloat(more.right), box.height - parseFloat(more.top) - parseFloat(more.bottom)]
      : [box.width, box.height];
    if (Math.min(wide, tall) < least - 0.01) found.push(`${wide} x ${tall}: ${one.outerHTML.slice(0, 160)}`);
  }
  return found;
}"""
PATIENCE = 30_000  # milliseconds until `expect` gives up; never a measure of speed
expect.set_options(timeout=PATIENCE)


class Tab:
    """One page in a context and with an authenticator of its own."""

    def __init__(self, console: Console, context: BrowserContext, options: dict[str, Any]) -> None:
        self.console = console
        self.context = context
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.problems: list[str] = []
        self.expected: list[str] = []  # patterns of problems that the test provokes
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("console", self._said)
        context.on("request", self._asked)
        self.cdp: CDPSession = context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        self.authenticator = self._add(options)

    def _said(self, message: Any) -> None:
        # A status that is not 2xx is said on the console by the browser itself; what the page makes of it is tested elsewhere.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        # Pages fetch nothing from elsewhere, on no screen of any test.
        if urlsplit(request.url).scheme in ("http", "https", "ws", "wss") and urlsplit(request.url).hostname != NAME:
            self.problems.append(f"fetched from elsewhere: {request.url}")

    def _add(self, options: dict[str, Any]) -> str:
        made = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {**AUTHENTICATOR, **options}})
        return str(made["authenticatorId"])

    def replace_authenticator(self, **options: Any) -> None:
        """Another authenticator in place of this one, without credentials."""
        self.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.authenticator})
        self.authenticator = self._add(options)

    def verify(self, works: bool) -> None:
        """Whether user verification succeeds from now on. A refusal uses up the retries: give it an authenticator of its own."""
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": works})

    def presence(self, works: bool) -> None:
        """Whether somebody touches it from now on. Without, a ceremony hangs until it is cancelled."""
        self.cdp.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": self.authenticator, "enabled": works})

    def credentials(self) -> list[dict[str, Any]]:
        found = self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})
        return list(found["credentials"])

    def open(self, path: str) -> Page:
        """Goes to a path of the console, or to a whole URL."""
        self.page.goto(path if path.startswith("https://") else self.console.world.url + path)
        return self.page

    def sign_in(self, path: str = "/signin") -> Page:
        page = self.open(path)
        page.get_by_role("button", name="Sign in with a passkey").click()
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        return page

    def axe(self, *, without: tuple[str, ...] = ()) -> None:
        """No violation of WCAG 2.2 AA, in the light and in the dark theme, and nothing too small for a finger."""
        self.page.evaluate(AXE.read_text() + "; undefined")
        rules = {name: {"enabled": False} for name in without}
        for scheme, wanted in (("light", WCAG), ("dark", COLOURS)):
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found = self.page.evaluate("options => axe.run(document, options)", {**wanted, "rules": rules})
            shown = [f"{one['id']} ({scheme}): {one['help']}: {[node['html'][:160] for node in one['nodes']]}"
                     for one in found["violations"]]
            assert not shown, "\n".join(shown)
        small = self.page.evaluate(SMALL, TARGET)
        assert not small, "\n".join(small)
        self.page.emulate_media(color_scheme="light")

    def check(self) -> None:
        """Nothing went wrong that the test did not provoke."""
        rest = [one for one in self.problems if not any(re.search(pattern, one) for pattern in self.expected)]
        assert not rest, "\n".join(rest)


@dataclass
class Console:
    """A relay with the console, its browsers and its command lines."""

    world: World
    browser: Browser
    tabs: list[Tab] = field(default_factory=list)
    people: dict[str, Tab] = field(default_factory=dict)
    paper: str = ""  # the root key as the sheet of `found` shows it

    # ---- browsers ----------------------------------------------------------------------------------------------------------

    def tab(self, *, phone: bool = False, scheme: str = "light", context: dict[str, Any] | None = None,
            **authenticator: Any) -> Tab:
        """A fresh browser context that knows nothing. `authenticator`: options of the virtual authenticator."""
        made = self.browser.new_context(**{  # type: ignore[arg-type]
            "viewport": PHONE if phone else DESK, "color_scheme": scheme, "locale": "en-GB", "has_touch": phone,
            "permissions": ["clipboard-read", "clipboard-write"], **(context or {})})
        tab = Tab(self, made, authenticator)
        self.tabs.append(tab)
        return tab

    def page(self, person: str, *roles: str, phone: bool = False, tab: Tab | None = None) -> Tab:
        """A tab in which this person is signed in; they join by the browser the first time. alice is the command line's."""
        if person in self.people and tab is None:
            return self.people[person]
        tab = tab or self.tab(phone=phone)
        self.join(tab, person, *(roles or ("approver",)))
        tab.page.get_by_role("button", name="Sign in").click()
        expect(tab.page.get_by_role("navigation", name="Main")).to_be_visible()
        self.people[person] = tab
        return tab

    def join(self, tab: Tab, person: str, *roles: str, admin: str = "alice") -> None:
        """Invites on the command line, joins in the tab, confirms on the command line by the words that the tab shows."""
        party = self.world.parties[admin]
        given = [part for role in roles for part in ("--role", role)]
        url = party.ok("person", "invite", person, *given).text.strip()
        page = tab.open(url)
        page.get_by_role("button", name="Make the passkey and join").click()
        party.ok("confirm", person, "--words", self.words(page))
        expect(page.get_by_text("You are in Example")).to_be_visible()

    @staticmethod
    def words(page: Page) -> str:
        """The five words on the joiner's screen that whoever invited types."""
        listed = page.locator(".words").first.locator("li")
        expect(listed).to_have_count(5)
        return " ".join(listed.all_inner_texts()).strip()

    def setup_url(self) -> str:
        return self.world.relay_command("setup-url").splitlines()[-1]

    def found(self, person: str = "alice", tab: Tab | None = None) -> Tab:
        """First start in the browser, through the recovery kit; the founder is signed in at its end."""
        tab = tab or self.tab()
        page = tab.open(self.setup_url())
        page.get_by_role("button", name="Go on").click()
        page.get_by_label("Name of the organisation").fill("Example")
        page.get_by_label("Your name in it").fill(person)
        page.get_by_label("A name for this passkey").fill("Test key")
        page.get_by_role("button", name="Make the passkey").click()
        kit = self.kit(page)
        self.paper = " ".join(kit["Root key"])
        page.get_by_role("button", name="I have it on paper").click()
        self.answer(page, kit)
        page.get_by_role("button", name="Sign and create the organisation").click()
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        self.people[person] = tab
        return tab

    @staticmethod
    def kit(page: Page) -> dict[str, list[str]]:
        """The groups of each key on the kit's sheets, by its label."""
        expect(page.get_by_text("Stillvault recovery kit").first).to_be_visible()
        rows = page.locator(".kit .facts > div")
        return {row.locator("dt").inner_text(): row.locator(".groups li").all_inner_texts() for row in rows.all()}

    @staticmethod
    def answer(page: Page, kit: dict[str, list[str]]) -> None:
        """Types back the groups that are asked for."""
        for one in page.locator(".form .field").all():
            asked = one.locator("label").inner_text()
            key, _, number = asked.rpartition(": group ")
            one.locator("input").fill(kit[key][int(number) - 1])
        page.get_by_role("button", name="Compare and go on").click()

    # ---- command lines -----------------------------------------------------------------------------------------------------

    def create(self, person: str = "alice") -> Party:
        """The organisation, by the command line."""
        return self.world.create(person)

    def host(self, subject: str = "host/db-1", *, people: str = "alice,bob", policy: tuple[str, ...] = ()) -> Party:
        """A host in whose name requests come, its daemon started, and a policy for prod/** by these people."""
        alice = self.world.parties["alice"]
        alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", people, *policy)
        party = self.world.client(subject)
        party.start_daemon()
        return party


class CorpWorld(World):
    """The processes of tests/world.py under a real host name."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.port = free_port()
        self.url = f"https://{NAME}:{self.port}"
        self.resolver = root / "resolve.so"
        source = Path(__file__).with_name("resolve.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(self.resolver), str(source), "-ldl"], check=True)

    def party(self, name: str) -> Party:
        made = super().party(name)
        made.extra["LD_PRELOAD"] = str(self.resolver)
        return made


@contextmanager
def opened(playwright: Playwright, **environment: str) -> Iterator[Console]:
    """A relay that serves the console, without an organisation, and a browser; each tab is asked for problems at the end."""
    root = Path(tempfile.mkdtemp(prefix="sv-"))  # short: a socket's path has 107 bytes
    world = CorpWorld(root)
    world.relay_environment |= environment
    browser = None
    try:
        world.start()
        browser = launch(playwright, world, root / "browser")
        made = Console(world, browser)
        yield made
        for tab in made.tabs:
            tab.check()
    finally:
        if browser:
            browser.close()
        world.stop()
        shutil.rmtree(root, ignore_errors=True)


def launch(playwright: Playwright, world: World, home: Path) -> Browser:
    """Chromium whose store of authorities holds this relay's and no other of ours."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for arguments in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "relay", "-i", str(world.data / "tls" / "ca.pem")]):
        subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True, capture_output=True)
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, env={**os.environ, "HOME": str(home)})


def event_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The next line of a command that prints JSON events."""
    return json.loads(read_line(process))  # type: ignore[no-any-return]
