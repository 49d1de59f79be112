"""The certificate while the relay runs: a renewed one is taken up, a broken one is not, and nobody who pinned is locked out."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from stillvault.relay import tls
from tests.relay.process import PATIENCE, RelayProcess

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Own:
    """An authority of the operator's, and the pair that the relay is given."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.made, self.chain, self.key = folder / "made", folder / "chain.pem", folder / "key.pem"
        self.made.mkdir()
        self.issue(["localhost"])
        self.ca = (self.made / "tls" / "ca.pem").read_bytes()

    def issue(self, names: list[str], when: datetime.datetime = NOW) -> int:
        """A new leaf in place of the one before. Returns its number."""
        for name in ("relay.pem", "relay.key"):
            (self.made / "tls" / name).unlink(missing_ok=True)
        chain, key = tls.prepare(self.made, names, when)
        for source, target in ((key, self.key), (chain, self.chain)):
            shutil.copy(source, target.with_suffix(".new"))
            target.with_suffix(".new").chmod(0o600)
            target.with_suffix(".new").rename(target)
        return x509.load_pem_x509_certificates(chain.read_bytes())[0].serial_number


@pytest.fixture
def own(directory: Path) -> Own:
    return Own(directory / "own")


def served(relay: RelayProcess, own: Own) -> int:
    """The number of the certificate that a new connection is shown, verified as a client does."""
    context = ssl.create_default_context(cadata=own.ca.decode())
    plain = socket.create_connection(("127.0.0.1", relay.port), timeout=PATIENCE)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        der = connection.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der).serial_number


