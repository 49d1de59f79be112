"""`stillvault doctor` from a machine that has not joined, and from one that has: name, TLS, clock, passkeys, browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from stillvault.relay import tls
from tests.relay.process import PATIENCE, RelayProcess


def doctor(directory: Path, *options: str, **environment: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(directory), "STILLVAULT_HOME": str(directory / "none"), **environment}
    words = [sys.executable, "-m", "stillvault.cli", "doctor", "--format", "json", *options]
    done = subprocess.run(words, env=environ, capture_output=True, timeout=PATIENCE, check=False)
    found = json.loads(done.stdout)["findings"] if done.stdout else []
    return done.returncode, {one["check"]: one for one in found}, done.stderr.decode()


def test_a_machine_that_has_not_joined(relay: RelayProcess, directory: Path) -> None:
    ca = relay.data / "tls" / "ca.pem"
    pin = tls.fingerprint(ca.read_bytes())
    code, found, said = doctor(directory, "--relay", relay.url, "--fingerprint", pin)
    assert code == 0, said
    assert {name: one["state"] for name, one in found.items() if name != "passkeys"} == {
        "relay": "ok", "tls": "ok", "clock": "ok", "browser": "warn"}  # fmt: skip
    assert found["tls"]["says"].startswith("TLSv1.3 under the pinned certificate")
    assert found["passkeys"]["state"] in ("ok", "warn"), "warn where the console was not built"
    assert "localhost" in found["passkeys"]["says"]
    trusting = doctor(directory, "--relay", relay.url, "--fingerprint", pin, SSL_CERT_FILE=str(ca))[1]
    assert trusting["browser"]["state"] == "ok"


def test_what_it_finds(relay: RelayProcess, directory: Path) -> None:
    pin = tls.fingerprint((relay.data / "tls" / "ca.pem").read_bytes())
    code, found, _ = doctor(directory, "--relay", relay.url, "--fingerprint", "SHA256:" + "A" * 43)
    assert (code, found["relay"]["state"]) == (1, "fail")
    assert found["relay"]["says"].startswith("fingerprint:")
    code, found, _ = doctor(directory, "--relay", f"https://127.0.0.1:{relay.port}", "--fingerprint", pin)
    assert (code, found["passkeys"]["state"]) == (1, "fail")
    assert "IP address" in found["passkeys"]["says"]
    code, found, _ = doctor(directory, "--relay", "https://localhost:1", "--fingerprint", pin)
    assert (code, found["relay"]["state"]) == (1, "fail")
    code, found, said = doctor(directory, "--relay", relay.url)
    assert (code, found) == (2, {})
    assert "--relay and --fingerprint come together" in said
