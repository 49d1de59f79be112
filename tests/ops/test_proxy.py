"""A relay behind a proxy: whom limits count, and the recipes of appliance/proxy with the real nginx and Caddy. N4, N6."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stillvault.relay.configured import load
from stillvault.relay.forwarded import FORWARDED, X_FORWARDED_FOR, client_of, networks, peer_of
from stillvault.relay.settings import BadSetting
from tests.relay.parties import Organisation
from tests.relay.process import PATIENCE, RelayProcess
from tests.world import free_port

RECIPES = Path(__file__).parents[2] / "appliance" / "proxy"
TRUSTED = networks(["10.0.0.0/8", "192.168.7.1", "fd00::/64"])


@pytest.mark.parametrize(
    ("address", "lines", "client"),
    [
        ("203.0.113.9", ["10.0.0.5"], "203.0.113.9"),  # not from a proxy of ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),  # what stands left the client may have written
        ("10.0.0.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 192.168.7.1, 10.3.3.3"], "203.0.113.9"),  # a chain of ours
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, nonsense, 10.0.0.4"], "10.0.0.4"),
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("fd00::1", ["[2001:db8::5]:80"], "2001:db8::5"),
        ("fd01::1", ["203.0.113.9"], "fd01::1"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["127.1"], "10.0.0.1"),
        ("10.0.0.1", [", ".join(["10.0.0.9"] * 5000)], "10.0.0.9"),
    ],
)
def test_the_right_most_address_that_is_not_ours(address: str, lines: list[str], client: str) -> None:  # N6
    headers = [(b"x-forwarded-for", line.encode()) for line in lines] + [(b"forwarded", b"for=198.51.100.1")]
    assert client_of(address, headers, TRUSTED, X_FORWARDED_FOR) == client


@pytest.mark.parametrize(
    ("line", "client"),
    [
        ("for=203.0.113.9", "203.0.113.9"),
        ('For="[2001:db8::5]:4711"; proto=https; by=10.0.0.1', "2001:db8::5"),
        ("for=198.51.100.1, for=203.0.113.9;host=evil", "203.0.113.9"),
        ("for=_hidden", "10.0.0.1"),
        ("for=unknown", "10.0.0.1"),
        ("for=1.1.1.1;for=2.2.2.2", "10.0.0.1"),
        ("by=203.0.113.9", "10.0.0.1"),
    ],
)
def test_forwarded_where_the_operator_says_so(line: str, client: str) -> None:
    headers = [(b"forwarded", line.encode()), (b"x-forwarded-for", b"198.51.100.7")]
    assert client_of("10.0.0.1", headers, TRUSTED, FORWARDED) == client


def test_one_network_of_ipv6_is_one_peer() -> None:
    assert peer_of("2001:db8::1") == peer_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert peer_of("2001:db8:0:1::1") != peer_of("2001:db8::1")
    assert peer_of("::ffff:192.0.2.1") == peer_of("192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("listed", ["10.0.0.1/8", "proxy.corp", "0.0.0.0/0", "::/0", "10.0.0.0/33"])
def test_what_cannot_be_trusted(directory: Path, listed: str) -> None:
    with pytest.raises(BadSetting, match="trusted_proxies"):
        load({"data": str(directory)}, {"STILLVAULT_RELAY_TRUSTED_PROXIES": listed})


@pytest.mark.parametrize(("trusted", "passed"), [("127.0.0.1", 6), ("192.0.2.1", 3)], ids=["trusted", "not trusted"])
def test_limits_count_the_client_and_nobody_gets_out_of_them_by_a_header(directory: Path, trusted: str, passed: int) -> None:
    relay = RelayProcess(directory / "data", **{"trusted_proxies": trusted, "limits.nonces_per_minute": "3"}).start()
    seen = []
    for number in range(8):  # two clients, each with another lie in front every time
        headers = {"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.{number % 2}", "Forwarded": f"for=192.0.2.{number}"}
        seen.append(relay.call("POST", "/v1/login/nonce", {}, headers=headers).status)
    assert relay.stop() == 0
    assert seen.count(201) == passed, seen
    assert set(seen) == {201, 429}


# ---- the recipes -----------------------------------------------------------------------------------------------------------


@contextmanager
def program(folder: Path, *words: str, **environment: str) -> Iterator[None]:
    log = (folder / "proxy.log").open("wb")
    environ = {"PATH": os.environ["PATH"] + ":/usr/sbin", **environment}
    running = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder, env=environ)
    try:
        yield
    finally:
        running.terminate()
        running.wait(PATIENCE)
        log.close()


def until(what: Callable[[], object], folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            if what():
                return
        except OSError:
            pass
        assert time.monotonic() < end, (folder / "proxy.log").read_text()[-2000:]
        time.sleep(0.05)


def recipe(name: str, folder: Path, changes: dict[str, str]) -> Path:
    text = (RECIPES / name).read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return folder / name


@contextmanager
def started(directory: Path, port: int, inner: int, **settings: str) -> Iterator[RelayProcess]:
    """A relay that is reached by the proxy's port alone: its `call`, and an organisation on it, go through the proxy."""
    given = {"public_url": f"https://localhost:{port}", "trusted_proxies": "127.0.0.1", "limits.nonces_per_minute": "30"}
    relay = RelayProcess(directory / "data", **given, **settings)
    relay.port = inner
    relay.start()
    assert relay.port == port
    if "tls_anchor" in settings:
        relay.ca = Path(settings["tls_anchor"])
    try:
        yield relay
    finally:
        status = relay.stop()
    assert status == 0


