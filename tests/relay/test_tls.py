"""The internal CA, the leaf and its renewal, a certificate of one's own. N2."""

from __future__ import annotations

import datetime
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from stillvault.relay import tls
from stillvault.relay.settings import BadSetting
from tests.relay.process import RelayProcess

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
NAMES = ["vault.example.org", "localhost", "127.0.0.1"]


def leaf_of(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates((directory / "tls" / "relay.pem").read_bytes())[0]


def test_a_first_start_makes_a_ca_and_a_leaf(directory: Path) -> None:
    chain, key = tls.prepare(directory, NAMES, NOW)
    leaf, ca = x509.load_pem_x509_certificates(chain.read_bytes())
    leaf.verify_directly_issued_by(ca)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == NAMES[:2]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == NAMES[2:]
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert {file.stat().st_mode & 0o777 for file in (directory / "tls").iterdir()} == {0o600}
    tls.context(chain, key)


def test_the_leaf_is_renewed_in_time_and_the_ca_stays(directory: Path) -> None:
    chain, _ = tls.prepare(directory, NAMES, NOW)
    ca, leaf = tls.fingerprint(tls.trust_anchor(chain)), leaf_of(directory).serial_number
    tls.prepare(directory, NAMES, NOW + datetime.timedelta(days=200))
    assert leaf_of(directory).serial_number == leaf
    tls.prepare(directory, NAMES, NOW + datetime.timedelta(days=300))
    renewed = leaf_of(directory).serial_number
    assert renewed != leaf
    tls.prepare(directory, ["other.example.org", *NAMES[1:]], NOW + datetime.timedelta(days=300))
    assert leaf_of(directory).serial_number != renewed
    assert tls.fingerprint(tls.trust_anchor(chain)) == ca, "who pinned the CA goes on"


@pytest.mark.parametrize("content", [b"", b"\xff garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_leaf_is_made_anew_and_a_damaged_ca_is_named(directory: Path, content: bytes) -> None:
    chain, _ = tls.prepare(directory, NAMES, NOW)
    pin = tls.fingerprint(tls.trust_anchor(chain))
    chain.write_bytes(content)
    tls.context(*tls.prepare(directory, NAMES, NOW))
    assert tls.fingerprint(tls.trust_anchor(chain)) == pin
    whole = (directory / "tls" / "ca.key").read_bytes()
    chain.unlink()
    (directory / "tls" / "ca.key").write_bytes(content)
    with pytest.raises(BadSetting, match=r"ca\.key: tls: it holds no EC key"):
        tls.prepare(directory, NAMES, NOW)
    (directory / "tls" / "ca.key").write_bytes(whole)
    (directory / "tls" / "ca.pem").write_bytes(content)
    with pytest.raises(BadSetting, match=r"ca\.pem: tls: it holds no certificate in PEM. Restore it from a backup"):
        tls.prepare(directory, NAMES, NOW)


def test_an_authority_that_was_lost_is_not_made_anew(directory: Path) -> None:
    tls.prepare(directory, NAMES, NOW)
    signer = (directory / "tls" / "ca.key").read_bytes()
    (directory / "tls" / "ca.pem").unlink()
    with pytest.raises(BadSetting, match=r"ca\.pem: tls: it is gone, and clients pinned it"):
        tls.prepare(directory, NAMES, NOW)
    assert (directory / "tls" / "ca.key").read_bytes() == signer


def test_a_key_that_others_can_read_is_refused(directory: Path) -> None:
    chain, key = tls.prepare(directory, NAMES, NOW)
    key.chmod(0o640)
    with pytest.raises(BadSetting, match="mode 0640 lets others read it"):
        tls.context(chain, key)


def test_nobody_is_verified_by_another_ca_or_name(relay: RelayProcess, directory: Path) -> None:  # N2
    other = RelayProcess(directory / "other").start()
    try:
        for context, name in (
            (other.context(), "localhost"),
            (relay.context(), "evil.example"),
            (ssl.create_default_context(), "localhost"),
        ):
            with socket.create_connection(("127.0.0.1", relay.port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
                context.wrap_socket(plain, server_hostname=name)
    finally:
        assert other.stop() == 0


def test_a_certificate_of_ones_own(directory: Path) -> None:
    made = directory / "made"
    made.mkdir()
    chain, key = tls.prepare(made, ["localhost"], datetime.datetime.now(datetime.UTC))
    relay = RelayProcess(directory / "data", tls_cert=str(chain), tls_key=str(key)).start()
    context = ssl.create_default_context(cafile=str(made / "tls" / "ca.pem"))
    with socket.create_connection(("127.0.0.1", relay.port)) as plain:
        context.wrap_socket(plain, server_hostname="localhost").close()
    said = relay.command("fingerprint", "--data", str(relay.data))
    assert said.stdout.decode().strip() == tls.fingerprint((made / "tls" / "ca.pem").read_bytes()), said.stderr
    assert not (directory / "data" / "tls").exists()
    assert relay.stop() == 0
    kept = tls.served(relay.data, "", "ca.pem")  # what was served last is known without the flag
    assert tls.trust_anchor(kept) == tls.trust_anchor(chain)
    plain = RelayProcess(directory / "data").start()
    assert plain.stop() == 0
    assert tls.served(relay.data, "", "ca.pem") == directory / "data" / "tls" / "ca.pem"
