"""A first start: the log says where to go on and what to compare; a name that no passkey could be bound to is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stillvault.relay.refusals import public_host
from stillvault.relay.settings import BadSetting
from tests.relay.process import RelayProcess


def lines(relay: RelayProcess) -> dict[str, dict[str, object]]:
    found = [json.loads(line) for line in relay.stderr]
    return {one["event"]: one for one in found}


def test_the_log_names_the_setup_url_and_the_fingerprint(directory: Path) -> None:
    relay = RelayProcess(directory / "data", setup_token="")
    del relay.settings["setup_token"]
    relay.start()
    said = relay.command("fingerprint", "--data", str(relay.data)).stdout.decode().strip()
    assert relay.call("GET", "/livez").status == 200
    assert relay.stop() == 0
    log = lines(relay)
    assert log["fingerprint of the certificate that clients pin"]["fingerprint"] == said
    first = log["no organisation yet"]
    url = str(first["setup"])
    assert url.startswith(f"{relay.url}/setup#")
    assert first["minutes"] == 30
    relay.start()
    token = url.rpartition("#")[2]
    opened = relay.call("POST", "/v1/setup", {}, token=token)
    assert opened.status != 401, "the token of the log counts"
    assert relay.call("POST", "/v1/setup", {}, token=token[::-1]).status == 401
    assert relay.stop() == 0


def test_a_token_of_the_operators_own_is_never_shown(directory: Path) -> None:
    relay = RelayProcess(directory / "data").start()
    assert relay.stop() == 0
    assert relay.settings["setup_token"].encode() not in b"".join(relay.stderr)
    assert "setup" not in lines(relay)["no organisation yet"]


@pytest.mark.parametrize(
    "url",
    ["https://10.0.0.7:8443", "https://127.0.0.1", "https://[::1]:8443", "https://0x7f.1", "https://1.2.3", "https://example.5", "https://2130706433"],
)  # fmt: skip
def test_an_address_is_no_public_url(directory: Path, url: str) -> None:
    refused = RelayProcess(directory / "data").command("serve", "--data", str(directory / "data"), "--public-url", url)
    assert refused.returncode == 78
    assert "it is an IP address; passkeys work for DNS names alone" in refused.stderr.decode()
    assert "https://vault.corp.internal" in refused.stderr.decode()


@pytest.mark.parametrize(
    "url", ["https://vault", "https://vault.corp.internal:8443", "https://10-0-0-7.corp", "https://1.example", "https://localhost:1"]
)
def test_a_name_is(url: str) -> None:
    assert public_host(url)[0] in url


@pytest.mark.parametrize(
    "url", ["https://a..b", "https://-a.b", "https://a-.b", "https://a.b.", f"https://{'a' * 64}.b", "https://a_b.c", "https://A.b"]
)
def test_what_is_no_name(url: str) -> None:
    with pytest.raises(BadSetting, match="it is not https://name"):
        public_host(url)