def holds(relay: RelayProcess) -> None:
    """Calls, an event stream that comes through while it is open, and a client that cannot lie about who it is."""
    org = Organisation(relay).create()
    assert relay.call("GET", "/ca.pem").body.strip() == relay.ca.read_bytes().strip(), "devices fetch what vouches for the proxy"
    stream = relay.connection()
    stream.request("GET", "/v1/stream", headers={"Accept": "text/event-stream", "Authorization": f"Bearer {org.admin.session}"})
    answer = stream.getresponse()
    assert (answer.status, (answer.getheader("content-type") or "").partition(";")[0]) == (200, "text/event-stream")
    assert answer.readline()
    org.seal("prod/behind")
    org.client("host/db-1").ask("prod/behind")[2].ok()
    while b"data:" not in (line := answer.readline()):
        assert line, "the stream ended"
    assert json.loads(line.partition(b":")[2])
    stream.close()
    nonces = [relay.call("POST", "/v1/login/nonce", {}, headers={"X-Forwarded-For": f"198.51.100.{n}"}).status for n in range(40)]
    assert nonces[-1] == 429, "forty callers, or one that lies: it is one"


def test_behind_nginx(directory: Path) -> None:
    port, inner = free_port(), free_port()
    with started(directory, port, inner) as relay:
        tls = relay.data / "tls"
        conf = recipe("nginx.conf", directory, {
            "listen 443": f"listen 127.0.0.1:{port}", "127.0.0.1:8443": f"127.0.0.1:{inner}", "vault.corp.internal": "localhost",
            "/etc/stillvault/front/chain.pem": str(tls / "relay.pem"), "/etc/stillvault/front/key.pem": str(tls / "relay.key"),
            "/var/lib/stillvault/tls/ca.pem": str(tls / "ca.pem"), "worker_processes auto": "worker_processes 1",
        })  # fmt: skip
        private = f"daemon off; pid {directory}/nginx.pid; error_log stderr;" + (" user root;" if os.geteuid() == 0 else "")
        with program(directory, "nginx", "-p", str(directory), "-c", str(conf), "-g", private):
            until(lambda: relay.call("GET", "/livez").status == 200, directory)
            holds(relay)


def test_behind_caddy(directory: Path) -> None:
    """Caddy's own authority in front: the relay gives its root to devices, and shows its own certificate to Caddy alone."""
    port, inner = free_port(), free_port()
    before = RelayProcess(directory / "data").start()  # makes the CA that Caddy is told
    assert before.stop() == 0
    conf = recipe("Caddyfile", directory, {
        "https://vault.corp.internal": f"https://localhost:{port}", "https://127.0.0.1:8443": f"https://127.0.0.1:{inner}",
        "/var/lib/stillvault/tls/ca.pem": str(directory / "data" / "tls" / "ca.pem"),
        "admin off": f"admin off\n\thttp_port {free_port()}\n\thttps_port {port}",
    })  # fmt: skip
    root = directory / "xdg" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    home = {"HOME": str(directory), "XDG_DATA_HOME": str(directory / "xdg"), "XDG_CONFIG_HOME": str(directory / "xdg")}
    with program(directory, "caddy", "run", "--adapter", "caddyfile", "--config", str(conf), **home):
        until(root.exists, directory)
        with started(directory, port, inner, tls_anchor=str(root)) as relay:
            until(lambda: relay.call("GET", "/livez").status == 200, directory)
            holds(relay)
