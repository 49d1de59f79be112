"""`stillvault-relay backup`, `restore` and `doctor`: keeping a relay's data, and looking at it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stillvault.protocol.errors import EXIT_ERROR
from stillvault.relay.commandline import data_option, emit, format_option, guarded, settings_of


@click.command()
@data_option
@format_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@guarded
def backup(data: str | None, file: Path) -> None:
    """Write a consistent backup to FILE; the relay may run. It holds the relay's TLS and log keys, and no secret value."""
    from stillvault.relay.backup import backup as write

    write(settings_of(data=data), file)
    emit(f"backed up to {file}", file=str(file))


@click.command()
@data_option
@format_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@guarded
def restore(data: str | None, file: Path) -> None:
    """Put a backup into an empty data directory. Everybody signs in anew; devices notice if it is older than what they saw."""
    from stillvault.relay.backup import restore as unpack

    unpack(settings_of(data=data), file)
    emit(f"restored from {file}", file=str(file))


@click.command()
@data_option
@format_option
@guarded
def doctor(data: str | None) -> None:
    """Look at directory, database, log, certificate and disk; say what is wrong and what to do. Exit 1 when anything is."""
    from stillvault.relay.backup import doctor as look

    found = [{"check": name, "ok": well, "found": text} for name, well, text in look(settings_of(data=data))]
    lines = "\n".join(f"{'ok  ' if one['ok'] else 'FAIL'} {one['check']}: {one['found']}" for one in found)
    emit(lines, checks=found)
    if not all(one["ok"] for one in found):
        sys.exit(EXIT_ERROR)
