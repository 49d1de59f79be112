"""Signing in, sessions and their end; what a relay, a thief of the profile and a refusing authenticator get."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Playwright, Route, expect

from tests.console.browser import ARGUMENTS, CHROMIUM, DESK, NAME, PATIENCE, ROOT, Console, Tab, opened

# What a page asked its authenticator for, written down before the browser sees it.
LISTEN = """
window.asked = [];
const plain = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value)
  ? [...new Uint8Array(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength)]
  : Array.isArray(value) ? value.map(plain)
  : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]))
  : value;
for (const name of ["create", "get"]) {
  const real = navigator.credentials[name].bind(navigator.credentials);
  navigator.credentials[name] = (options) => { window.asked.push([name, plain(options.publicKey)]); return real(options); };
}
"""


# A relay that answers with options of its own, wherever a careless page might take some.
TAMPER = """
const evil = {rpId: "corp.internal", rp_id: "corp.internal", userVerification: "discouraged", user_verification: "discouraged",
              salt: "AAAA", extensions: {prf: {eval: {first: "AAAA"}}}, challenge: "AAAA", allowCredentials: [], timeout: 1};
const real = window.fetch.bind(window);
window.fetch = async (path, options) => {
  const answer = await real(path, options);
  if (!answer.ok || !/environment|login|invite|session$|enrol/.test(String(path))) return answer;
  return Response.json({...evil, ...await answer.json()}, {status: answer.status});
};
"""


@pytest.fixture(scope="module")
def town(playwright: Playwright) -> Iterator[Console]:
    """alice at a terminal, bob in a browser; the tests leave bob's passkey as it is."""
    with opened(playwright) as made:
        made.create()
        made.page("bob", "approver")
        yield made


def copy_passkey(source: Tab, target: Tab, **changes: Any) -> None:
    """The platform's sync: the same passkey on another authenticator."""
    for credential in source.credentials():
        credential.pop("signCount", None)
        target.cdp.send("WebAuthn.addCredential", {
            "authenticatorId": target.authenticator, "credential": {**credential, "signCount": 0, **changes}})


def fresh(town: Console) -> Tab:
    """bob, in the one session that he has."""
    bob = town.page("bob")
    bob.open("/settings")
    out = bob.page.get_by_role("button", name="Sign in with a passkey")
    everywhere = bob.page.get_by_role("button", name="Sign out everywhere")
    expect(out.or_(everywhere)).to_be_visible()
    if out.is_visible():
        out.click()
    everywhere.click()
    bob.page.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    out.click()
    expect(everywhere).to_be_visible()
    return bob


def test_a_browser_that_knows_nothing_signs_in_with_a_synced_passkey(town: Console) -> None:
    bob = town.page("bob")
    other = town.tab(phone=True)
    copy_passkey(bob, other)
    page = other.open("/settings")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    other.axe()
    page.get_by_role("button", name="Sign in with a passkey").click()
    # Where one wanted to go is where one is.
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    expect(page.get_by_text("synced: the key is locked behind your passkey")).to_be_visible()
    expect(page.get_by_text("1 wrapped key").or_(page.get_by_text("2 wrapped keys"))).to_be_visible()
    expect(page.get_by_text("No: in this browser a deny asks for the passkey too")).to_be_visible()
    other.axe()
    # A cookie that no script sees, for this host alone.
    [cookie] = other.context.cookies()
    assert cookie["name"].startswith("__Host-") and cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Strict"
    assert page.evaluate("document.cookie") == ""


def test_the_founder_signs_in_elsewhere_too(console: Console) -> None:
    alice = console.found("alice")
    other = console.tab()
    copy_passkey(alice, other)
    other.sign_in()
    # A handle that names another organisation leads nowhere, though the relay would take the signature.
    foreign = console.tab()
    copy_passkey(alice, foreign, userHandle=base64.b64encode(b"x" * 64).decode())
    page = foreign.open("/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("This passkey belongs to another organisation")).to_be_visible()
    foreign.axe()
    page.reload()
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()


def test_no_session_without_user_verification(town: Console) -> None:
    bob = town.page("bob")
    deaf = town.tab(isUserVerified=False)
    copy_passkey(bob, deaf)
    page = deaf.open("/signin")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("The passkey gave no answer")).to_be_visible()
    expect(page.get_by_text("passkey-refused")).to_be_visible()
    deaf.axe()
    assert deaf.context.cookies() == []
    deaf.replace_authenticator()
    copy_passkey(bob, deaf)
    deaf.sign_in()


def test_a_passkey_of_another_kind_than_the_roster_says_is_refused(town: Console) -> None:  # D6
    bob = town.page("bob")
    bound = town.tab()
    copy_passkey(bob, bound, backupEligibility=False, backupState=False)
    page = bound.open("/signin")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("You are not signed in")).to_be_visible()
    expect(page.get_by_text("Code: backup")).to_be_visible()


