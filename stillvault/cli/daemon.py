"""`stillvault daemon`: the local client of a host or a user."""

from __future__ import annotations

import click

from stillvault.cli.base import STATE, Verb, home


@click.command(cls=Verb)
@click.option("--system", is_flag=True, help="Serve every account of the host; for root.")
@click.option("--socket", "socket_path", default="", help="Where to listen.")
@click.option("--identities", default="", metavar="FILE", help="Which callers are which agent; identities.toml of the home else.")
def daemon(system: bool, socket_path: str, identities: str) -> int:
    """Run the local client. Prints a ready line; ends on SIGTERM."""
    from stillvault.client.daemon import main

    return main(home=home(), system=system, socket=socket_path, json=STATE.json, identities=identities)
