"""The data directory: whose it is, who may write to it, and the one relay that works on it."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from stillvault.relay.settings import BadSetting
from stillvault.relay.store.connection import database_path

PRIVATE = ("log.key", "vapid.key", "tls/ca.key", "tls/relay.key")


def prepare_directory(directory: Path) -> None:
    """Makes DIR where its parent exists; refuses one that others may write to or that is somebody else's.

    One that others may look into is closed to them where it is a relay's or empty, and refused where it holds other things:
    it was hardly meant, and the machine may need it as it is.
    """
    where = str(directory)
    try:
        if not directory.exists():
            directory.mkdir(mode=0o700)
        status = directory.stat()
    except FileNotFoundError:
        raise BadSetting(where, "data", "its parent directory does not exist", f"Run: mkdir -p -m 0700 {directory}") from None
    except OSError as error:
        raise BadSetting(
            where, "data", f"the directory cannot be made or read ({error.strerror})", "Check its parent's mode."
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise BadSetting(where, "data", "it is not a directory", "Name a directory.")
    if status.st_uid != os.geteuid():
        raise BadSetting(
            where, "data", f"it belongs to uid {status.st_uid}, the relay runs as {os.geteuid()}", "Change its owner."
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(status.st_mode)
        raise BadSetting(where, "data", f"mode {mode:04o} lets others write to it", f"Run: chmod 0700 {directory}")
    try:
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            if not database_path(directory).exists() and set(os.listdir(directory)) - {"lost+found"}:
                rule = f"mode {stat.S_IMODE(status.st_mode):04o} lets others look into it, and what it holds is no relay's"
                raise BadSetting(where, "data", rule, f"Name another; if it is meant, run: chmod 0700 {directory}")
            directory.chmod(0o700)
    except OSError as error:
        raise _unwritable(directory, error) from None
    for file in (database_path(directory), *(directory / name for name in PRIVATE)):
        if file.exists() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.S_IMODE(file.stat().st_mode)
            raise BadSetting(str(file), "data", f"mode {mode:04o} lets others read it", f"Run: chmod 0600 {file}")


def lock(directory: Path) -> int:
    """The one relay of a data directory holds this lock while it lives. Returns the descriptor."""
    try:
        descriptor = os.open(directory / "relay.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(directory, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise BadSetting(
            str(directory), "data", "another relay runs on this directory", "Stop it, or name another directory."
        ) from None
    return descriptor


def _unwritable(directory: Path, error: OSError) -> BadSetting:
    rule = f"nothing can be written there ({error.strerror})"
    return BadSetting(str(directory), "data", rule, "Check its mount, owner, mode and room.")
