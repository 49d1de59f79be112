"""Secrets in the browser: listed as verified; sealed as text, file, generated value or by the lines of a .env file; refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from stillvault.crypto.public import b64decode, b64encode
from tests.console.browser import Console, Tab
from tests.world import PATIENCE, Party

ALONE = "One person alone can open it"


@pytest.fixture
def town(console: Console) -> tuple[Party, Tab]:
    """alice at the command line, bob in a browser who may seal, and a policy for prod/** by both."""
    alice = console.create()
    bob = console.page("bob", "approver", "sealer")
    alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob")
    return alice, bob


def fill_path(page: Page, path: str) -> None:
    page.get_by_label("Name", exact=True).fill(path)


def type_value(page: Page, text: str) -> None:
    page.locator("textarea").fill(text)


def seal(page: Page, path: str, version: int = 1) -> None:
    page.get_by_role("button", name="Seal with your passkey").click()
    expect(page.get_by_text(f"Sealed {path} version {version}")).to_be_visible()


def released(console: Console, alice: Party, host: Party, *paths: str) -> list[bytes]:
    """What `read` gives out on the other side, after alice approved at the command line."""
    values = []
    for path in paths:
        asking = host.spawn("read", f"sv://{path}")
        alice.ok("approve", "--next", "--wait", "30", "--yes")
        out, errors = asking.communicate(timeout=PATIENCE)
        assert asking.returncode == 0, errors.decode()
        values.append(out)
    return values


def daemon(console: Console) -> Party:
    host = console.world.client("host/db-1")
    host.start_daemon()
    return host


def test_text_is_sealed_here_and_released_there_byte_for_byte(console: Console, town: tuple[Party, Tab]) -> None:
    alice, bob = town
    page = bob.open("/secrets")
    expect(page.get_by_role("heading", name="No secrets yet")).to_be_visible()
    bob.axe()
    page.get_by_role("link", name="Seal a secret").click()
    fill_path(page, "prod/web/key")
    expect(page.get_by_text("A new secret")).to_be_visible()
    expect(page.get_by_text("Any one of alice or bob, alone")).to_be_visible()
    expect(page.get_by_text(ALONE)).to_be_visible()
    value = "first line\n  zweite Zeile: ß€😀\n\n"
    type_value(page, value)
    expect(page.get_by_text(f"{len(value.encode())} bytes of 61,440")).to_be_visible()
    bob.axe()
    seal(page, "prod/web/key")
    bob.axe()
    assert released(console, alice, daemon(console), "prod/web/key") == [value.encode()]

    # A new version: what changed in the roster since the last seal is shown before anything is signed.
    alice.ok("policy", "set", "prod", "--people", "alice,bob", "--match", "prod/**", "--threshold", "2")
    page.get_by_role("link", name="Look at it").click()
    expect(page.get_by_text("Its people or policy changed since it was sealed")).to_be_visible()
    expect(page.get_by_role("link", name="Seal again")).to_have_attribute("href", "/policies?reseal=prod/web/key")
    page.get_by_role("link", name="All secrets").click()
    expect(page.get_by_text("1 secret is sealed for other people or terms than today's")).to_be_visible()
    bob.axe()
    page.get_by_role("link", name="Seal again").click()
    expect(page.get_by_role("heading", name="Seal again", level=1)).to_be_visible()
    bob.open("/secrets/prod/web/key")
    page.get_by_role("link", name="Seal a new version").click()
    expect(page.get_by_text("Since your last seal the roster changed")).to_be_visible()
    expect(page.get_by_text("Policy prod: 2 of alice, bob for prod/**")).to_be_visible()
    expect(page.get_by_text("alice and bob, all 2 together")).to_be_visible()
    expect(page.get_by_text(ALONE)).not_to_be_visible()
    type_value(page, "second")
    seal(page, "prod/web/key", 2)

    page.get_by_role("link", name="Look at it").click()
    expect(page.get_by_role("list", name="History").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_text("bob, from bob-")).to_be_visible()
    expect(page.get_by_text("sv://prod/web/key", exact=True)).to_be_visible()
    page.get_by_role("button", name="Copy reference").click()
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    bob.axe()
    found = alice.json("secrets")["secrets"]
    assert [(one["path"], one["version"], one["sealed_by"], one["state"]) for one in found] == [("prod/web/key", 2, "bob", "ok")]


def test_files_and_generated_values(console: Console, town: tuple[Party, Tab], tmp_path: Path) -> None:
    alice, bob = town
    file = tmp_path / "key.bin"
    file.write_bytes(bytes(range(256)) * 40)
    page = bob.open("/secrets?new=1")
    fill_path(page, "prod/file")
    page.get_by_label("File").check()
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("10,240 bytes of 61,440")).to_be_visible()
    seal(page, "prod/file")

    page.get_by_role("button", name="Seal another").click()
    fill_path(page, "prod/made")
    page.get_by_label("Generated here").check()
    page.get_by_label("Length").fill("40")
    page.get_by_label("Characters").select_option("symbols")
    page.get_by_label("Show it to me once").check()
    bob.axe()
    page.get_by_role("button", name="Seal with your passkey").click()
    shown = page.get_by_role("dialog")
    made = shown.locator("pre").inner_text()
    assert len(made) == 40
    bob.axe()
    shown.get_by_role("button", name="I have it").click()
    expect(page.locator("dialog pre")).to_have_count(0)  # gone from the document, not only from sight
    assert made not in page.content()

    # Unless it is asked for, nobody ever sees it.
    page.get_by_role("button", name="Seal another").click()
    fill_path(page, "prod/unseen")
    page.get_by_label("Generated here").check()
    seal(page, "prod/unseen")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    values = released(console, alice, daemon(console), "prod/file", "prod/made", "prod/unseen")
    assert values[:2] == [file.read_bytes(), made.encode()]
    assert len(values[2]) == 32


ENV = """\
# the web tier
export DB_PASSWORD='a "b" #c'  # rotate in May
URL=sv://prod/url
EMPTY=
TOKEN="one\\ntwo\\\\"
API_KEY=x=y
"""


def test_an_env_file_becomes_secrets_and_comes_back(console: Console, town: tuple[Party, Tab], tmp_path: Path) -> None:
    alice, bob = town
    (tmp_path / ".env").write_text(ENV)
    page = bob.open("/secrets")
    page.get_by_role("link", name="Seal a .env file").first.click()
    page.locator("input[type=file]").set_input_files(tmp_path / ".env")
    page.get_by_label("Seal below").fill("prod/web")
    page.get_by_label("Secret for API_KEY").fill("prod/web/partner-key")
    expect(page.get_by_label("Secret for DB_PASSWORD")).to_have_value("prod/web/db_password")
    expect(page.get_by_text("URL: a reference already")).to_be_visible()
    bob.axe()
    page.get_by_role("button", name="Look at the policies").click()
    expect(page.get_by_text("Ready: 3 secrets")).to_be_visible()
    expect(page.get_by_text(ALONE)).to_be_visible()

    # It stops after the line that is under way, and goes on where it stopped.
    held: list[Route] = []
    page.route("**/v1/secrets", lambda route: held.append(route))
    with page.expect_request("**/v1/secrets"):
        page.get_by_role("button", name="Seal 3 secrets").click()
    page.get_by_role("button", name="Stop after this one").click()
    held[0].continue_()
    expect(page.get_by_text("1 of 3 sealed · Stopped")).to_be_visible()
    page.unroute("**/v1/secrets")
    bob.axe()
    assert len(alice.json("secrets")["secrets"]) == 1
    page.get_by_role("button", name="Go on: 2 left").click()
    expect(page.get_by_text("All sealed")).to_be_visible()
    bob.axe()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the file").click()
    back = tmp_path / download.value.suggested_filename
    download.value.save_as(back)
    assert back.name == "stillvault.env"
    assert back.read_text() == (
        ENV.replace("""'a "b" #c'""", "sv://prod/web/db_password").replace('"one\\ntwo\\\\"', "sv://prod/web/token")
        .replace("x=y", "sv://prod/web/partner-key")
    )  # fmt: skip
    # `run` takes it as it is, and a program gets the very values.
    back.write_text("".join(line for line in back.read_text().splitlines(keepends=True) if not line.startswith("URL")))
    host = daemon(console)
    program = "import json,os; print(json.dumps([os.environ[n] for n in ('DB_PASSWORD','TOKEN','API_KEY','EMPTY')]))"
    asking = host.spawn("run", "--no-masking", "--env-file", str(back), "--", "python3", "-c", program)
    alice.ok("approve", "--next", "--wait", "30", "--yes")
    out, errors = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 0, errors.decode()
    assert json.loads(out) == ['a "b" #c', "one\ntwo\\", "x=y", ""]


