"""`stillvault requests` and `cancel`."""

from __future__ import annotations

import re

import click

from stillvault.cli.base import Verb, emit, home, table
from stillvault.protocol.errors import Failed, Usage

NAME = re.compile(r"[0-9a-f]{12}|[A-Za-z0-9_-]{16,64}")
FIELD = re.compile(r"#[A-Za-z0-9_.-]{1,100}")


@click.command(cls=Verb)
@click.option("--mine", is_flag=True, help="Those of this account at the local daemon; no home is needed.")
def requests(mine: bool) -> None:
    """Requests that are pending: the organisation's where the home is a person's, else those of this account at the daemon."""
    from stillvault.cli.socket import ask, socket_path

    if mine or (not home().exists("person.json") and socket_path().exists()):
        from stillvault.approver.screen import moment

        own = ask("requests")["requests"]
        rows = [["request", "state", "code", "until", "secrets"]] + [
            [one["id"], one["state"], one.get("code", ""), moment(one["expires"]), " ".join(one["paths"])] for one in own]
        emit({"requests": own}, table(rows) if own else "nothing is pending")
        return
    from stillvault.cli.account import open_account
    from stillvault.protocol import messages

    found = open_account().call("GET", "/v1/requests?state=pending", returns=messages.RequestStates).requests
    listed = [{"request": one.oid, "state": one.state, "approvals": one.approvals, "needed": one.needed, "asked": one.asked}
              for one in found]
    rows = [["request", "state", "people", "asked"]] + [
        [one.oid, one.state, f"{one.approvals}/{one.needed}", ",".join(one.asked)] for one in found]
    emit({"requests": listed}, table(rows) if listed else "nothing is pending")


@click.command(cls=Verb)
@click.argument("name", metavar="ID")
def cancel(name: str) -> None:
    """Withdraw a pending request of your own, by its card, its request id or its handle."""
    from stillvault.cli.socket import ask

    if name.startswith("h-"):
        name = FIELD.sub("", name)  # as `read --detach` wrote it
    if not NAME.fullmatch(name):
        raise Usage("request", "this is no id of a request", "see `stillvault requests --mine`", "ID")
    answer = ask("cancel", id=name)
    if not answer.get("count"):
        raise Failed("no-request", "no request of this account waits by that id", "see `stillvault requests --mine`", "ID")
    emit({"cancelled": name, "count": answer.get("count", 0)}, f"cancelled {name}")
