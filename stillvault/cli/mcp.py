"""`stillvault mcp`: the server for agents, on standard input and output."""

from __future__ import annotations

from pathlib import Path

import click

from stillvault.cli.base import Verb
from stillvault.protocol.errors import Usage


@click.command(cls=Verb)
@click.option("--allow-run", is_flag=True, help="Offer run_with_secrets: agents may run commands with what people released.")
@click.option("--env-file", "files", multiple=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="A file with references, listed beside .env.stillvault. May be given again.")
def mcp(allow_run: bool, files: tuple[Path, ...]) -> int:
    """Serve agents over the Model Context Protocol, on stdin and stdout. No tool returns a value.

    An agent starts it; see docs/guides/mcp.md for the line that goes into its settings.
    """
    try:
        from stillvault.agents.mcp.server import main
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in ("mcp", "mcp_types", "jsonschema"):
            raise
        raise Usage("extra", "the MCP server needs an extra: pip install 'stillvault[mcp]'") from None
    return main(allow_run=allow_run, files=list(files))
