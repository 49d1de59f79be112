"""The console as static files, its headers, and the cookie that a browser signs in with. A18, C15."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from pathlib import Path

import apsw
import pytest

from stillvault.crypto.public import b64encode, encode, sha256
from stillvault.relay import static
from stillvault.relay.journal import Journal
from stillvault.relay.problems import ProblemError
from stillvault.relay.store import schema
from tests.relay.parties import Organisation, wire
from tests.relay.process import Answer, RelayProcess

PACKAGE = Path(__file__).resolve().parents[2] / "stillvault" / "console"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; manifest-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types stillvault"
)
COOKIE = "__Host-stillvault"


def cookie_login(org: Organisation, signer: str, /, **changes: object) -> Answer:
    device = org.devices[signer]
    nonce = org.relay.call("POST", "/v1/login/nonce", {}).ok()["nonce"]
    said = {"org": org.pin, "origin": org.relay.url, "nonce": nonce, "issued": int(time.time())}
    signed = wire(device.auth.sign("login", encode(said)))[0]
    body = {"login": signed, "person": signer, "device": device.id, "cookie": True, "label": "Chromium on Linux", **changes}
    sent = {name: value for name, value in body.items() if value != ""}
    return org.relay.call("POST", "/v1/login", sent, headers={"Origin": org.relay.url})


def cookie_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


# ---- files ---------------------------------------------------------------------------------------------------------------


def test_every_file_of_the_manifest_is_served_as_it_says(relay: RelayProcess) -> None:
    manifest = json.loads((PACKAGE / "console.json").read_bytes())
    assert relay.call("GET", "/console.json").ok() == manifest
    assert manifest["headers"]["content-security-policy"] == POLICY
    assert {"index.html"} < set(manifest["files"])
    for name, file in manifest["files"].items():
        answer = relay.call("GET", f"/{name}")
        assert (answer.status, hashlib.sha256(answer.body).hexdigest()) == (200, file["sha256"]), name
        assert answer.headers["content-type"] == file["type"]
        immutable = "immutable" in answer.headers["cache-control"]
        assert immutable == name.startswith("assets/")
        for header, value in manifest["headers"].items():
            assert answer.headers[header] == value, name


@pytest.mark.parametrize("path", ["/", "/setup", "/join/person", "/secrets/prod/db", "/signin", "/pending/abc"])
def test_a_screen_is_the_application(relay: RelayProcess, path: str) -> None:
    answer = relay.call("GET", path)
    assert answer.body == (PACKAGE / "index.html").read_bytes()
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["permissions-policy"].count("=(self)") == 3
    for name in ("x-content-type-options", "referrer-policy", "strict-transport-security"):
        assert answer.headers[name]


def test_what_is_no_file_is_none(relay: RelayProcess) -> None:
    for path in ("/assets", "/assets/nothing.js", "/console", "/index.htm", "/__init__.py", "/etc/passwd", "/assetsx"):
        assert relay.call("GET", path).code == "not-found", path
    assert relay.call("GET", "/assets/../console.json").code == "path-form"
    assert relay.call("POST", "/", {}).code == "method"
    # What the API answers keeps its own policy: no page at all.
    answer = relay.call("GET", "/v1/environment")
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["cache-control"] == "no-store"


def test_a_browser_that_lost_its_way_gets_a_page_and_a_program_the_problem(relay: RelayProcess) -> None:
    chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    for path in ("/nothing", "/v1/nothing", "/assets/nothing.js", "/secret/prod"):
        page = relay.call("GET", path, headers={"Accept": chromium})
        assert (page.status, page.body) == (404, (PACKAGE / "index.html").read_bytes()), path
        assert page.headers["content-security-policy"] == POLICY
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        # It is no file of that path: nothing keeps it, and no tag vouches for it.
        assert (page.headers["cache-control"], "etag" in page.headers) == ("no-store", False)
        assert "accept" in page.headers["vary"]
        for accept in ("application/json", "*/*", "text/html;q=0, */*", "text/htmlx"):
            assert relay.call("GET", path, headers={"Accept": accept}).code == "not-found", (path, accept)
    # A path in another spelling than its own is refused as ever; who typed it sees a page, and the connection ends.
    typed = relay.call("GET", "/people/", headers={"Accept": chromium})
    assert (typed.status, typed.headers["connection"], typed.body) == (400, "close", (PACKAGE / "index.html").read_bytes())
    assert relay.call("GET", "/people/").code == "path-form"
    # What a route itself refuses stays a problem, whoever asks; so does what is not asked for with GET.
    assert relay.call("GET", "/v1/session", headers={"Accept": chromium}).code == "sign-in"
    assert relay.call("POST", "/nothing", {}, headers={"Accept": chromium}).code == "not-found"
    assert relay.call("GET", "/nothing?Q=1", headers={"Accept": chromium}).code == "query"
    packed = relay.call("GET", "/nothing", headers={"Accept": chromium, "Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body) == (PACKAGE / "index.html").read_bytes()


def test_a_browser_may_have_it_packed_and_need_not_fetch_it_twice(relay: RelayProcess) -> None:
    manifest = json.loads((PACKAGE / "console.json").read_bytes())
    script = next(f"/{name}" for name in manifest["files"] if name.endswith(".js") and name.startswith("assets/index"))
    plain, packed = relay.call("GET", script), relay.call("GET", script, headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert "content-encoding" not in relay.call("GET", script, headers={"Accept-Encoding": "gzip;q=0"}).headers
    again = relay.call("GET", "/", headers={"If-None-Match": relay.call("GET", "/").headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["content-security-policy"] == POLICY
    assert relay.call("HEAD", "/").body == b""


# ---- the cookie ----------------------------------------------------------------------------------------------------------


def test_a_browser_signs_in_by_a_cookie_that_no_script_reads(org: Organisation) -> None:
    made = cookie_login(org, "ben")
    assert made.ok()["token"] == ""
    attributes = {part.strip() for part in made.headers["set-cookie"].split(";")[1:]}
    assert attributes >= {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
    assert not [one for one in attributes if one.startswith("Domain")]
    assert 28_700 <= made.ok()["expires"] - time.time() <= 28_800
    cookie = {"Cookie": cookie_of(made)}
    who = org.relay.call("GET", "/v1/session", headers=cookie).ok()
    assert (who["person"], who["device"], who["roles"]) == ("ben", "ben-phone", ["approver"])
    # Nothing of the bearer is on the disk, and neither form works as the other.
    token = cookie_of(made).partition("=")[2]
    database = b"".join(path.read_bytes() for path in org.relay.data.glob("stillvault.db*"))
    assert token.encode() not in database
    assert sha256(token.encode()) not in database
    assert org.relay.call("GET", "/v1/session", token=token).code == "sign-in"
    as_cookie = {"Cookie": f"{COOKIE}={org.devices['ben'].session}"}
    assert org.relay.call("GET", "/v1/session", headers=as_cookie).code == "sign-in"


def test_a_cookie_counts_only_for_the_console_itself(org: Organisation) -> None:  # C15
    cookie, own = {"Cookie": cookie_of(cookie_login(org, "alice"))}, org.relay.url
    call = org.relay.call
    assert call("POST", "/v1/sessions/end", {"id": "x"}, headers=cookie).code == "origin"
    assert call("POST", "/v1/sessions/end", {"id": "x"}, headers={**cookie, "Origin": own}).code == "unknown"
    assert call("POST", "/v1/sessions/end", {}, headers={**cookie, "Origin": "https://evil.example"}).code == "origin"
    assert call("POST", "/v1/sessions/end", {}, headers={**cookie, "Origin": "null"}).code == "origin"
    for site in ("cross-site", "same-site", "none", "same-origin, same-origin"):
        assert call("POST", "/v1/sessions/end", {}, headers={**cookie, "Origin": own, "Sec-Fetch-Site": site}).code == "origin"
    for site, code in (("cross-site", "origin"), ("same-site", "origin"), ("none", ""), ("same-origin", "")):
        assert call("GET", "/v1/session", headers={**cookie, "Sec-Fetch-Site": site}).code == code
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert call("POST", "/v1/logout", {}, headers={**cookie, "Origin": own, "Content-Type": kind}).status == 415
    # Never beside an Authorization, good or bad; never twice.
    assert call("GET", "/v1/session", token="x" * 43, headers=cookie).code == "sign-in"
    assert call("GET", "/v1/session", headers={**cookie, "Authorization": "Basic eDp5"}).code == "sign-in"
    twice = {"Cookie": f"{cookie['Cookie']}; {cookie['Cookie']}"}
    assert call("GET", "/v1/session", headers=twice).code == "sign-in"
    # A sign-in by cookie needs a browser that says who asks.
    device = org.devices["ben"]
    assert org.login(device.auth, person="ben", device=device.id, cookie=True).code == "origin"  # type: ignore[arg-type]


def test_only_a_rostered_passkey_has_an_owner(org: Organisation) -> None:  # the other half: tests/console/test_signin.py
    for unknown in (b64encode(sha256(b"nobody")), "", "ben-phone"):
        assert org.relay.call("POST", "/v1/login/credential", {"credential": unknown}).code == "unknown"


# ---- sessions ------------------------------------------------------------------------------------------------------------


def test_a_person_sees_and_ends_their_sessions(org: Organisation) -> None:
    relay, own = org.relay, {"Origin": org.relay.url}
    first, second = ({"Cookie": cookie_of(cookie_login(org, "ben")), **own} for _ in range(2))
    bearer = org.devices["ben"].session
    listed = relay.call("GET", "/v1/sessions", headers=first).ok()["sessions"]
    assert [one["label"] for one in listed if one.get("current")] == ["Chromium on Linux"]
    assert len(listed) == 3  # two cookies, one bearer
    assert all(abs(one["last_seen"] - time.time()) < 60 for one in listed)
    other = next(one["id"] for one in relay.call("GET", "/v1/sessions", headers=second).ok()["sessions"] if one.get("current"))
    assert relay.call("POST", "/v1/sessions/end", {"id": other}, headers=first).ok() == {"count": 1}
    assert relay.call("GET", "/v1/session", headers=second).code == "sign-in"
    # Somebody else's are not theirs to end.
    alice = org.admin.get("/v1/sessions").ok()["sessions"][0]["id"]
    assert relay.call("POST", "/v1/sessions/end", {"id": alice}, headers=first).code == "unknown"
    everywhere = relay.call("POST", "/v1/sessions/end", {}, headers=first)
    assert everywhere.ok()["count"] >= 2
    assert "Max-Age=0" in everywhere.headers["set-cookie"]
    assert relay.call("GET", "/v1/session", headers=first).code == "sign-in"
    assert relay.call("GET", "/v1/session", token=bearer).code == "sign-in"
    assert org.admin.get("/v1/session").ok()["person"] == "alice"


def test_logout_takes_the_cookie_back(org: Organisation) -> None:
    cookie = {"Cookie": cookie_of(cookie_login(org, "ben")), "Origin": org.relay.url}
    assert "Max-Age=0" in org.relay.call("POST", "/v1/logout", {}, headers=cookie).headers["set-cookie"]
    assert org.relay.call("GET", "/v1/session", headers=cookie).code == "sign-in"


def test_a_cookie_ends_with_the_device(org: Organisation) -> None:
    cookie = {"Cookie": cookie_of(cookie_login(org, "ben"))}
    assert org.relay.call("GET", "/v1/session", headers=cookie).status == 200
    org.policy = {**org.policy, "people": ["alice"]}
    del org.devices["ben"]
    org.publish().ok()
    assert org.relay.call("GET", "/v1/session", headers=cookie).code == "sign-in"


def test_the_environment_before_and_after_the_organisation(relay: RelayProcess) -> None:
    before = relay.call("GET", "/v1/environment").ok()
    assert before == {"public_url": relay.url, "host_ok": True, "organisation": False}
    org = Organisation(relay).create()
    after = relay.call("GET", "/v1/environment", headers={"Host": f"127.0.0.1:{relay.port}"}).ok()
    assert after == {"public_url": relay.url, "host_ok": False, "organisation": True, "org_id": org.pin, "name": "Tests"}


def test_signing_out_everywhere_ends_what_listens(org: Organisation) -> None:
    cookie = {"Cookie": cookie_of(cookie_login(org, "ben")), "Sec-Fetch-Site": "same-origin"}
    stream = org.relay.connection()
    stream.request("GET", "/v1/stream", headers=cookie)
    answer = stream.getresponse()
    assert (answer.status, answer.readline()) == (200, b": stillvault\n")
    org.devices["ben"].post("/v1/sessions/end", {}).ok()
    assert b"data:" not in answer.read()  # to its end
    stream.close()


# ---- a relay without one, and one that was made before -----------------------------------------------------------------------


def fake(folder: Path, **files: bytes) -> Path:
    """A console of these files, with a list that fits."""
    listed = {
        name.replace("_", "."): {"sha256": hashlib.sha256(content).hexdigest(), "type": "text/html", "cache": "no-cache"}
        for name, content in files.items()
    }
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    manifest = {"v": 1, "version": "0", "headers": {"x-test": "1"}, "screens": ["setup"], "files": listed}
    (folder / "console.json").write_text(json.dumps(manifest))
    return folder


def test_a_package_without_a_console_says_so(tmp_path: Path) -> None:
    journal = Journal("error")
    for folder in (tmp_path / "none", tmp_path):
        empty = static.load(journal, folder)
        for path in ("/", "/setup", "/join/person", "/console.json", "/assets/x.js"):
            with pytest.raises(ProblemError) as refused:
                empty.find(path)
            assert (refused.value.code, refused.value.status) == ("no-console", 404)
        assert empty.find("/v1/trust") is None
    assert static.load(journal, fake(tmp_path, index_html=b"<p>", sw_js=b"1")).find("/setup") is not None


def test_a_damaged_console_is_not_served(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fake(tmp_path, index_html=b"<p>", sw_js=b"1")
    whole = (tmp_path / "console.json").read_text()
    damages = {"sw.js": b"2", "console.json": b"{", "index.html": b"<q>"}
    for name, content in damages.items():
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ProblemError):
            static.load(Journal("warning"), tmp_path).find("/")
        (tmp_path / name).write_bytes(kept)
    assert capfd.readouterr().err.count("damaged") == len(damages)
    assert (tmp_path / "console.json").read_text() == whole
    assert static.load(Journal("warning"), tmp_path).find("/") is not None


def test_a_relay_of_before_goes_on(org: Organisation) -> None:
    """A database of the first schema, with a session, an invite and a request in it, is brought up to date."""
    client, secret = org.client(), org.seal()
    request, _, _ = client.ask()
    org.relay.stop()
    path = org.relay.data / "stillvault.db"
    with_all = apsw.Connection(str(path))
    old = apsw.Connection(str(path.with_name("old.db")))
    first, *_ = schema.migrations()
    old.execute(first)
    for (table,) in list(old.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")):
        columns = ", ".join(row[1] for row in old.execute(f"PRAGMA table_info({table})"))
        marks = ", ".join("?" * len(columns.split(", ")))
        old.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", with_all.execute(f"SELECT {columns} FROM {table}"))
    old.execute(f"PRAGMA application_id={schema.APPLICATION_ID}; PRAGMA user_version=1; PRAGMA journal_mode=wal")
    for connection in (with_all, old):
        connection.close()
    for left in org.relay.data.glob("stillvault.db*"):
        left.unlink()
    path.with_name("old.db").rename(path)
    path.chmod(0o600)
    org.relay.start()
    assert org.admin.get("/v1/sessions").ok()["sessions"][0]["device"] == "alice-laptop"
    assert {one["subject"] for one in org.admin.get("/v1/invites").ok()["invites"]} == {"ben", "host/db-1"}
    org.approve(org.admin, client, (request, secret)).ok()
    client.receipt(request, secret).ok()
    assert [one["path"] for one in org.admin.get("/v1/leases").ok()["leases"]] == ["prod/db"]
    assert org.relay.command("doctor", "--data", str(org.relay.data)).returncode == 0
