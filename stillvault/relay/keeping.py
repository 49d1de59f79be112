"""`stillvault-relay backup`, `restore`, `sealed`, `upgrade` and `doctor`: keeping a relay's data, and looking at it."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from stillvault.protocol.errors import EXIT_ERROR
from stillvault.relay.commandline import data_option, emit, format_option, guarded, kept, settings_of

WRITE = "FILE"
identity_option = click.option(
    "--identity", metavar="FILE", callback=kept, type=click.Path(path_type=Path), help="The age identity of an encrypted backup."
)
recipient_option = click.option(
    "--recipient", "recipients", metavar="AGE1..", multiple=True, callback=kept,
    help="Encrypt to this age recipient, and to those of backup.recipients. May be given several times.",
)  # fmt: skip


class _Backup(click.Group):
    """`backup FILE` beside `backup verify FILE`: what names no verb is the file. A file called verify is `./verify`."""

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = [WRITE, *args]
        return super().resolve_command(context, args)


@click.group(cls=_Backup, subcommand_metavar="FILE | verify FILE", invoke_without_command=True)
@data_option
@recipient_option
@format_option
@click.pass_context
def backup(context: click.Context, /, **_options: object) -> None:
    """Write a consistent backup to FILE; the relay may run. It holds the relay's TLS and log keys, and no secret value."""
    if context.invoked_subcommand is None:
        raise click.UsageError("Missing argument 'FILE'.")


@backup.command(name=WRITE, hidden=True)
@data_option
@recipient_option
@format_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@guarded
def write(data: str | None, recipients: tuple[str, ...], file: Path) -> None:
    """Write a consistent backup to FILE; the relay may run."""
    from stillvault.relay import backup as archive

    settings, now = settings_of(data=data), int(time.time())
    to = tuple(dict.fromkeys((*recipients, *settings.backup.recipients)))
    made = archive.backup(settings, file, now, to)
    archive.note(settings, now)
    emit(f"backed up to {file}", file=str(file), encrypted=bool(to), rows=made.rows, schema=made.schema)


@backup.command()
@format_option
@identity_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@guarded
def verify(identity: Path | None, file: Path) -> None:
    """Unpack FILE in a temporary directory and look at all of it: digests, pages, the log, every signed row. Exit 1 when
    anything is wrong."""
    from stillvault.relay import backup as archive
    from stillvault.relay import doctor as looking
    from stillvault.relay.settings import Settings

    with tempfile.TemporaryDirectory(prefix="stillvault-verify-") as scratch:
        said = archive.unpack(file, identity, Path(scratch))
        found = _found(looking.look_inside(Settings(data=scratch), int(time.time())))
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(said.created))
    _report([f"written {when}, schema {said.schema}, {said.rows} rows in the log"], found, created=said.created, rows=said.rows,
            schema=said.schema)


@click.command()
@data_option
@format_option
@identity_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@guarded
def restore(data: str | None, identity: Path | None, file: Path) -> None:
    """Put a backup into an empty data directory. Everybody signs in anew; devices notice if it is older than what they saw."""
    from stillvault.relay.backup import restore as unpack

    said = unpack(settings_of(data=data), file, identity)
    emit(f"restored from {file}", file=str(file), created=said.created, rows=said.rows)


@click.command()
@data_option
@format_option
@identity_option
@click.option("--backup", "source", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="Take them from a backup, instead of the data directory.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@guarded
def sealed(data: str | None, identity: Path | None, source: Path | None, file: Path) -> None:
    """Write the newest seal of every secret to FILE, for `stillvault recover` and the recovery keys. Names and ciphertext; no key
    and no value. The relay may run, or be gone."""
    from stillvault.relay import sealedfile

    where = sealedfile.of_backup(source, identity, file.parent) if source else sealedfile.of_directory(settings_of(data=data))
    count = sealedfile.write(file, int(time.time()), where)
    emit(f"{count} sealed secrets in {file}", file=str(file), secrets=count)


@click.command()
@data_option
@format_option
@click.option("--check", is_flag=True, help="Try it on a copy; change nothing. The relay may run.")
@guarded
def upgrade(data: str | None, check: bool) -> None:
    """Bring the database to this program's schema, after a backup of it. `serve` does the same when it starts."""
    from stillvault.relay import upgrade as upgrading

    settings, written = settings_of(data=data), None
    if check:
        before, after = upgrading.check(settings)
        said = f"schema {before} can become {after}: tried on a copy" if before != after else f"schema {before} is this program's"
    else:
        before, after, written = upgrading.upgrade(settings, int(time.time()))
        said = f"schema {before} became {after}; before it: {written}" if written else f"schema {after} is this program's"
    emit(said, before=before, after=after, changed=written is not None, backup=str(written or ""))


@click.command()
@data_option
@format_option
@guarded
def doctor(data: str | None) -> None:
    """Look at directory, database, log, rows, certificate, disk and backups; say what is wrong and what to do. Exit 1 when
    anything is."""
    from stillvault.relay import doctor as looking

    _report([], _found(looking.look(settings_of(data=data))))


def _found(findings: Any) -> list[dict[str, Any]]:
    return [{"check": name, "ok": well, "found": text} for name, well, text in findings]


def _report(lines: list[str], found: list[dict[str, Any]], **facts: Any) -> None:
    lines = lines + [f"{'ok  ' if one['ok'] else 'FAIL'} {one['check']}: {one['found']}" for one in found]
    emit("\n".join(lines), **facts, checks=found)
    if not all(one["ok"] for one in found):
        sys.exit(EXIT_ERROR)
