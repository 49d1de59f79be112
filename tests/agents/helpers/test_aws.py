"""`credential_process`, asked by botocore: a profile, a signed request, the end of a lease."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.agents.helpers.conftest import Place, nothing_leaks
from tests.agents.helpers.serving import serving
from tests.world import STILLVAULT

KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "a session token+/=" * 20
LOAD = """
import json, sys
import botocore.session
credentials = botocore.session.Session(profile="prod").get_credentials()
for _ in range(int(sys.argv[1])):
    frozen = credentials.get_frozen_credentials()
print(json.dumps([frozen.access_key, frozen.secret_key, frozen.token, credentials.method]))
"""
CALL = """
import sys
import botocore.session
client = botocore.session.Session(profile="prod").create_client("sts", region_name="eu-north-1", endpoint_url=sys.argv[1])
print(client.get_caller_identity()["Account"])
"""
ANSWER = b"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>a</Arn><UserId>u</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""


def profile(place: Place, words: str) -> dict[str, str]:
    """The environment of an SDK whose profile `prod` asks the helper."""
    file = place.work / "aws-config"
    file.write_text(f"[profile prod]\nregion = eu-north-1\ncredential_process = stillvault credential aws {words}\n")
    return {"AWS_CONFIG_FILE": str(file), "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def aws() -> Iterator[tuple[str, list[str]]]:
    """A server that answers one call; gives its URL and the Authorization headers that came."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

    with serving(Handler) as address:
        yield f"http://{address}", seen


def test_botocore_loads_a_profile(place: Place, aws: tuple[str, list[str]]) -> None:
    place.seal("once/aws", json.dumps({"AccessKeyId": KEY, "SecretAccessKey": SECRET}))
    settings = profile(place, "--ref sv://once/aws")
    done, card = place.approved(sys.executable, "-c", LOAD, "3", **settings)
    assert done.code == 0, done.said
    assert json.loads(done.out) == [KEY, SECRET, None, "custom-process"]  # once asked, kept by the process: no lease, no end
    assert Path(card["exe"]).name.startswith("python")
    assert card["claimed"]["argv"] == ["aws", "credential_process"]
    url, seen = aws
    done, _ = place.approved(sys.executable, "-c", CALL, url, **settings)
    assert done.text.strip() == "123456789012", done.said
    assert len(seen) == 1 and f"Credential={KEY}/" in seen[0]
    nothing_leaks(done, SECRET)


def test_a_lease_is_an_end_and_brings_the_sdk_back(place: Place) -> None:
    place.alice.ok("policy", "set", "own", "--match", "own/**", "--people", "alice", "--window", "5m", "--lease-scope", "process")
    place.seal("own/aws", f"AWS_ACCESS_KEY_ID={KEY}\nAWS_SECRET_ACCESS_KEY={SECRET}\nAWS_SESSION_TOKEN='{TOKEN}'\n")
    before = place.host.json("leases")["leases"]
    # Five minutes are less than what botocore takes for fresh: it comes back at each use, and the lease answers.
    done, _ = place.approved(sys.executable, "-c", LOAD, "3", **profile(place, "--ref sv://own/aws"))
    assert json.loads(done.out) == [KEY, SECRET, TOKEN, "custom-process"], done.said
    assert place.cards() == [] and before == []


def test_the_answer_is_of_version_1(place: Place) -> None:
    place.alice.ok("policy", "set", "own", "--match", "own/**", "--people", "alice", "--window", "5m", "--lease-scope", "process")
    place.seal("own/parts", json.dumps({"id": KEY, "key": SECRET}))
    place.seal("own/token", TOKEN)
    words = [STILLVAULT, "credential", "aws", "--id-ref", "sv://own/parts#id", "--key-ref", "sv://own/parts#key"]
    done, card = place.approved(*words, "--token-ref", "sv://own/token")
    answer = json.loads(done.out)
    left = datetime.fromisoformat(answer.pop("Expiration")) - datetime.now(UTC)
    assert timedelta(minutes=3) < left <= timedelta(minutes=5)
    assert answer == {"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET, "SessionToken": TOKEN}
    assert {one["secret"] for one in card["requests"]} == {"own/parts", "own/token"}  # one card for all
    place.seal("once/ends", json.dumps({"AccessKeyId": KEY, "SecretAccessKey": SECRET, "Expiration": "2027-01-01T00:00:00Z"}))
    done, _ = place.approved(STILLVAULT, "credential", "aws", "--ref", "sv://once/ends")
    assert json.loads(done.out)["Expiration"] == "2027-01-01T00:00:00Z"


@pytest.mark.parametrize(("name", "value", "why"), [
    ("plain", SECRET, "no field AccessKeyId"), ("half", json.dumps({"AccessKeyId": KEY}), "no field SecretAccessKey"),
    ("line", json.dumps({"AccessKeyId": KEY, "SecretAccessKey": SECRET + "\n"}), "holds a line end"),
    ("zero", json.dumps({"AccessKeyId": KEY + "\0", "SecretAccessKey": SECRET}), "holds a zero byte"),
    ("time", json.dumps({"AccessKeyId": KEY, "SecretAccessKey": SECRET, "Expiration": "tomorrow"}), "field Expiration"),
    ("binary", b"\xff" * 61_440, "no field AccessKeyId")])
def test_what_is_no_key_is_refused(place: Place, name: str, value: str | bytes, why: str) -> None:
    place.seal(f"once/hostile-{name}", value)
    done, _ = place.approved(STILLVAULT, "credential", "aws", "--ref", f"sv://once/hostile-{name}")
    assert (done.code, done.out) == (1, b"")
    assert why in done.said
    nothing_leaks(done, SECRET)


def test_refusals_reach_the_sdk(place: Place) -> None:
    settings = profile(place, "--ref sv://once/aws")
    denied = place.denied(sys.executable, "-c", LOAD, "1", **settings)
    assert denied.code != 0 and "CredentialRetrievalError" in denied.said and "denied" in denied.said
    settings["STILLVAULT_SOCKET"] = str(place.work / "absent.sock")
    silent = place.run(sys.executable, "-c", LOAD, "1", **settings)
    assert silent.code != 0 and "CredentialRetrievalError" in silent.said and "no daemon" in silent.said
    for words in ([], ["--id-ref", "sv://a"], ["--ref", "sv://a", "--key-ref", "sv://b"], ["--ref", "sv://a", "get"],
                  ["--ref", "a"]):
        assert place.run(STILLVAULT, "credential", "aws", *words).code == 2, words
