"""The Docker credential helper, asked by skopeo and podman through `credHelpers`, against a registry that wants a password."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.agents.helpers.conftest import PASSWORD, Place, needed, nothing_leaks
from tests.agents.helpers.githttp import authorization
from tests.agents.helpers.serving import serving
from tests.world import SCRIPTS

HELPER = SCRIPTS / "docker-credential-stillvault"


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    needed("skopeo", "podman")


@pytest.fixture
def registry() -> Iterator[tuple[str, list[str]]]:
    """As much of a registry as lists the tags of one repository to who has the password."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            came = self.headers.get("Authorization", "")
            seen.append(came)
            right = came == authorization("ci", PASSWORD)
            body = json.dumps({"name": "app", "tags": ["one", "two"]} if right and "tags" in self.path else {}).encode()
            self.send_response(200 if right else 401)
            if not right:
                self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            self.send_header("Content-Type", "application/json")
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as address:
        yield address, seen


def told(place: Place, *lines: str) -> Path:
    """The table of registries of the account."""
    file = place.work / ".config" / "stillvault" / "registries"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("# registry, reference\n" + "".join(f"{line}\n" for line in lines))
    file.chmod(0o600)
    return file


def settings(place: Place, name: str) -> dict[str, str]:
    file = place.work / "auth.json"
    file.write_text(json.dumps({"credHelpers": {name: "stillvault"}}))
    return {"REGISTRY_AUTH_FILE": str(file)}


def test_skopeo_and_podman_ask_a_person(place: Place, registry: tuple[str, list[str]]) -> None:
    name, seen = registry
    reference = place.seal("once/registry", PASSWORD)
    told(place, f"{name} {reference} username=ci", f"registry.example.com {reference}")
    skopeo = ["skopeo", "list-tags", "--tls-verify=false", f"docker://{name}/app"]
    done, card = place.approved(*skopeo, **settings(place, name))
    assert done.code == 0, done.said
    assert done.json["Tags"] == ["one", "two"]
    assert authorization("ci", PASSWORD) in seen
    assert Path(card["exe"]).name == "skopeo"
    assert card["claimed"]["argv"] == ["registry", name]
    nothing_leaks(done, PASSWORD)
    login, card = place.approved("podman", "login", "--get-login", name, **settings(place, name))
    assert login.text.strip() == "ci", login.said
    assert Path(card["exe"]).name == "podman"
    denied = place.denied(*skopeo, **settings(place, name))
    assert denied.code != 0 and "denied" in denied.said


def test_a_registry_that_it_was_not_told_of(place: Place, registry: tuple[str, list[str]]) -> None:
    name, seen = registry
    told(place, "registry.example.com sv://once/registry username=ci")
    done = place.run("skopeo", "list-tags", "--tls-verify=false", f"docker://{name}/app", **settings(place, name))
    assert done.code != 0 and set(seen) <= {"", authorization("", "")}  # it went on without a credential
    for asked in (name, "http://registry.example.com", "registry.example.com.evil", "registry.example.com/other", ""):
        direct = place.run(HELPER, "get", stdin=f"{asked}\n".encode())
        assert (direct.code, direct.out, direct.err) == (1, b"credentials not found in native keychain\n", b""), asked
    assert place.cards() == []


def test_the_protocol_by_hand(place: Place) -> None:
    told(place, "https://registry.example.com/v1/ sv://once/both", "other.example:5000/team sv://once/registry username=ci")
    place.seal("once/both", json.dumps({"username": "ci\u00e9", "password": PASSWORD}))
    for asked in ("registry.example.com", "https://registry.example.com/v2/", "https://registry.example.com"):
        done, _ = place.approved(HELPER, "get", stdin=asked.encode())
        assert done.json == {"ServerURL": asked, "Username": "ci\u00e9", "Secret": PASSWORD}
    assert place.run(HELPER, "list").json == {"https://registry.example.com/v1/": "", "other.example:5000/team": "ci"}
    given = json.dumps({"ServerURL": "registry.example.com", "Username": "x", "Secret": PASSWORD}).encode()
    for operation, stdin in (("store", given), ("erase", b"registry.example.com")):
        done = place.run(HELPER, operation, stdin=stdin)
        assert done.code == 1 and b"seal" in done.out and "stillvault seal" in done.said
        nothing_leaks(done, PASSWORD)
    assert place.run(HELPER, "version").code == 2
    assert place.run(HELPER).code == 2
    assert place.cards() == []


def test_a_login_is_not_taken_and_said_so(place: Place, registry: tuple[str, list[str]]) -> None:
    """What `podman login` would store must not seem to be stored."""
    name, _ = registry
    told(place, f"{name} sv://once/registry username=ci")
    login = ["podman", "login", "--tls-verify=false", "-u", "ci", "--password-stdin", name]
    done, _ = place.approved(*login, stdin=PASSWORD.encode(), **settings(place, name))  # it looks for a login that is there first
    assert done.code != 0 and "Login Succeeded" not in done.text
    nothing_leaks(done, PASSWORD)


@pytest.mark.parametrize(("name", "value", "why"), [
    ("line", b"two\nlines", "holds a line end"), ("zero", b"a\0b", "holds a zero byte"), ("binary", b"\xff" * 100, "not text"),
    ("empty-name", json.dumps({"username": "", "password": "x"}).encode(), "the user name is empty")])
def test_what_the_answer_cannot_hold(place: Place, name: str, value: bytes, why: str) -> None:
    place.seal(f"once/odd-{name}", value)
    username = "" if name == "empty-name" else "username=ci"
    told(place, f"r.example sv://once/odd-{name} {username}")
    done, _ = place.approved(HELPER, "get", stdin=b"r.example")
    assert done.code == 1 and why in done.text and why in done.said
    nothing_leaks(done, value[:10])


def test_a_bad_table_is_refused(place: Place) -> None:
    file = told(place, "registry.example.com sv://once/registry username=ci")
    file.chmod(0o666)
    done = place.run(HELPER, "get", stdin=b"registry.example.com")
    assert done.code == 15 and "map-owner" in done.said
    for line in ("registry.example.com", "a b sv://x/y", "a once/registry", "a sv://x/y\na sv://x/y"):
        told(place, line)
        assert place.run(HELPER, "get", stdin=b"a").code == 2, line
    done = place.run(HELPER, "get", stdin=b"\x1b[2J\n" * 20_000)
    assert done.code == 2 and b"\x1b" not in done.out + done.err
    assert place.cards() == []
