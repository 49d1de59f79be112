"""The command line of the relay as scripts rely on it: its verbs, their streams and exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

from tests.world import PATIENCE, RELAY, Done, World, read_line


def relay(world: World, *arguments: str, **environment: str) -> Done:
    done = subprocess.run([str(RELAY), *arguments], capture_output=True, timeout=PATIENCE, check=False,
                          env={"PATH": os.environ["PATH"], "HOME": str(world.root), **environment})
    return Done(done.returncode, done.stdout, done.stderr)


def test_beside_a_relay_that_serves(small: World, tmp_path: Path) -> None:
    data = ("--data", str(small.data))
    assert (small.data / "stillvault.db").is_file()
    fingerprint = relay(small, "fingerprint", *data)
    assert re.fullmatch(r"SHA256:[A-Za-z0-9_-]{43}\n", fingerprint.text)
    assert relay(small, "health", "--url", small.url).code == 0
    assert relay(small, "health", "--url", "https://localhost:9").code == 14
    late = relay(small, "setup-url", *data)  # only while no organisation exists
    assert late.code != 0
    assert late.out == b""
    backup = tmp_path / "backup"
    assert relay(small, "backup", *data, str(backup)).code == 0
    assert relay(small, "doctor", *data).code == 0
    restored = tmp_path / "restored"
    assert relay(small, "restore", "--data", str(restored), str(backup)).code == 0
    assert relay(small, "fingerprint", "--data", str(restored)).out == fingerprint.out
    for verb in ("check", "show"):
        assert relay(small, "config", *data, verb).code == 0
    assert "30" in relay(small, "config", *data, "show", STILLVAULT_RELAY_LIMITS_PROMPTS_PER_HOUR="30").text
    assert relay(small, "config", *data, "check", STILLVAULT_RELAY_LIMITS_NONSENSE="1").code != 0
    for before in (("--format", "json"), ("--no-input",)):
        assert relay(small, *before, "fingerprint", *data).code == 0
        assert relay(small, "fingerprint", *data, *before).code == 0


def test_a_new_relay(tmp_path: Path) -> None:
    data = tmp_path / "relay"
    process = subprocess.Popen([str(RELAY), "serve", "--data", str(data), "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env={"PATH": os.environ["PATH"]})
    try:
        ready = json.loads(read_line(process))
        assert (ready["v"], ready["event"]) == (1, "ready")
        line = subprocess.run([str(RELAY), "setup-url", "--data", str(data)], capture_output=True, check=True).stdout.decode()
        assert re.fullmatch(re.escape(ready["url"]) + r"/setup#[A-Za-z0-9_-]{22,}\n", line)
        second = subprocess.run([str(RELAY), "serve", "--data", str(data), "--listen", "127.0.0.1:0"], capture_output=True,
                                check=False, timeout=PATIENCE)
        assert second.returncode not in (0, -signal.SIGKILL)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0  # SIGTERM ends it within five seconds
        assert process.stdout is not None
        process.stdout.close()
