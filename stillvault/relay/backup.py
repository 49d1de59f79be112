"""Backup, restore, doctor: the plain versions.

A backup is one tar file: a consistent copy of the database (SQLite's online backup, never `cp`) and the relay's keys. It
holds no plaintext and no key that opens a secret, and no usable bearer; it does hold the relay's TLS, log and push keys
and the credentials of people's notification targets, so keep it as you keep those.
"""

from __future__ import annotations

import datetime
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from stillvault.crypto import public
from stillvault.relay import log, rowcheck, tls
from stillvault.relay.directory import lock, prepare_directory
from stillvault.relay.settings import BadSetting, Settings
from stillvault.relay.store import bearers, copying, schema, tree
from stillvault.relay.store.connection import database_path, open_reader, open_writer
from stillvault.relay.store.transaction import Transaction

FORMAT = 1
KEYS = ("log.key", "vapid.key", "tls/ca.pem", "tls/ca.key", "tls/relay.pem", "tls/relay.key")
MANIFEST = "manifest.json"
DATABASE = "stillvault.db"
ROWS = 20  # damaged rows that doctor names
LARGEST = 64 * 1024 * 1024 * 1024  # bytes of a member: a backup is not a bomb


def backup(settings: Settings, target: Path) -> None:
    """Writes a backup, mode 0600, whole or not at all. The relay may run meanwhile."""
    directory = settings.directory
    if not database_path(directory).exists():
        raise BadSetting(str(directory), "data", "there is no database", "Name the data directory of a relay.")
    part = target.with_name(target.name + ".part")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as scratch:
        copy = Path(scratch) / DATABASE
        copying.copy(database_path(directory), copy)
        descriptor = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                manifest = json.dumps({"v": FORMAT, "created": int(time.time()), "schema": len(schema.migrations())}).encode()
                _add(archive, MANIFEST, manifest)
                archive.add(copy, DATABASE)
                for name in KEYS:
                    if (directory / name).exists():
                        archive.add(directory / name, name)
            file.flush()
            os.fsync(file.fileno())
    part.rename(target)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def restore(settings: Settings, source: Path) -> None:
    """Puts a backup into an empty data directory. Devices that saw more will say so: nothing hides that it is older (B8)."""
    directory = settings.directory
    prepare_directory(directory)
    held = lock(directory)
    try:
        if database_path(directory).exists():
            raise BadSetting(str(directory), "data", "there is a database already", "Restore into an empty directory.")
        _unpack(source, directory)
        connection = open_writer(database_path(directory))
        schema.migrate(connection)
        if not copying.whole(connection):
            raise BadSetting(str(source), "backup", "the database in it is damaged", "Take an older backup.")
        with connection:
            bearers.clear(connection)
            Transaction(connection, tree.Tree(connection)).leaf("restored", "relay", int(time.time()))
        connection.close()
    finally:
        os.close(held)


