"""First start in the browser gives what `stillvault org create` gives; the paper is checked, and the root key is nowhere else."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Page, expect

from tests.console.browser import NAME, ROOT, Console, Tab


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def fetched(page: Page, path: str) -> Any:
    return page.evaluate("path => fetch(path).then(answer => answer.json())", path)


def payload(signed: dict[str, Any]) -> Any:
    return json.loads(unb64(signed["payload"]))


def records(page: Page) -> str:
    """Everything that the page keeps, as text; keys that cannot be exported are named and not shown."""
    return str(page.evaluate("""async () => {
      const open = indexedDB.open("stillvault");
      const db = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result); });
      const store = db.transaction("records").objectStore("records");
      const asked = store.getAll();
      const all = await new Promise((resolve) => { asked.onsuccess = () => resolve(asked.result); });
      db.close();
      return JSON.stringify([all, { ...localStorage }, { ...sessionStorage }, history.state]);
    }"""))


def drawn(text: str) -> str:
    """The picture of the QR code of a text, as the path of an SVG."""
    program = """import { encode } from "uqr";
      const { data } = encode(process.argv[1], { ecc: "M", border: 4 });
      console.log(data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join(""));"""
    done = subprocess.run(["node", "--input-type=module", "-e", program, text], cwd=ROOT / "console", capture_output=True,
                          text=True, check=True)
    return done.stdout.strip()


def fill(page: Page) -> None:
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name of the organisation").fill("Example")
    page.get_by_label("Your name in it").fill("alice")


def test_first_start_gives_what_org_create_gives(console: Console) -> None:
    tab = console.tab()
    page = tab.open(console.setup_url())
    assert "#" not in page.url
    fill(page)
    page.get_by_role("button", name="Make the passkey").click()
    kit = console.kit(page)
    secrets = {name: unb64("".join(groups)) for name, groups in kit.items() if "key" in name.lower()}
    assert len(secrets) == 4 and {len(each) for each in secrets.values()} == {32}
    assert fetched(page, "/v1/environment")["organisation"] is False  # paper first
    page.get_by_role("button", name="I have it on paper").click()
    console.answer(page, kit)
    page.get_by_role("button", name="Sign and create the organisation").click()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()

    # No policy stands yet, and whoever can make one is led there.
    page.goto(console.world.url + "/secrets?new=1")
    page.get_by_label("Name", exact=True).fill("prod/db")
    expect(page.get_by_role("alert")).to_contain_text("No policy says who may release prod/db.")
    page.get_by_role("link", name="Make a policy").click()
    expect(page.get_by_role("heading", name="New policy")).to_be_visible()

    trust = fetched(page, "/v1/trust")
    root, roster = payload(trust["roots"][0]), payload(trust["roster"])
    assert (root["version"], root["rp_id"], root["origins"]) == (1, NAME, [console.world.url])
    [root_key], [admin] = root["root"]["keys"], root["admin"]["keys"]
    public = Ed25519PrivateKey.from_private_bytes(secrets["Root key"]).public_key()
    assert (root_key["alg"], unb64(root_key["public"])) == ("ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    assert (admin["alg"], admin["rp_id"], admin["backup"]) == ("webauthn-es256", NAME, True)
    [alice] = roster["people"]
    [device] = alice["devices"]
    assert (alice["id"], alice["roles"]) == ("alice", ["admin", "approver", "sealer", "auditor"])
    assert (device["tier"], device["auth"], device["deny"]["alg"], roster["policies"]) == ("synced", [admin], "es256", [])
    [cert] = fetched(page, "/v1/clients")["clients"]
    said = payload(cert["cert"])
    assert (said["subject"], said["host"], said["scopes"], said["grade"]) == ("person/alice", device["id"], ["**"], "user")
    assert said["key"]["alg"] == "es256"
    wrapped = fetched(page, "/v1/wrapped")["keys"]
    assert {one["kind"] for one in wrapped} == {"kem", "client"}
    assert device["kem"]["public"] in {one["public"] for one in wrapped}

    # The recovery keys on the paper are those that every policy will name; no secret of the paper is anywhere else.
    kept = records(page)
    for name, secret in secrets.items():
        text = base64.urlsafe_b64encode(secret).decode().rstrip("=")
        assert text not in kept and text not in page.content()
        for path in console.world.data.rglob("*"):
            assert not path.is_file() or (secret not in path.read_bytes() and text.encode() not in path.read_bytes())
        if name.startswith("Recovery key"):
            point = ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1()).public_key()
            raw = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            assert base64.urlsafe_b64encode(raw).decode().rstrip("=") in kept
    # The setup link is of no use any more.
    other = console.tab()
    other.open(f"{console.world.url}/setup#{'A' * 43}")
    expect(other.page.get_by_role("heading", name="This appliance has an organisation already")).to_be_visible()
    other.axe()


def test_each_sheet_of_the_kit_is_complete_and_alone(console: Console, tmp_path: Path) -> None:
    tab = console.tab()
    page = tab.open(console.setup_url())
    fill(page)
    page.get_by_role("button", name="Make the passkey").click()
    kit = console.kit(page)
    keys = {name: "".join(groups) for name, groups in kit.items() if "key" in name.lower()}
    sheets = page.locator("article.kit")
    expect(sheets).to_have_count(4)
    shared = {"org_id": "".join(kit["Organisation id"]), "name": "Example", "relay": console.world.url}
    for name in keys:
        sheet = page.get_by_role("article", name=name)
        for text in (console.world.url, "SHA256:", "Example"):
            expect(sheet).to_contain_text(text)
        held = tmp_path / "sheet.json"
        with page.expect_download() as download:
            sheet.get_by_role("button", name=f"Save this sheet: {name}").click()
        download.value.save_as(held)
        said = json.loads(held.read_text())
        assert {field: said[field] for field in shared} == shared
        # The code, the file and the sheet hold this key, and none of the others.
        assert sheet.locator("svg.qr path").get_attribute("d") == drawn(held.read_text())
        for other, secret in keys.items():
            groups = sheet.locator(".groups").evaluate_all("all => all.map((each) => each.textContent)")
            assert (secret in held.read_text()) == (secret in groups) == (other == name)

    page.emulate_media(media="print")
    for one in sheets.all():
        box = one.bounding_box()
        assert box is not None and box["height"] < 900  # a page of A4 or letter holds it
        expect(one.get_by_role("img")).to_be_visible()
    expect(page.get_by_role("button", name="Print 4 pages")).to_be_hidden()
    expect(page.get_by_role("button", name="Save this sheet: Root key")).to_be_hidden()
    paper = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 4
    page.emulate_media(media="screen")


def test_what_is_not_on_the_paper_goes_no_further(console: Console) -> None:
    tab = console.tab(phone=True)
    page = tab.open(console.setup_url())
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    tab.axe()
    fill(page)
    page.get_by_label("Your name in it").fill("Alice Smith")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_label("Your name in it")).to_have_attribute("aria-invalid", "true")
    tab.axe()
    assert tab.credentials() == []
    page.get_by_label("Your name in it").fill("alice")
    page.get_by_role("button", name="Make the passkey").click()
    kit = console.kit(page)
    tab.axe()
    page.get_by_role("button", name="I have it on paper").click()
    for box in page.locator(".form input").all():
        box.fill("AAAAAA")
    page.get_by_role("button", name="Compare and go on").click()
    expect(page.get_by_text("That is not what the kit says. Look again.")).to_have_count(2)
    tab.axe()
    page.get_by_role("button", name="Show the kit again").click()
    assert console.kit(page) == kit
    page.get_by_role("button", name="I have it on paper").click()
    console.answer(page, kit)
    # The link is over meanwhile: a new one goes on where we were, with what was signed.
    over = {"type": "", "title": "", "status": 401, "code": "sign-in", "detail": "A valid bearer is needed"}
    said = {"status": 401, "content_type": "application/problem+json", "body": json.dumps(over)}
    page.route("**/v1/setup", lambda route: route.fulfill(**said), times=1)
    fresh = console.setup_url()
    page.get_by_role("button", name="Sign and create the organisation").click()
    page.get_by_label("A new setup link").fill(fresh)
    tab.axe()
    tab.verify(False)  # no further ceremony is needed
    page.get_by_role("button", name="Sign and create the organisation").click()
    expect(page.get_by_text("Example is created")).to_be_visible()
    tab.axe()


def refused(console: Console, tab: Tab, *said: str) -> None:
    page = tab.open(console.setup_url())
    fill(page)
    page.get_by_role("button", name="Make the passkey").click()
    for text in said:
        expect(page.get_by_text(text)).to_be_visible()
    expect(page.get_by_role("button", name="Make the passkey")).to_be_enabled()
    tab.axe()


def test_a_passkey_that_cannot_protect_a_key_is_refused(console: Console) -> None:
    refused(console, console.tab(hasPrf=False), "no-prf", "stillvault join URL")
    # Without user verification there is no passkey at all; the same page goes on with one that verifies.
    tab = console.tab(isUserVerified=False)
    refused(console, tab, "passkey-refused")
    tab.replace_authenticator()
    tab.page.get_by_role("button", name="Make the passkey").click()
    console.kit(tab.page)


def test_without_the_link_there_is_only_the_way_to_get_one(console: Console) -> None:
    tab = console.tab()
    tab.open("/setup")
    expect(tab.page.get_by_text("stillvault-relay setup-url --data DIR")).to_be_visible()
    tab.axe()
    tab.open("/")
    expect(tab.page.get_by_role("heading", name="This appliance has no organisation yet")).to_be_visible()
    tab.axe()
    tab.open(f"/setup#{'A' * 43}")
    expect(tab.page.get_by_text("The relay does not take this setup link")).to_be_visible()
    expect(tab.page.get_by_role("button", name="Go on")).to_have_count(0)
    tab.axe()