def test_a_passkey_that_the_roster_does_not_list_opens_nothing(town: Console) -> None:
    alice = town.world.parties["alice"]
    eve = town.page("eve", "auditor")
    alice.ok("person", "remove", "eve")
    page = eve.open("/signin")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("You are not signed in")).to_be_visible()
    eve.axe()
    stranger = town.tab()
    copy_passkey(eve, stranger)
    page = stranger.open("/signin")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("The organisation does not list this passkey")).to_be_visible()


def test_sessions_are_listed_and_end_everywhere(town: Console) -> None:
    bob = fresh(town)
    other = town.tab()
    copy_passkey(bob, other)
    other.sign_in()
    bob.open("/settings")
    rows = bob.page.get_by_role("list", name="Sessions").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="this one")).to_have_count(1)
    bob.axe()
    bob.page.get_by_role("button", name="Sign out everywhere").click()
    bob.page.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    expect(bob.page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    # The other hears of it on its live line, keeps its place, and goes on there after one ceremony.
    other.open("/settings")
    expect(other.page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    other.page.get_by_role("button", name="Sign in with a passkey").click()
    expect(other.page.get_by_role("heading", name="Settings")).to_be_visible()


def test_an_ended_session_says_so_and_goes_on_in_place(town: Console) -> None:
    bob = fresh(town)
    other = town.tab()
    copy_passkey(bob, other)
    other.sign_in()
    other.page.get_by_role("button", name="bob: settings and help").click()
    other.page.get_by_role("link", name="Settings").click()
    expect(other.page.get_by_role("heading", name="Settings")).to_be_visible()
    bob.open("/settings")
    bob.page.get_by_role("listitem").filter(has_not_text="this one").get_by_role("button", name="End").click()
    expect(other.page.get_by_text("Your session has ended")).to_be_visible()
    expect(other.page.get_by_role("heading", name="Settings")).to_be_visible()
    other.axe()
    other.page.get_by_role("button", name="Sign in again").click()
    expect(other.page.get_by_text("Your session has ended")).to_have_count(0)
    expect(other.page.get_by_role("navigation", name="Main")).to_be_visible()


def test_options_of_a_ceremony_are_the_consoles_own(town: Console) -> None:  # A19
    tab = town.tab()
    tab.page.add_init_script(LISTEN)
    tab.page.add_init_script(TAMPER)
    town.page("carol", "approver", tab=tab)
    org = json.loads(base64.urlsafe_b64decode(tab.page.evaluate(
        "fetch('/v1/trust').then(a => a.json()).then(t => t.roster.payload)") + "=="))["org"]
    salt = list(hashlib.sha256(json.dumps(["stillvault/v1/prf-input", org], separators=(",", ":")).encode()).digest())
    asked = tab.page.evaluate("window.asked")
    assert [name for name, _ in asked] == ["create", "get", "get"]  # the passkey, the enrolment, the sign-in
    for name, options in asked:
        assert options["extensions"]["prf"]["eval"]["first"] == salt
        if name == "create":
            assert options["rp"]["id"] == NAME
            wanted = options["authenticatorSelection"]
            assert (wanted["userVerification"], wanted["residentKey"]) == ("required", "required")
        else:
            assert (options["rpId"], options["userVerification"], len(options["challenge"])) == (NAME, "required", 32)
            assert options["allowCredentials"]


def test_a_copied_profile_opens_nothing(console: Console) -> None:  # D1
    alice = console.create()
    chromium = console.browser.browser_type
    home = console.world.root / "browser"

    def start(name: str) -> Tab:
        context = chromium.launch_persistent_context(
            console.world.root / name, executable_path=CHROMIUM, args=ARGUMENTS, env={**os.environ, "HOME": str(home)},
            viewport=DESK, locale="en-GB")  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        return Tab(console, context, {})

    owner = start("profile")
    # The one moment at which the key's bytes exist in the page is when they are wrapped: note them there, to look for them after.
    owner.page.add_init_script("""
      window.raw = [];
      const real = crypto.subtle.wrapKey.bind(crypto.subtle);
      crypto.subtle.wrapKey = async (format, key, ...rest) => {
        window.raw.push([...new Uint8Array(await crypto.subtle.exportKey("pkcs8", key))]);
        return real(format, key, ...rest);
      };""")
    console.page("bob", "approver", tab=owner)
    scalars = [bytes(each[36:68]) for each in owner.page.evaluate("window.raw")]
    assert len(scalars) == 2 and all(len(set(each)) > 8 for each in scalars)
    host = console.host()
    alice.ok("seal", "prod/db", stdin=b"value")
    owner.context.close()
    for path in (console.world.root / "profile").rglob("*"):
        found = path.read_bytes() if path.is_file() else b""
        for scalar in scalars:
            encoded = base64.urlsafe_b64encode(scalar).rstrip(b"=")
            assert scalar not in found and encoded not in found and scalar.hex().encode() not in found, path

    shutil.copytree(console.world.root / "profile", console.world.root / "stolen", ignore=shutil.ignore_patterns("Singleton*"))
    thief = start("stolen")
    asking = host.spawn("read", "sv://prod/db", "-n")
    page = thief.open("/")
    # The session may have come along with the profile: what waits is seen, and cannot be approved.
    sign_in = page.get_by_role("button", name="Sign in with a passkey")
    expect(page.get_by_role("navigation", name="Main").or_(sign_in)).to_be_visible()
    if sign_in.is_visible():
        sign_in.click()
        expect(page.get_by_text("The passkey gave no answer")).to_be_visible()
    else:
        page.get_by_role("link", name="prod/db").click()
        page.get_by_role("button", name="Approve", exact=True).and_(page.locator("[aria-disabled=false]")).click()
        expect(page.get_by_text("passkey-refused")).to_be_visible()
    assert asking.poll() is None, asking.communicate()
    alice.ok("approve", "--next", "--wait", "20", "--yes")
    assert asking.communicate(timeout=60)[0] == b"value"
    thief.context.close()


def test_whoever_signs_in_next_finds_nothing_of_the_person_before(console: Console) -> None:
    alice = console.create()
    bob = console.page("bob", "approver", "sealer")
    carol = console.page("carol", "auditor")
    alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob")
    alice.ok("seal", "prod/db", stdin=b"value")
    asking = console.host(people="alice,bob").spawn("read", "-n", "sv://prod/db")
    page = bob.open("/")
    page.get_by_role("link", name="prod/db").click()
    expect(page.locator(".prompt")).to_be_visible()
    page.evaluate("window.former = document.body")
    page.get_by_role("button", name="bob: settings and help").click()
    page.get_by_role("button", name="Sign out").click()
    again = page.get_by_role("button", name="Sign in with a passkey")
    expect(again).to_be_visible()
    # Another page: no script, no variable and no address of the one before is left.
    assert page.evaluate("window.former === undefined")
    assert page.url == f"{console.world.url}/"
    assert "prod" not in page.content()
    bob.replace_authenticator()
    copy_passkey(carol, bob)
    again.click()
    expect(page.get_by_role("button", name="carol: settings and help")).to_be_visible()
    expect(page.get_by_text("Cards come to approvers, and you are none.")).to_be_visible()
    bob.axe()
    assert "prod" not in page.content()
    assert "bob" not in page.inner_text("body")
    asking.terminate()


def test_a_console_that_the_relay_renewed_says_so_and_is_reloaded_by_hand(town: Console) -> None:
    bob = fresh(town)
    page = bob.open("/help")
    expect(page.get_by_role("heading", name="Help", level=1)).to_be_visible()
    gone = json.dumps({"status": 404, "code": "not-found", "title": "No such route"})

    def renewed(route: Route) -> None:
        manifest = json.loads((ROOT / "stillvault" / "console" / "console.json").read_bytes())
        files = {name: each for name, each in manifest["files"].items() if not name.endswith(".js")}
        route.fulfill(json={**manifest, "files": files})

    # An upgrade: the parts that this page would fetch next are gone, and the list of files names others.
    page.route("**/assets/*.js", lambda route: route.fulfill(status=404, content_type="application/problem+json", body=gone))
    page.route("**/console.json", renewed)
    bob.expected.append("dynamically imported module")
    page.get_by_role("button", name="bob: settings and help").click()
    page.get_by_role("link", name="Notifications").click()
    expect(page.get_by_role("alert")).to_contain_text("The console was renewed")
    expect(page.get_by_role("heading", name="This screen is missing")).to_be_visible()
    bob.axe()
    page.unroute_all()
    page.get_by_role("button", name="Reload the page").click()
    expect(page.get_by_role("heading", name="Notifications", level=1)).to_be_visible()
    expect(page.get_by_text("The console was renewed")).to_have_count(0)


def test_what_runs_beside_the_screens_does_not_die_unsaid(town: Console) -> None:
    bob = fresh(town)
    page = bob.page
    page.route("**/assets/store-*.js", lambda route: route.abort())  # what follows the waiting cards
    page.goto(town.world.url + "/help")
    expect(page.get_by_role("alert")).to_contain_text("A part of the console could not be fetched")
    expect(page.get_by_role("heading", name="Help", level=1)).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Reload the page").click()
    expect(page.get_by_role("heading", name="Help", level=1)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_offline_the_console_says_so(town: Console) -> None:
    tab = town.tab()
    page = tab.open("/")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    page.reload()
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    icons = ("icon-192.png", "icon-512.png", "icon-maskable-512.png", "apple-touch-icon.png", "icon.svg")
    for name in ("manifest.webmanifest", *icons):
        assert page.evaluate("name => fetch(`/${name}`).then(answer => answer.ok)", name), name
    town.world.stop_relay()
    page.reload()
    expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
    tab.axe()
    town.world.start()
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()


def test_first_load_is_small(town: Console) -> None:
    """Under 100 kB of script, as the wire would carry it compressed, until somebody can sign in."""
    tab = town.tab()
    bodies: dict[str, bytes] = {}
    tab.page.on("response", lambda answer: bodies.update({answer.url: answer.body()}) if answer.url.endswith(".js") else None)
    tab.open("/")
    expect(tab.page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    tab.page.wait_for_load_state("networkidle")
    size = sum(len(gzip.compress(body, 9)) for body in bodies.values())
    print(f"first load: {size} bytes of script, compressed")
    assert size < 100_000, f"{size} bytes in {sorted(bodies)}"
