"""The recipe for an internal ACME server: lego gets a pair from Caddy's and renews it; the relay serves the one, then the other.

ACME comes to port 80 of the name, so server and client run in a network of their own, where it is free.
"""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from stillvault.relay import tls
from tests.ops.test_tls import until
from tests.relay.process import PATIENCE, RelayProcess

CADDY = """{
	admin off
	auto_https disable_redirects
	skip_install_trust
}
https://localhost:9443 {
	tls internal
	acme_server
}
"""
# The first pair is set aside before it is renewed.
LEGO = """set -eu
ip link set lo up
caddy run --adapter caddyfile --config Caddyfile >caddy.log 2>&1 &
trap 'kill $!' EXIT
root=$HOME/caddy/pki/authorities/local/root.crt
export LEGO_CA_CERTIFICATES=$root
tries=0
lego() { command lego --server https://localhost:9443/acme/local/directory --domains localhost --email ops@corp.internal \
    --http --path lego "$@"; }
until lego --accept-tos run; do tries=$((tries + 1)); [ $tries -lt 100 ]; sleep 0.1; done
cp -r lego/certificates first
cp $root root.crt
lego renew --days 3650 --no-random-sleep --renew-hook 'touch renewed'
"""


def serial(chain: Path) -> int:
    return x509.load_pem_x509_certificates(chain.read_bytes())[0].serial_number


def served(relay: RelayProcess, root: Path) -> int:
    context = ssl.create_default_context(cafile=str(root))
    plain = socket.create_connection(("127.0.0.1", relay.port), timeout=PATIENCE)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        der = connection.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der).serial_number


def test_a_pair_from_an_acme_server_and_its_renewal(directory: Path) -> None:
    (directory / "Caddyfile").write_text(CADDY)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(directory)}
    environment |= {"XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    words = ["unshare", "--net", "--map-root-user", "sh", "-c", LEGO]
    done = subprocess.run(words, cwd=directory, env=environment, capture_output=True, timeout=PATIENCE * 3, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    assert (directory / "renewed").exists()
    root, first, second = directory / "root.crt", directory / "first", directory / "lego" / "certificates"
    used = directory / "pair"
    shutil.copytree(first, used)
    chain, key = used / "localhost.crt", used / "localhost.key"

    relay = RelayProcess(directory / "data", tls_cert=str(chain), tls_key=str(key), tls_anchor=str(root)).start()
    assert served(relay, root) == serial(first / "localhost.crt")
    for name in ("localhost.key", "localhost.crt"):
        shutil.copy(second / name, used / name)
    relay.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    until(lambda: served(relay, root) == serial(second / "localhost.crt"), "the renewed pair is not served")
    pinned = x509.load_pem_x509_certificate(root.read_bytes()).public_bytes(Encoding.PEM)
    assert relay.command("fingerprint", "--data", str(relay.data)).stdout.decode().strip() == tls.fingerprint(pinned)
    assert relay.stop() == 0
