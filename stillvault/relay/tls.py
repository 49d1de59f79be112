"""TLS: an internal CA made at first start, and a leaf for the relay's own names; or a certificate that the operator brings.

Clients pin the CA's fingerprint, so the CA lives for ten years and is never replaced by itself. The leaf lives for a year and
is made anew when a quarter of that is left, or when its names changed. TLS 1.3 and nothing else.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import os
import ssl
import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stillvault.relay.settings import BadSetting

CA_DAYS = 3650
LEAF_DAYS = 365
OWN = "own-chain.pem"
RENEW_DAYS = LEAF_DAYS // 4
START_EARLY = datetime.timedelta(hours=1)  # clocks of others may be behind


def prepare(directory: Path, names: Sequence[str], now: datetime.datetime) -> tuple[Path, Path]:
    """Certificate chain and key of the relay under DIR/tls, made or renewed where needed. `names`: DNS names and IP addresses."""
    folder = directory / "tls"
    folder.mkdir(mode=0o700, exist_ok=True)
    ca_file, ca_key_file, leaf_file, leaf_key_file = (folder / name for name in ("ca.pem", "ca.key", "relay.pem", "relay.key"))
    if not ca_file.exists():
        if leaf_file.exists():  # which is made after it
            rule = "it is gone, and clients pinned it"
            raise BadSetting(str(ca_file), "tls", rule, f"Restore it from a backup. It is also the last one in {leaf_file}.")
        key = ec.generate_private_key(ec.SECP256R1())
        _write(ca_key_file, _pem(key))
        _write(ca_file, _authority(key, now).public_bytes(serialization.Encoding.PEM))
    ca = x509.load_pem_x509_certificate(trust_anchor(ca_file, "Restore it from a backup: clients pinned it."))
    if not leaf_file.exists() or _must_renew(leaf_file, names, now):
        signer = _signer(ca_key_file)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _leaf(key, ca, signer, names, now)
        _write(leaf_key_file, _pem(key))
        _write(leaf_file, leaf.public_bytes(serialization.Encoding.PEM) + ca_file.read_bytes())
    return leaf_file, leaf_key_file


def _signer(file: Path) -> ec.EllipticCurvePrivateKey:
    try:
        found = serialization.load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise BadSetting(str(file), "tls", "it holds no EC key", "Restore it from a backup.")
    return found


def keep_own(directory: Path, chain: Path | None, anchor: bytes = b"") -> None:
    """Keeps a copy of a chain of one's own while it is served, so that `fingerprint --data DIR` and `doctor` know it.

    `anchor`: what clients pin instead of the chain's last certificate; it comes last.
    """
    if chain is None and not anchor:
        (directory / OWN).unlink(missing_ok=True)
        return
    served_now = (chain or directory / "tls" / "relay.pem").read_bytes()
    _write(directory / OWN, served_now + b"\n" + anchor if anchor else served_now)


def served(directory: Path, named: str, internal: str) -> Path:
    """The chain that counts: the one that is named, else that of one's own which was served last, else the internal one."""
    own = directory / OWN
    return Path(named) if named else own if own.exists() else directory / "tls" / internal


def trust_anchor(chain: Path, damaged: str = "Bring the chain again.") -> bytes:
    """The PEM that clients pin: the last certificate of a chain file."""
    try:
        certificates = x509.load_pem_x509_certificates(chain.read_bytes())
    except OSError as error:
        fix = "Start the relay once, or name the chain." if isinstance(error, FileNotFoundError) else "Check its owner and mode."
        raise BadSetting(str(chain), "tls", f"it cannot be read ({error.strerror})", fix) from error
    except ValueError as error:
        raise BadSetting(str(chain), "tls", "it holds no certificate in PEM", damaged) from error
    return certificates[-1].public_bytes(serialization.Encoding.PEM)


def pinned(chain: Path, anchor: str) -> bytes:
    """The PEM that clients pin: the one certificate of the file `anchor` where that is named, else the chain's last."""
    return trust_anchor(Path(anchor)) if anchor else trust_anchor(chain)


def try_out(made: ssl.SSLContext, anchor: bytes, name: str) -> None:
    """A handshake in memory, as clients do it: under the pinned anchor, for the relay's name. Raises `BadSetting`."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=anchor.decode("ascii"))
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(here, there, server_hostname=name), made.wrap_bio(there, here, server_side=True)
    for end in ends * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            rule = f"clients would refuse it for {name}: {error.verify_message.rstrip('.')}"
            fix = "Bring a chain of the pinned authority that names the relay."
            raise BadSetting("certificate", "tls_cert", rule, fix) from None
        except ssl.SSLError as error:
            raise BadSetting("certificate", "tls_cert", f"no handshake: {error.reason}", "Bring another certificate.") from None


def fingerprint(pem: bytes) -> str:
    """`SHA256:` and the base64url of the hash of the certificate's DER."""
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    return "SHA256:" + base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def expires(chain: Path) -> datetime.datetime:
    """When the relay's own certificate ends."""
    return x509.load_pem_x509_certificates(chain.read_bytes())[0].not_valid_after_utc


def context(chain: Path, key: Path) -> ssl.SSLContext:
    """A server context. A key that others can read is refused."""
    try:
        mode = key.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadSetting(str(key), "tls_key", f"mode {stat.S_IMODE(mode):04o} lets others read it", f"Run: chmod 0600 {key}")
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.load_cert_chain(chain, key, password=lambda: b"")  # else OpenSSL would ask the terminal, and the relay would wait
    except (OSError, ssl.SSLError) as error:
        raise BadSetting(str(chain), "tls_cert", "certificate and key cannot be loaded", "Check both files, in PEM.") from error
    return made


def _must_renew(leaf_file: Path, names: Sequence[str], now: datetime.datetime) -> bool:
    """Also where it is damaged: the CA alone is what others know."""
    try:
        leaf = x509.load_pem_x509_certificates(leaf_file.read_bytes())[0]
        present = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return True
    return list(present) != _alternatives(names) or leaf.not_valid_after_utc - now < datetime.timedelta(days=RENEW_DAYS)


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - START_EARLY)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stillvault relay CA")])
    builder = _builder(name, name, key.public_key(), now, CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(_usage(signs_certificates=True), critical=True).sign(key, hashes.SHA256())


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
    now: datetime.datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stillvault relay")])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        _builder(subject, ca.subject, key.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        .add_extension(identifier, critical=False)
        .sign(signer, hashes.SHA256())
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, mode 0600."""
    part = path.with_suffix(path.suffix + ".part")
    descriptor = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    part.rename(path)