def test_an_env_file_that_is_not_understood_is_refused_by_its_lines(town: tuple[Party, Tab], tmp_path: Path) -> None:
    alice, bob = town
    (tmp_path / "bad.env").write_text("A=1\nnonsense\nB='2\nA=3\n")
    page = bob.open("/secrets?env=1")
    page.locator("input[type=file]").set_input_files(tmp_path / "bad.env")
    alert = page.get_by_role("alert")
    for line in ("Line 2: there is no =", "Line 3: a quote is not closed on its line", "Line 4: this name stands twice"):
        expect(alert.get_by_text(line)).to_be_visible()
    bob.axe()
    # Names that meet, or that are none, are said before anything is sealed; so is a line without a policy.
    (tmp_path / "two.env").write_text("A_B=1\nA.B=2\n".replace("A.B", "AB"))
    page.locator("input[type=file]").set_input_files(tmp_path / "two.env")
    page.get_by_label("Secret for AB").fill("a_b")
    expect(page.get_by_text("Another line has this name already.")).to_be_visible()
    page.get_by_label("Secret for AB").fill("A/b")
    expect(page.get_by_text("This is not a name for a secret.")).to_be_visible()
    expect(page.get_by_role("button", name="Look at the policies")).to_have_attribute("aria-disabled", "true")
    page.get_by_label("Secret for AB").fill("ab")
    page.get_by_role("button", name="Look at the policies").click()
    expect(page.get_by_role("alert").get_by_text("No policy says who may release a_b.")).to_be_visible()
    expect(page.get_by_role("button", name="Seal 2 secrets")).not_to_be_visible()
    assert alice.json("secrets")["secrets"] == []


