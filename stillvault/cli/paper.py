"""Sheets of the recovery kit from a file or stdin; and the root key and the setup token, also typed unseen.

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
    name, code, option = STATE.root_key_file, "root-key-file", "--root-key-file"
    typed = _typed(name, code, option, "Root key, from its sheet")
    return read_sheet(name, code, option) if typed is None else typed


def read_setup_token(name: str) -> str:
    """The setup token, or the URL that it is in, from a file, stdin, or the terminal. Raises `Usage`."""
    code, option = "setup-token-file", "--setup-token-file"
    typed = _typed(name, code, option, "Setup token, or the URL that it is in")
    if typed is None:
        typed = read_sheet(name, code, option, "too long", "give the line that `stillvault-relay setup-url` prints")
    return typed.decode("ascii", "replace").strip()


def _typed(name: str, code: str, option: str, what: str) -> bytes | None:
    """What somebody types unseen, where `name` is stdin and that is a terminal; else None. Raises `Usage` under --no-input."""
    if name != "-" or not sys.stdin.isatty():
        return None
    if not STATE.interactive:
        raise Usage(code, "it would have to be asked for", "pipe it in, name a file, or leave out --no-input", option)
    return getpass.getpass(f"{what} (not shown): ", stream=sys.stderr).encode()


def read_sheet(name: str, code: str, option: str, else_: str = "no sheet of a recovery kit",
               remedy: str = "give the key of one sheet, or its file") -> bytes:
    """What the file `name` holds, or stdin where it is `-`. Raises `Usage` with the code: unreadable, empty, too long."""
    try:
        with open(0 if name == "-" else name, "rb", closefd=name != "-") as file:
            raw = file.read(SHEET_LIMIT + 1)
    except OSError as error:
        raise Usage(code, f"{name} cannot be read: {error.strerror}", "name a readable file, or - for stdin", option) from None
    if not raw.strip() or len(raw) > SHEET_LIMIT:
        raise Usage(code, f"{name} is empty or {else_}", remedy, option)
    return raw
