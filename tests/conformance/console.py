"""The web console's implementation, as one long-running process of Node: a JSON line for each case, a JSON line back.

It is built from console/src/protocol into build/console-vectors (`make vectors` does that), with private keys as inputs, which no
build for a browser takes.
"""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "build" / "console-vectors" / "vectors.mjs"

# What a browser has no use for; every other operation of the vectors it must answer as the others do.
NOT_IN_CONSOLE = {
    "recover": "recovery keys are typed into a terminal that needs no relay, never into a page that one served",
    "life": "the relay moves requests; the console shows the state it is told and trusts none of it",
    "hit": "leases live in the client's daemon; the console only says beforehand what one would be (`lease`)",
}


class Console:
    """The process, started when first asked, and again after it ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, op: str, given: Any) -> dict[str, Any]:
        """Its answer: `kind` with `value` or `code`."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"op": op, "input": given}).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            self._process = None
            return {"kind": "crash", "code": "the console's process ended"}
        line = process.stdout.readline()
        if not line:
            self._process = None
            return {"kind": "crash", "code": f"the console's process ended with status {process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                ["node", "--no-warnings", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            atexit.register(self._process.kill)
        return self._process


def missing() -> str:
    """Why the console cannot be asked, or nothing."""
    if shutil.which("node") is None:
        return "Node 20 is not installed: run `make setup`"
    if not SCRIPT.is_file():
        return "the console's vectors are not built: run `make vectors`"
    return ""
