"""A passkey that lives in one authenticator and was copied out of it: a number that was passed is an alarm in the log."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.console.browser import Console
from tests.console.inviting import approve
from tests.world import PATIENCE

HERE = {"defaultBackupEligibility": False, "defaultBackupState": False}  # it is in this authenticator and no other
BACK = "; the counter of its passkey went back: it may have been copied"


def test_a_copied_authenticator_is_named_in_the_log(console: Console) -> None:  # D6
    alice = console.create()
    bob = console.page("bob", "approver", "auditor", tab=console.tab(**HERE))
    host = console.host(people="bob")
    alice.ok("seal", "prod/db", stdin=b"x")

    def said() -> list[str]:
        return [line.split(" ", 1)[1] for line in alice.ok("audit", "tail", "-n", "1000").text.splitlines()]

    # The copy signs first, with a number that bob's own is far from: nothing to be seen yet.
    thief = console.tab(**HERE)
    [passkey] = bob.credentials()
    copy = {**passkey, "signCount": passkey["signCount"] + 100}
    thief.cdp.send("WebAuthn.addCredential", {"authenticatorId": thief.authenticator, "credential": copy})
    thief.sign_in("/")
    assert said()[-1].startswith("bob signed in from ") and BACK not in said()[-1]
    # Then bob does, in the session that he has and in a new one.
    asking = host.spawn("read", "-n", "sv://prod/db")
    approve(bob, "prod/db")
    assert asking.communicate(timeout=PATIENCE)[0] == b"x"
    assert [line for line in said() if BACK in line] == [f"bob approved prod/db: 1/1{BACK}"]
    page = bob.open("/settings")
    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("button", name="Sign out everywhere")).to_be_visible()
    last = said()[-1]
    assert last.startswith("bob signed in from ") and last.endswith(BACK)
    expect(bob.open("/audit").get_by_text(last)).to_be_visible()