def _unpack(source: Path, directory: Path) -> None:
    allowed = {MANIFEST, DATABASE, *KEYS}
    try:
        with tarfile.open(source, mode="r:") as archive:
            members = archive.getmembers()
            names = [member.name for member in members]
            wrong = (
                set(names) - allowed or len(set(names)) != len(names) or any(not m.isfile() or m.size > LARGEST for m in members)
            )
            if wrong or not {MANIFEST, DATABASE, "log.key"} <= set(names):
                raise BadSetting(str(source), "backup", "it is not a backup of a relay", "Name a file that `backup` wrote.")
            (directory / "tls").mkdir(mode=0o700, exist_ok=True)
            for member in members:
                content = archive.extractfile(member)
                if content is None or member.name == MANIFEST:
                    continue
                descriptor = os.open(directory / member.name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    while block := content.read(1 << 20):
                        file.write(block)
                    file.flush()
                    os.fsync(descriptor)
    except (tarfile.TarError, OSError) as error:
        raise BadSetting(
            str(source), "backup", "it cannot be read, or its files are there already", "Check file and directory."
        ) from error


# ---- doctor ------------------------------------------------------------------------------------------------------------

Check = Callable[[Settings], str]


def doctor(settings: Settings) -> Iterator[tuple[str, bool, str]]:
    """(what was looked at, whether it is well, what was found or what to do), one a check."""
    checks: tuple[tuple[str, Check], ...] = (
        ("directory", _look_at_directory),
        ("database", _look_at_database),
        ("log", _look_at_log),
        ("objects", _look_at_objects),
        ("certificate", _look_at_certificate),
        ("disk", _look_at_disk),
        ("profile", _look_at_profile),
    )
    for name, check in checks:
        try:
            yield name, True, check(settings)
        except BadSetting as error:
            yield name, False, f"{error.field}: {error.rule}. {error.fix}"
        except (copying.Damaged, OSError, LookupError) as error:
            yield name, False, f"it cannot be read ({type(error).__name__}). Restore a backup."


def _look_at_profile(settings: Settings) -> str:
    if settings.profile == "laboratory":
        return "LABORATORY: nothing spares people's screens. For tests and load, never for people"
    return settings.profile


def _look_at_directory(settings: Settings) -> str:
    if not settings.directory.exists():
        raise BadSetting(str(settings.directory), "data", "there is no such directory", "Start the relay once.")
    prepare_directory(settings.directory)
    return "owner and modes are right"


def _look_at_database(settings: Settings) -> str:
    reading = open_reader(database_path(settings.directory))
    schema.check(reading)
    if not copying.whole(reading):
        raise BadSetting("database", "pages", "integrity_check found damage", "Restore a backup.")
    return f"schema {schema.version_of(reading)}, pages intact"


def _look_at_log(settings: Settings) -> str:
    """Every leaf against every stored node: an edited, moved or missing leaf is named by its number (B7)."""
    reading = open_reader(database_path(settings.directory))
    size = tree.size(reading)
    for first in range(0, size, 1000):
        for offset, leaf in enumerate(tree.leaves(reading, first, 1000)):
            if public.leaf_hash(leaf) != tree.node(reading, 0, first + offset):
                raise BadSetting("log", f"leaf {first + offset}", "it does not have the hash of its node", "Restore a backup.")
    for level in range(1, size.bit_length()):
        for position in range(size >> level):
            pair = tree.nodes(reading, level - 1, 2 * position, 2)
            if len(pair) != 2 or public.node_hash(*pair) != tree.node(reading, level, position):
                raise BadSetting(
                    "log", f"node {position} of level {level}", "it does not join the two below it", "Restore a backup."
                )
    log.range_root(0, size, lambda level, position: tree.node(reading, level, position))
    return f"{size} leaves, every hash recomputed"


def _look_at_objects(settings: Settings) -> str:
    """Every signed row, verified again: damaged and forged rows are named (B2, B4, B5)."""
    reading = open_reader(database_path(settings.directory))
    found = list(rowcheck.damaged(reading, int(time.time())))
    if found:
        more = f", and {len(found) - ROWS} more" if len(found) > ROWS else ""
        raise BadSetting("database", "; ".join(found[:ROWS]) + more, "rows are not what was signed", "Restore a backup.")
    return "every signed row is what was signed"


def _look_at_certificate(settings: Settings) -> str:
    chain = tls.served(settings.directory, settings.tls_cert, "relay.pem")
    tls.trust_anchor(chain)
    left = (tls.expires(chain) - datetime.datetime.now(datetime.UTC)).days
    if left < 30:
        raise BadSetting(str(chain), "certificate", f"it ends in {left} days", "Restart the relay, or bring a new one.")
    return f"good for {left} days"


def _look_at_disk(settings: Settings) -> str:
    status = os.statvfs(settings.directory)
    free = status.f_bavail * status.f_frsize
    if free < settings.limits.reserve_bytes:
        raise BadSetting(str(settings.directory), "disk", f"{free} bytes are free", "Free space: new work is refused.")
    return f"{free // 1_048_576} MiB free"
