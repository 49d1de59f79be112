"""`stillvault recover`: break-glass, with the recovery keys on paper. It asks no relay, no daemon and no home.

The keys come from a terminal without echo, or from files; never as an argument or a variable, which others on the machine may
read. Their text is in this process's memory, of which there is no core dump, until the command ends. Values go from the core to
a descriptor and are never a Python object.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stillvault.cli.base import PATH, STATE, Verb, emit, now, path_of, say
from stillvault.cli.paper import read_sheet
from stillvault.protocol.errors import Failed, Refused, Usage
from stillvault.protocol.text import plain

if TYPE_CHECKING:
    from stillvault.admin.recovering import Recovered, SealedFile
    from stillvault.approver.recoverykeys import RecoveryKey
    from stillvault.crypto.private import Value

MOST_KEYS = 127
SLASH = "="  # stands for / in the names of files: no path holds it, so no two paths meet


@click.command(cls=Verb)
@click.argument("path", required=False, default="", type=click.UNPROCESSED)
@click.option("--from", "source", required=True, metavar="FILE", help="What `stillvault-relay sealed` wrote.")
@click.option("--sheet", "sheets", multiple=True, metavar="FILE",
              help="A sheet with a recovery key, or - for stdin; several times. Without, they are asked for and not shown.")
@click.option("--org", default="", metavar="ID", help="The organisation id, where keys are typed without their sheets.")
@click.option("--out-file", default="", metavar="FILE", help="Write the value to a new file, mode 0600.")
@click.option("--reveal", is_flag=True, help="Write it to a terminal all the same.")
@click.option("--all", "everything", is_flag=True, help="Every secret of the file; needs --to.")
@click.option("--to", default="", metavar="DIR", help="A new directory, mode 0700, with a file for each secret: / becomes =.")
@click.option("--expired", is_flag=True, help="Open an old file although its roster's time is over.")
def recover(path: str, source: str, sheets: tuple[str, ...], org: str, out_file: str, reveal: bool, everything: bool, to: str,
            expired: bool) -> None:
    """Open PATH, or --all, with the recovery keys of the kit: break-glass, for when no approver can answer.

    Works on a file of sealed secrets, on a machine without a network. Nobody is asked, and no log has a row of it. Without
    --out-file the value goes to stdout, byte for byte: pipe it into `stillvault seal`.
    """
    from stillvault.admin.recovering import SealedFile
    from stillvault.crypto.private import harden_process

    name = _what(path, everything, to, out_file, reveal)
    harden_process()
    keys = list(_keys(sheets))
    file = SealedFile(path_of(source), _pin(org, keys), now(), expired=expired)
    if file.now < now():
        say(f"warning: the roster of {source} is over; whether newer versions were sealed since is not known here")
    if everything:
        _open_all(file, keys, path_of(to))
    else:
        _open_one(file, keys, name, out_file)


def _what(path: str, everything: bool, to: str, out_file: str, reveal: bool) -> str:
    """The path, where there is one. Refuses what does not go together, before a key is typed."""
    if everything == bool(path):
        raise Usage("recover", "say what to open", "give one PATH, or --all", "PATH")
    if everything != bool(to) or (everything and (out_file or reveal)):
        raise Usage("recover", "--all and --to go together, --out-file and --reveal with one PATH",
                    "recover PATH, or recover --all --to DIR", "--to")
    if everything:
        return ""
    if not out_file and STATE.json:
        raise Usage("recover", "the value alone goes to stdout, and JSON would stand beside it", "add --out-file FILE",
                    "--out-file")
    if not out_file and not reveal and os.isatty(1):
        raise Usage("terminal", "standard output is a terminal: the value would stay on the screen",
                    "pipe it on, add --out-file FILE, or --reveal", "--reveal")
    name: str = PATH.convert(path, None, None)
    return name


def _keys(sheets: tuple[str, ...]) -> Iterator[RecoveryKey]:
    from stillvault.approver.recoverykeys import read

    if sheets:
        for name in sheets:
            yield from read(_sheet(name), "stdin" if name == "-" else name)
        return
    if not STATE.interactive:
        raise Usage("recovery-key", "the recovery keys would have to be asked for", "give --sheet FILE for each", "--sheet")
    for number in range(1, MOST_KEYS + 1):
        how = "characters or scanned code" if number == 1 else "or Enter when there is no other"
        typed = getpass.getpass(f"Recovery key {number}, from its sheet ({how}; not shown): ", stream=sys.stderr)
        if not typed.strip():
            return
        yield from read(typed.encode(), f"key {number}")


def _sheet(name: str) -> bytes:
    if name == "-" and os.isatty(0):
        raise Usage("recovery-sheet", "stdin is a terminal, which would show the key", "leave --sheet out, and type it unseen",
                    "--sheet")
    return read_sheet(name, "recovery-sheet", "--sheet")


def _pin(org: str, keys: list[RecoveryKey]) -> bytes:
    """What everything is verified under: the organisation id that the sheets have, which --org must not contradict."""
    from stillvault.crypto.public import b64decode

    named = {one.org for one in keys if one.org} | ({org} if org else set())
    if not named:
        raise Usage("org", "no key that was given says which organisation is meant", "give --org with the organisation id of the "
                    "sheets, or whole sheets", "--org")
    if len(named) > 1:
        raise Usage("org", "the sheets (and --org) are of different organisations", "give the sheets of one", "--sheet")
    try:
        pin = b64decode("".join(named.pop().split()))
    except Refused:
        pin = b""
    if len(pin) != 32:
        raise Usage("org", "this is no organisation id", "43 characters, as the sheets have it", "--org")
    return pin


def _open_one(file: SealedFile, keys: list[RecoveryKey], name: str, out_file: str) -> None:
    sealed = next((one for one in file.secrets() if one.path == name), None)
    if sealed is None:
        raise Usage("no-secret", f"{file.path} holds no {name}", "look at its names: cut -c1-100 FILE; or take a newer backup",
                    "PATH")
    opened = _opened(file, sealed, keys)
    try:
        if out_file:
            _write_new(path_of(out_file), opened.value)
        else:
            sys.stdout.flush()
            opened.value.write_fd(1)
    finally:
        opened.value.wipe()
    facts = _facts(opened, out_file)
    say(_line(facts))
    if out_file:
        emit(facts, "")


def _open_all(file: SealedFile, keys: list[RecoveryKey], folder: Path) -> None:
    """What does not open is named and does not keep the rest closed."""
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise Usage("to", f"{folder} cannot be made: {error.strerror}", "name a new directory, best in memory: /dev/shm/NAME",
                    "--to") from None
    done: list[dict[str, Any]] = []
    refused: list[tuple[str, Refused]] = []
    for sealed in file.secrets():
        try:
            opened = _opened(file, sealed, keys, own=True)
        except Refused as error:
            refused.append((sealed.path, error))
            say(f"not opened: {sealed.path}: {error.code}: {error.message}")
            continue
        target = folder / sealed.path.replace("/", SLASH)
        try:
            _write_new(target, opened.value)
        finally:
            opened.value.wipe()
        done.append(_facts(opened, str(target)))
    for why in file.unknown(keys) if file.named else []:
        say(f"warning: {why}")
    if not done and refused:
        folder.rmdir()
        raise refused[0][1]
    emit({"opened": done, "refused": [{"path": name, "code": error.code} for name, error in refused]},
         "\n".join(map(_line, done)) or "the file holds no secrets")
    if refused:
        raise Refused(refused[0][1].code, f"{len(refused)} of {file.count} secrets are not opened, first {refused[0][0]}",
                      "each is named above with its check")


def _opened(file: SealedFile, sealed: Any, keys: list[RecoveryKey], *, own: bool = False) -> Recovered:
    try:
        return file.open(sealed, keys, own=own)
    except Refused as error:
        remedies = {
            "quorum": "bring further sheets",
            "index": "each sheet once",
            "not-recipient": "type it again, or take the sheets of this organisation; what was sealed without recovery keys "
                             "only its approvers open",
        }
        raise Refused(error.code, error.message, remedies.get(error.code, "the file was changed: take another backup")) from None


def _write_new(target: Path, value: Value) -> None:
    """A new file of the owner alone, whole or absent."""
    try:
        fd = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Usage("out-file", f"{target} cannot be made: {error.strerror}", "name a new file", "--out-file") from None
    try:
        os.fchmod(fd, 0o600)
        value.write_fd(fd)
        os.fsync(fd)
    except BaseException as error:
        with contextlib.suppress(OSError):
            target.unlink()
        if isinstance(error, OSError):
            raise Failed("out-file", f"{target} cannot be written: {error.strerror}", "make room, or choose another "
                         "place") from None
        raise
    finally:
        os.close(fd)


def _facts(opened: Recovered, file: str) -> dict[str, Any]:
    core = opened.core
    return {"path": core.path, "version": core.version, "revision": core.revision, "sealed": core.sealed,
            "sealed_by": f"{core.by.person}/{core.by.device}", "file": file}


def _line(facts: dict[str, Any]) -> str:
    from stillvault.approver.screen import moment

    where = f" in {facts['file']}" if facts["file"] else ""
    return plain(f"opened {facts['path']} {facts['version']}.{facts['revision']}, sealed by {facts['sealed_by']} "
                 f"{moment(facts['sealed'])}{where}")
