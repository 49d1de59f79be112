"""`stillvault hook`: the PreToolUse hook of agents, on standard input and output."""

from __future__ import annotations

import json
import sys

import click

from stillvault.cli.base import Verb
from stillvault.protocol.errors import Failed

MAX_EVENT = 8 * 1024 * 1024  # bytes


@click.command(cls=Verb)
def hook() -> None:
    """Answer an agent's PreToolUse event: block what would print a secret into its context.

    One JSON object comes on stdin. To block, one goes to stdout; silence lets the call go its way. An event that is not
    understood is not checked, and ends with 1: harnesses show that and go on.
    """
    from stillvault.agents.hook import answer, decide

    raw = sys.stdin.buffer.read(MAX_EVENT + 1)
    try:
        event = json.loads(raw) if len(raw) <= MAX_EVENT else None
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise Failed("event", "this is not the JSON of a PreToolUse event: nothing was checked", "see docs/guides/agents.md")
    if event.get("hook_event_name", "PreToolUse") == "PreToolUse" and (reason := decide(event)):
        print(json.dumps(answer(reason)))