def until(what: Callable[[], bool], said: str = "") -> None:
    """Waits for something that the relay does by itself."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, said
        time.sleep(0.05)


def log_of(relay: RelayProcess) -> str:
    return b"".join(relay.stderr).decode()


def test_a_renewed_pair_is_taken_up_and_a_broken_one_is_not(directory: Path, own: Own) -> None:
    relay = RelayProcess(directory / "data", tls_cert=str(own.chain), tls_key=str(own.key)).start()
    first = served(relay, own)
    kept = socket.create_connection(("127.0.0.1", relay.port), timeout=PATIENCE)
    old = ssl.create_default_context(cadata=own.ca.decode()).wrap_socket(kept, server_hostname="localhost")
    second = own.issue(["localhost"])
    relay.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    until(lambda: served(relay, own) == second, "the renewed certificate is not served")
    assert second != first
    old.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert old.recv(4096).startswith(b"HTTP/1.1 200"), "a connection goes on with what it began with"
    old.close()

    good = own.chain.read_bytes()
    for broken, reason in ((b"no certificate\n", "no certificate in PEM"), (good[: len(good) // 2], "")):
        own.chain.write_bytes(broken)
        said = log_of(relay).count("new certificate not taken")
        until(lambda said=said: log_of(relay).count("new certificate not taken") > said, "nothing is said")  # without a signal
        assert reason in log_of(relay)
        assert served(relay, own) == second
    third = own.issue(["localhost"])
    until(lambda: served(relay, own) == third, "without a signal, by the files")
    assert relay.command("fingerprint", "--data", str(relay.data)).stdout.decode().strip() == tls.fingerprint(own.ca)
    assert relay.stop() == 0
    assert "PRIVATE KEY" not in log_of(relay)


def test_a_look_that_fails_is_not_the_last(directory: Path, own: Own) -> None:
    relay = RelayProcess(directory / "data", tls_cert=str(own.chain), tls_key=str(own.key)).start()
    pem = own.chain.read_bytes()
    blocked = directory / "data" / "own-chain.pem.part"
    blocked.mkdir()  # as with a full disk, the copy of the chain cannot be kept
    own.issue(["localhost"])
    os.kill(relay.pid, signal.SIGHUP)
    until(lambda: "not taken" in log_of(relay), log_of(relay))
    blocked.rmdir()
    second = own.issue(["localhost"])
    assert own.chain.read_bytes() != pem
    os.kill(relay.pid, signal.SIGHUP)
    until(lambda: served(relay, own) == second, log_of(relay))
    assert relay.stop() == 0


def test_a_chain_that_is_not_there_and_one_that_is_none_are_told_apart(directory: Path) -> None:
    relay = RelayProcess(directory / "data")
    missing = relay.command("fingerprint", "--data", str(relay.data))
    assert missing.returncode == 78
    said = b"ca.pem: tls: it cannot be read (No such file or directory). Start the relay once, or name the chain."
    assert said in missing.stderr
    (directory / "chain.pem").write_text("no certificate\n")
    none = relay.command("fingerprint", "--data", str(relay.data), "--tls-cert", str(directory / "chain.pem"))
    assert none.returncode == 78
    assert b"chain.pem: tls: it holds no certificate in PEM. Bring the chain again." in none.stderr


@pytest.mark.parametrize(
    ("names", "when", "reason"),
    [
        (["other.example"], NOW, "Hostname mismatch"),
        (["localhost"], NOW - 400 * DAY, "certificate has expired"),
        (["localhost"], NOW + 30 * DAY, "certificate is not yet valid"),
    ],
    ids=["another name", "expired", "not yet valid"],
)
def test_what_clients_would_refuse_is_not_served(
    directory: Path, own: Own, names: list[str], when: datetime.datetime, reason: str
) -> None:
    relay = RelayProcess(directory / "data", tls_cert=str(own.chain), tls_key=str(own.key)).start()
    first = served(relay, own)
    own.issue(names, when)
    relay.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    until(lambda: reason in log_of(relay), "the reason is not said")
    assert served(relay, own) == first
    assert relay.stop() == 0
    for verb in (["serve", "--listen", "127.0.0.1:0"], ["config", "check"]):
        again = relay.command(*verb, "--data", str(relay.data))
        assert again.returncode == 78, "and a relay does not start with it"
        assert reason in again.stderr.decode()
    assert reason in relay.command("doctor", "--data", str(relay.data)).stdout.decode()


def test_files_that_cannot_be_used_are_said_before_a_start(directory: Path, own: Own) -> None:
    """By `config check`, which makes nothing."""
    (directory / "open.key").write_bytes(own.key.read_bytes())
    (directory / "open.key").chmod(0o644)
    (directory / "text").write_text("no certificate\n")
    pair = {"tls_cert": str(own.chain), "tls_key": str(own.key)}
    cases: list[tuple[dict[str, str], str]] = [
        (pair, ""),
        ({**pair, "tls_cert": str(directory / "none.pem")}, "none.pem: tls: it cannot be read (No such file or directory)"),
        ({**pair, "tls_key": str(directory / "none.key")}, "certificate and key cannot be loaded"),
        ({**pair, "tls_key": str(directory / "open.key")}, "mode 0644 lets others read it"),
        ({**pair, "tls_anchor": str(directory / "text")}, "it holds no certificate in PEM"),
        ({**pair, "public_url": "https://vault.example"}, "Hostname mismatch"),
        ({"tls_anchor": str(directory / "none.pem")}, "none.pem: tls: it cannot be read"),
        ({"notify.ca": str(directory / "none.pem")}, "notify.ca: it cannot be read as certificates"),
        ({"forward.egress": "siem.corp", "forward.syslog": "siem.corp", "forward.ca": str(directory / "text")}, "forward.ca: it"),
    ]
    for settings, said in cases:
        relay = RelayProcess(directory / "data", **settings)
        done = relay.command("config", "--data", str(relay.data), "check")
        assert (done.returncode, said in done.stderr.decode()) == (78 if said else 0, True), (settings, done.stderr)
        assert b"Traceback" not in done.stderr
    assert not (directory / "data").exists()


def test_another_authority_is_a_restart_that_somebody_means(directory: Path, own: Own) -> None:
    relay = RelayProcess(directory / "data", tls_cert=str(own.chain), tls_key=str(own.key)).start()
    first = served(relay, own)
    other = Own(directory / "other")
    shutil.copy(other.key, own.key)
    shutil.copy(other.chain, own.chain)
    relay.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    until(lambda: "another authority" in log_of(relay), "nothing is said")
    assert served(relay, own) == first
    assert relay.stop() == 0


def test_an_anchor_above_the_chain(directory: Path, own: Own) -> None:
    """An ACME server's root: the chain that it gives does not hold it, and its intermediate changes every few days."""
    leaf = x509.load_pem_x509_certificates(own.chain.read_bytes())[0]
    own.chain.write_bytes(leaf.public_bytes(Encoding.PEM))
    anchor = directory / "root.pem"
    anchor.write_bytes(own.ca)
    settings = {"tls_cert": str(own.chain), "tls_key": str(own.key), "tls_anchor": str(anchor)}
    relay = RelayProcess(directory / "data", **settings).start()
    served(relay, own)
    context = ssl.create_default_context(cadata=own.ca.decode())
    with socket.create_connection(("127.0.0.1", relay.port), timeout=PATIENCE) as plain:
        connection = context.wrap_socket(plain, server_hostname="localhost")
        connection.sendall(b"GET /ca.pem HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        got = b""
        while block := connection.recv(65_536):
            got += block
        connection.close()
    assert got.endswith(own.ca.strip() + b"\n"), "what devices fetch and compare"
    said = relay.command("fingerprint", "--data", str(relay.data))
    assert said.stdout.decode().strip() == tls.fingerprint(own.ca), said.stderr
    assert relay.stop() == 0
    assert "certificate" in relay.command("doctor", "--data", str(relay.data)).stdout.decode()
