"""Sheets of the recovery kit from a file or stdin; and the root key, for the verbs that may need it, also typed unseen.

A key never comes as an argument or a variable, which others on the machine may read, and nothing here writes it anywhere. The
text is in this process's memory, of which there is no core dump, until the command ends; what signs is a key in wiped memory.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from typing import Any

import click

from stillvault.cli.base import STATE
from stillvault.protocol.errors import Usage

SHEET_LIMIT = 4096  # bytes


def root_key_option(command: Any) -> Any:
    """`--root-key-file`, for the verbs that may need the root key."""
    return click.option("--root-key-file", default="", metavar="FILE", callback=_set_root_key_file, expose_value=False,
                        help="The root key from its sheet of the recovery kit, where no home holds it: a file, or - for stdin; "
                             "a terminal is asked and shows nothing. It is used and not kept.")(command)


def _set_root_key_file(_context: click.Context, _param: click.Parameter, value: str) -> None:
    if value:
        STATE.root_key_file = value


def root_key_text() -> Callable[[], bytes] | None:
    """What reads the root key's sheet, once, when it is needed; None where nobody brought one."""
    return _read_root_key if STATE.root_key_file else None


def _read_root_key() -> bytes:
    name = STATE.root_key_file
    if name == "-" and sys.stdin.isatty():
        if not STATE.interactive:
            raise Usage("root-key-file", "the root key would have to be asked for", "pipe it in, name a file, or leave out "
                        "--no-input", "--root-key-file")
        return getpass.getpass("Root key, from its sheet (not shown): ", stream=sys.stderr).encode()
    return read_sheet(name, "root-key-file", "--root-key-file")


def read_sheet(name: str, code: str, option: str) -> bytes:
    """What the file `name` holds, or stdin where it is `-`. Raises `Usage` with the code: unreadable, empty, too long."""
    try:
        with open(0 if name == "-" else name, "rb", closefd=name != "-") as file:
            raw = file.read(SHEET_LIMIT + 1)
    except OSError as error:
        raise Usage(code, f"{name} cannot be read: {error.strerror}", "name a readable file, or - for stdin", option) from None
    if not raw.strip() or len(raw) > SHEET_LIMIT:
        raise Usage(code, f"{name} is empty or no sheet of a recovery kit", "give the key of one sheet, or its file", option)
    return raw
