"""git's credential helper, asked by git itself: `git credential fill`, and a push to a server that wants a password."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.agents.helpers.conftest import PASSWORD, Place, needed, nothing_leaks
from tests.agents.helpers.githttp import authorization, served
from tests.world import SCRIPTS, STILLVAULT

GIT = ["git", "-c", "credential.helper="]  # none but ours
ASKED = b"protocol=https\nhost=git.example.com\n\n"


def configured(url: str, helper: str, *more: str) -> list[str]:
    return [*GIT, "-c", f"credential.{url}.helper={helper}", *more]


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    needed("git")


def test_fill_asks_a_person_and_names_git(place: Place) -> None:
    reference = place.seal("once/git", PASSWORD)
    git = configured("https://git.example.com", f"stillvault --ref {reference}", "-c", "credential.username=ci")
    done, card = place.approved(*git, "credential", "fill", stdin=ASKED)
    assert done.code == 0, done.said
    assert done.out.decode().splitlines() == ["protocol=https", "host=git.example.com", "username=ci", f"password={PASSWORD}"]
    assert Path(card["exe"]).name == "git"  # not a shell, not an interpreter, not the front
    assert card["claimed"]["argv"] == ["git", "https://git.example.com"]
    assert card["requests"][0]["secret"] == "once/git"
    assert "alice" in done.said  # who decides is told on standard error
    nothing_leaks(type(done)(0, b"", done.err), PASSWORD)


def test_name_and_password_from_one_secret(place: Place) -> None:
    """As JSON, as lines, and by a field; git's own account wins over nothing and disagrees with another's."""
    place.seal("once/json", json.dumps({"username": "ci", "password": PASSWORD}))
    place.seal("once/lines", f"USERNAME=ci\nPASSWORD='{PASSWORD.replace(chr(39), '')}'\n")
    for words, password in ((["--ref", "sv://once/json"], PASSWORD), (["--ref", "sv://once/lines"], PASSWORD.replace("'", "")),
                            (["--ref", "sv://once/json#password", "--username", "ci"], PASSWORD)):
        done, _ = place.approved(*configured("https://git.example.com", " ".join(["stillvault", *words])), "credential", "fill",
                                 stdin=ASKED)
        assert f"username=ci\npassword={password}\n" in done.text, (words, done.said)
    done, _ = place.approved(*configured("https://git.example.com", "stillvault --ref sv://once/json"), "credential", "fill",
                             stdin=b"protocol=https\nhost=git.example.com\nusername=mallory\n\n")
    assert done.code != 0 and "belongs to another account" in done.said
    nothing_leaks(done, PASSWORD)


def test_push_and_fetch(place: Place, tmp_path: Path) -> None:
    """The whole of it: a server with a password, a repository without one, a person in between."""
    place.seal("once/push", json.dumps({"username": "ci", "token": PASSWORD}))
    root, clone = tmp_path / "root", tmp_path / "clone"
    root.mkdir()
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", "init", "-q", "--bare", root / "a.git"], check=True)
    subprocess.run(["git", "-C", root / "a.git", "config", "http.receivepack", "true"], check=True)
    subprocess.run([*git, "init", "-q", clone], check=True)
    subprocess.run([*git, "-C", clone, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    with served(root, "ci", PASSWORD) as (url, seen):
        config = [("credential.helper", ""), (f"credential.{url}.helper", "stillvault --ref sv://once/push")]
        for name, value in config:
            subprocess.run(["git", "-C", clone, "config", "--add", name, value], check=True)
        done, card = place.approved("git", "push", f"{url}/a.git", "HEAD:main", cwd=clone)
        assert done.code == 0, done.said
        assert seen and set(seen) == {authorization("ci", PASSWORD)}
        assert Path(card["exe"]).name == "git"
        assert any(Path(one["exe"]).name.startswith("git-remote-http") for one in card["chain"]), card["chain"]
        assert card["claimed"]["argv"] == ["git", url]
        nothing_leaks(done, PASSWORD)
        seen.clear()
        refused = place.denied("git", "-C", str(clone), "ls-remote", f"{url}/a.git")
        assert refused.code != 0 and seen == []
        assert "told us to quit" in refused.said  # and no question at the terminal after a person said no
    heads = subprocess.run(["git", "-C", root / "a.git", "log", "--format=%s", "main"], capture_output=True, check=True)
    assert heads.stdout == b"one\n"


def test_a_lease_serves_git_again_and_says_when_it_ends(place: Place) -> None:
    place.seal("kept/git", PASSWORD)
    git = configured("https://git.example.com", "stillvault --ref sv://kept/git --username ci")
    first, _ = place.approved(*git, "credential", "fill", stdin=ASKED)
    again = place.run(*git, "credential", "fill", stdin=ASKED)
    assert again.code == 0 and f"password={PASSWORD}" in again.text
    raw = place.run(SCRIPTS / "git-credential-stillvault", "--ref", "sv://kept/git", "--username", "ci", "--wait", "1s", "get",
                    stdin=ASKED)
    assert raw.code == 11  # a caller that is not git shares nothing with git
    assert first.code == 0


def test_a_host_that_it_was_not_told_of_gets_silence(place: Place) -> None:
    helper = [SCRIPTS / "git-credential-stillvault", "--ref", "sv://once/git", "--for", "https://git.example.com/team"]
    for asked in (b"protocol=https\nhost=git.example.org\n\n", b"protocol=http\nhost=git.example.com\n\n",
                  b"protocol=https\nhost=git.example.com\npath=teammates/a.git\n\n",
                  b"protocol=https\nhost=git.example.com:444\n\n",
                  b"protocol=https\nhost=git.example.com\n\n", b"", b"\n"):
        done = place.run(*helper, "get", stdin=asked)
        assert (done.code, done.out, done.err) == (0, b"", b""), asked
    bob = b"protocol=https\nhost=git.example.com\npath=team/a\nusername=bob\n\n"
    named = place.run(*helper, "--username", "ci", "get", stdin=bob)
    assert (named.code, named.out, named.err) == (0, b"", b"")
    assert place.cards() == []


def test_store_and_erase_do_nothing(place: Place) -> None:
    asked = ASKED.strip() + b"\nusername=ci\npassword=of another helper\n\n"
    for operation in ("store", "erase", "capability", "something-new"):
        done = place.run(SCRIPTS / "git-credential-stillvault", "--ref", "sv://once/git", operation, stdin=asked)
        assert (done.code, done.out, done.err) == (0, b"", b""), operation
    for operation in ("approve", "reject"):
        git = configured("https://git.example.com", "stillvault --ref sv://once/git")
        done = place.run(*git, "credential", operation, stdin=asked)
        assert (done.code, done.out, done.err) == (0, b"", b""), operation


@pytest.mark.parametrize(("name", "value", "why"), [
    ("line", b"two\nhost=evil.example", "holds a line end"), ("end", b"password\n", "holds a line end"),
    ("return", b"two\rlines", "holds a carriage return"), ("zero", b"a\0b", "holds a zero byte"),
    ("binary", b"\xff\xfe" * 30_000, "not text in UTF-8"),
    ("field", json.dumps({"username": "ci\nquit=0", "password": "x"}).encode(), "the user name holds a line end")])
def test_what_a_line_cannot_hold_is_refused(place: Place, name: str, value: bytes, why: str) -> None:
    place.seal(f"once/hostile-{name}", value)
    username = [] if name == "field" else ["--username", "ci"]
    words = [STILLVAULT, "credential", "git", "--ref", f"sv://once/hostile-{name}", *username, "get"]
    done, _ = place.approved(*words, stdin=ASKED)
    assert (done.code, done.out) == (1, b"quit=1\n")
    assert why in done.said and "Traceback" not in done.said
    nothing_leaks(done, value[:20])


def test_no_daemon_no_credential(place: Place) -> None:
    git = configured("https://git.example.com", "stillvault --ref sv://once/git --username ci")
    done = place.run(*git, "credential", "fill", stdin=ASKED, STILLVAULT_SOCKET=str(place.work / "absent.sock"))
    assert done.code != 0 and done.out == b""
    assert "no daemon" in done.said and "told us to quit" in done.said


def test_no_password_in_the_clear_and_no_name_no_answer(place: Place) -> None:
    helper = [SCRIPTS / "git-credential-stillvault", "--ref", "sv://once/git"]
    clear = place.run(*helper, "get", stdin=b"protocol=http\nhost=git.example.com\n\n")
    assert (clear.code, clear.out) == (2, b"quit=1\n") and "in the clear" in clear.said
    untold = place.run(SCRIPTS / "git-credential-stillvault", "get", stdin=ASKED)
    assert (untold.code, untold.out) == (2, b"") and "which secret" in untold.said
    garbled = place.run(*helper, "get", stdin=b"\x1b[2J\nhost")
    assert garbled.code == 2 and garbled.out == b"" and b"\x1b" not in garbled.err
    nameless, _ = place.approved(*helper, "get", stdin=ASKED)
    assert (nameless.code, nameless.out) == (2, b"quit=1\n") and "no user name" in nameless.said
    nothing_leaks(nameless, PASSWORD)
    assert place.cards() == []
