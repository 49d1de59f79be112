"""`stillvault daemon`: the local client of a host or a user."""

from __future__ import annotations

import click

from stillvault.cli.base import STATE, Verb, home
from stillvault.protocol.errors import Usage


@click.command(cls=Verb)
@click.option("--system", is_flag=True, help="Serve every account of the host; for root.")
@click.option("--socket", "socket_path", default=None, help="Where to listen.")
@click.option("--identities", default=None, metavar="FILE",
              help="Which callers are which agent; identities.toml of the home else.")
def daemon(system: bool, socket_path: str | None, identities: str | None) -> int:
    """Run the local client. Prints a ready line; ends on SIGTERM."""
    from stillvault.client.daemon import main

    for flag, value in (("--socket", socket_path), ("--identities", identities)):
        if value == "":  # as of a variable that is not set: what it was to say is not what the default says
            raise Usage("usage", f"{flag} is empty", f"name a file, or leave {flag} out", flag)
    return main(home=home(), system=system, socket=socket_path or "", json=STATE.json, identities=identities or "")
