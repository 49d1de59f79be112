"""`stillvault seal`, `secrets`, `reseal`."""

from __future__ import annotations

import os
import sys
import termios
from typing import Any

import click

from stillvault.cli.base import PATH, STATE, Verb, emit, now, say, table
from stillvault.protocol.errors import Refused, Usage


@click.command(cls=Verb)
@click.argument("path", type=PATH)
@click.option("--from-file", default=None, help="Take the value from this file instead of stdin.")
@click.option("--after-restore", is_flag=True, help="Seal on from an older version that a restore brought back.")
def seal(path: str, from_file: str | None, after_restore: bool) -> None:
    """Seal a new version of PATH. The value comes from a file or stdin, byte for byte, at most 60 KiB."""
    from stillvault.admin import sealing
    from stillvault.cli.account import open_account

    account = open_account()
    account.keys()  # the passphrase is asked for before the value
    trust = account.trust()
    for line in sealing.roster_changes(account, trust):
        say(f"since your last seal: {line}")
    value = _value(from_file)
    value_length = value.length
    try:
        done = sealing.seal_value(account, path, value, after_restore=after_restore)
    finally:
        value.wipe()
    if value_length == 0:
        say("warning: the value is empty")
    for name in done["missing"]:
        say(f"warning: {name} has no usable device and cannot approve this")
    people = sorted({one["person"] for one in done["recipients"] if one["person"] != "recovery"})
    emit(done, f"sealed {path} version {done['version']} for {', '.join(people)}")


def _value(from_file: str | None) -> Any:
    """Reads the value from a descriptor straight into the extension's memory: it is never a Python object."""
    from stillvault.crypto.private import Value, harden_process

    harden_process()
    try:
        if from_file is not None:  # an empty name is no file, not stdin
            fd = os.open(from_file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return Value.read_fd(fd)
            finally:
                os.close(fd)
        if os.isatty(0):
            if STATE.no_input:
                raise Usage("no-value", "there is no value", "pipe it in, or give --from-file F")
            return _typed(Value)
        return Value.read_fd(0)
    except Refused as error:
        raise Usage(error.code, "the value is too large: at most 60 KiB", "seal a key and keep the rest elsewhere") from None
    except OSError as error:
        reason = error.strerror or "it is no file"
        raise Usage("no-value", f"the value cannot be read: {reason}", "pipe it in, or give --from-file F") from None


def _typed(value: Any) -> Any:
    """From the terminal, without echo, up to Ctrl-D twice (or once at the start of a line)."""
    print("Type the value; end with Ctrl-D (twice, if not on a new line). It is not shown.", file=sys.stderr)
    before = termios.tcgetattr(0)
    silent = termios.tcgetattr(0)
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSAFLUSH, silent)
    try:
        return value.read_fd(0)
    finally:
        termios.tcsetattr(0, termios.TCSAFLUSH, before)


@click.command(cls=Verb)
@click.argument("prefix", default="")
def secrets(prefix: str) -> None:
    """Names, versions, sealers and policies; never values."""
    from stillvault.admin import sealing
    from stillvault.approver.screen import moment
    from stillvault.cli.account import open_account

    clean = prefix.removeprefix("sv://").removesuffix("/")
    if clean:
        PATH.convert(clean, None, None)
    account = open_account()
    trust = account.trust()
    found = [sealing.describe(trust, one, now()) for one in sealing.listed(account, clean)]
    rows = [["secret", "version", "sealed by", "sealed", "policy", "state"]] + [
        [one["path"], f"{one['version']}.{one['revision']}", one["sealed_by"], moment(one["sealed"]), one["policy"], one["state"]]
        for one in found]
    emit({"secrets": found}, table(rows) if found else "no secrets")


@click.command(cls=Verb)
@click.argument("paths", nargs=-1, type=PATH)
@click.option("--needed", is_flag=True, help="Everything whose devices or policy have changed since it was sealed.")
def reseal(paths: tuple[str, ...], needed: bool) -> None:
    """Seal again for the devices of the present roster. Quorum secrets wait for their approvals; run again to go on."""
    from stillvault.admin import resealing
    from stillvault.cli.account import open_account
    from stillvault.protocol.errors import Expired

    if bool(paths) == needed:
        raise Usage("reseal", "say what to seal again", "give paths, or --needed", "PATH")
    account = open_account()
    account.keys()
    jobs = resealing.find(account, paths, resealing.out_of_date(account))
    done, left = resealing.reseal(account, jobs, say)
    emit({"resealed": [{"path": one["path"], "version": one["version"], "revision": one["revision"]} for one in done],
          "waiting": left}, "\n".join(f"sealed {one['path']} again: {one['version']}.{one['revision']}" for one in done)
         or ("nothing to seal again" if not left else ""))
    if left:
        raise Expired("reseal", f"{len(left)} secrets are not sealed again: {left[0]['path']} {left[0]['state']}",
                      "run the same command again: it asks for the rest")
