"""What a script reads of a command: one object, one error, one card. And a front that waits while others decide."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.world import PATIENCE, STILLVAULT, Done, Party


class Asking:
    """A front that waits while others decide."""

    def __init__(self, party: Party, *arguments: str, program: Path = STILLVAULT, **environment: str) -> None:
        self.process = subprocess.Popen([str(program), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env={**party.environment, **environment})
        party.world.processes.append(self.process)

    def ended(self) -> Done:
        out, err = self.process.communicate(timeout=PATIENCE)
        return Done(self.process.returncode, out, err)


def card_of(party: Party, secret: str) -> dict[str, Any]:
    """The card with this secret in the inbox, once it is there."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        for card in party.json("inbox")["cards"]:
            if secret in [one["secret"] for one in card["requests"]]:
                return dict(card)
    raise AssertionError(f"no card for {secret}")


def only_json(done: Done, code: int = 0) -> dict[str, Any]:
    """One object with `v` 1, one line, and nothing else on stdout."""
    assert done.code == code, done.said
    assert len(done.out.splitlines()) == 1, done.text
    assert done.json["v"] == 1
    return done.json


def refused(done: Done, code: int) -> dict[str, Any]:
    """An error as scripts read it: nothing on stdout, one object on the last line of stderr."""
    assert (done.code, done.out) == (code, b""), f"{done.code} {done.said}{done.text}"
    error = json.loads(done.said.splitlines()[-1])
    assert error["v"] == 1
    assert error["error"]["exit"] == code
    assert {"code", "message"} <= set(error["error"])
    return dict(error["error"])