def test_what_cannot_be_sealed_says_why_and_nothing_is_stored(town: tuple[Party, Tab], tmp_path: Path) -> None:
    alice, bob = town
    page = bob.open("/secrets?new=1")
    go = page.get_by_role("button", name="Seal with your passkey")
    # C3: a name outside the grammar is refused and never mended.
    for path in ("Prod/db", "prod/../db", "prod/a b", "prod/%2e", "prod/ünicode", "a" * 201):
        fill_path(page, "prod/x")
        expect(go).to_have_attribute("aria-disabled", "false")
        fill_path(page, path)
        expect(page.get_by_text("Small letters, digits, dots, dashes and underscores")).to_be_visible()
        expect(go).to_have_attribute("aria-disabled", "true")
    fill_path(page, "dev/x")
    expect(page.get_by_text("No policy says who may release dev/x.")).to_be_visible()
    # bob cannot make one: the page says who can, and where the policies stand.
    expect(page.get_by_role("alert")).to_contain_text("ask alice")
    expect(page.get_by_role("link", name="Look at the policies")).to_have_attribute("href", "/policies")
    fill_path(page, "prod/x")
    expect(page.get_by_text("A new secret")).to_be_visible()
    go.click()
    expect(page.get_by_text("There is no value yet.")).to_be_visible()
    type_value(page, "x" * 61441)
    expect(page.get_by_text("61,441 bytes: at most 61,440 can be sealed.")).to_be_visible()
    go.click()
    expect(page.get_by_role("alert").get_by_text("The value has 61441 bytes")).to_be_visible()
    page.get_by_label("File").check()
    (tmp_path / "large").write_bytes(b"x" * 61441)
    page.locator("input[type=file]").set_input_files(tmp_path / "large")
    go.click()
    expect(page.get_by_role("alert").get_by_text("61,441 bytes: at most 61,440 can be sealed.")).to_be_visible()
    assert alice.json("secrets")["secrets"] == []
    # The largest one goes.
    page.get_by_role("radio", name="Text").check()
    type_value(page, "y" * 61440)
    seal(page, "prod/x")
    # User verification refused: nothing is signed, and the text stands for another try.  # D2
    page.get_by_role("button", name="Seal another").click()
    fill_path(page, "prod/x")
    expect(page.get_by_text("Version 2 of a secret that exists")).to_be_visible()
    type_value(page, "again")
    bob.verify(False)
    go.click()
    expect(page.get_by_role("alert")).to_contain_text("It was not sealed")
    expect(page.locator("textarea")).to_have_value("again")
    assert [one["version"] for one in alice.json("secrets")["secrets"]] == [1]


def test_who_may_not_seal_can_look(console: Console) -> None:
    alice = console.create()
    bob = console.page("bob", "auditor")
    alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice")
    alice.ok("seal", "prod/db", stdin=b"x")
    page = bob.open("/secrets")
    expect(page.get_by_role("link", name="prod/db")).to_be_visible()
    expect(page.get_by_text("one person", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Seal a secret")).not_to_be_visible()
    bob.open("/secrets?new=1")
    fill_path(page, "prod/db")
    expect(page.get_by_text("bob does not have the role sealer")).to_be_visible()


def test_a_relay_that_lies_about_secrets_is_not_believed(town: tuple[Party, Tab]) -> None:
    alice, bob = town
    for value in (b"one", b"two"):
        alice.ok("seal", "prod/db", stdin=value)
    alice.ok("seal", "prod/other", stdin=b"x")
    page = bob.open("/secrets/prod/db")
    expect(page.get_by_role("list", name="History").get_by_role("listitem")).to_have_count(2)
    history: list[Any] = page.evaluate("fetch('/v1/secrets/history?path=prod/db').then(a => a.json())")["secrets"]
    old = next(one for one in history if core_of(one)["version"] == 1)
    new = next(one for one in history if core_of(one)["version"] == 2)
    # bob seals, so this browser has seen version 3.
    page = bob.open("/secrets/prod/db?new=1")
    type_value(page, "three")
    seal(page, "prod/db", 3)

    def answer(secrets: list[Any]) -> None:
        page.unroute("**/v1/secrets?*")
        page.route("**/v1/secrets?*", lambda route: route.fulfill(json={"secrets": secrets}))
        page.goto(page.url.split("/secrets")[0] + "/secrets")

    # A11: an older version; A16: another signer's bytes; a payload under another's signature.
    forged = {**new, "payload": changed(new, lambda core: core | {"version": 9})}
    for secrets, code in (([new], "version"), ([old], "version"), ([forged], "signature")):
        answer(secrets)
        expect(page.get_by_text(f"not verified: {code}")).to_be_visible()
        expect(page.get_by_text("1 secret does not verify")).to_be_visible()
        expect(page.get_by_role("link", name="prod/db")).not_to_be_visible()
        expect(page.get_by_text("Any one of")).not_to_be_visible()
    bob.axe()
    answer([])
    # prod/other was only looked at: what verified once is remembered before it is shown.
    expect(page.get_by_text("The relay does not list 2 secrets that this browser has seen")).to_be_visible()
    bob.axe()
    page.unroute("**/v1/secrets?*")
    # A relay that hides what was there, when somebody seals: refused before anything is signed.
    page.route("**/v1/secrets/latest?*", lambda route: route.fulfill(status=404, json={"code": "unknown", "detail": "x"}))
    page.goto(page.url + "/prod/db?new=1")
    expect(page.get_by_text("The relay knows no prod/db, but this browser has seen version 3")).to_be_visible()
    expect(page.get_by_role("button", name="Seal with your passkey")).to_have_attribute("aria-disabled", "true")


def core_of(signed: Any) -> dict[str, Any]:
    return json.loads(b64decode(signed["payload"]))["core"]  # type: ignore[no-any-return]


def changed(signed: Any, change: Any) -> str:
    payload = json.loads(b64decode(signed["payload"]))
    payload["core"] = change(payload["core"])
    return b64encode(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode())


def test_the_list_is_searched_and_follows_what_others_seal(town: tuple[Party, Tab]) -> None:
    alice, bob = town
    for path in ("prod/db", "prod/db-primary", "prod/web/api"):
        alice.ok("seal", path, stdin=b"x")
    page = bob.open("/secrets")
    rows = page.get_by_role("list", name="Secrets").get_by_role("listitem")
    expect(rows).to_have_count(3)
    page.keyboard.press("/")  # the shortcut
    page.keyboard.type("web")
    expect(rows).to_have_count(1)
    page.get_by_label("Search by name").fill("")
    alice.ok("seal", "prod/new", stdin=b"x")
    expect(rows).to_have_count(4)
    bob.axe()
    page.get_by_role("link", name="prod/db-primary").click()
    expect(page.get_by_role("heading", name="prod/db-primary")).to_be_visible()
    page.go_back()
    expect(rows).to_have_count(4)
