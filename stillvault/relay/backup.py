"""Backup and restore.

A backup is one tar file: a consistent copy of the database (SQLite's online backup, never `cp`), the relay's keys, and a
manifest with the digest of each. It holds no plaintext and no key that opens a secret, and no usable bearer; it does hold the
relay's TLS, log and push keys and the credentials of people's notification targets. So keep it as you keep those, or have it
encrypted to an age recipient (agefile.py): the private half is then nowhere near the relay.

What is written is read again and compared before it gets its name. A restore is all or nothing: everything is unpacked,
compared, migrated and marked beside the directory's content, and the database moves in last.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec

from stillvault.relay import agefile
from stillvault.relay.directory import lock, prepare_directory
from stillvault.relay.settings import BadSetting, Settings
from stillvault.relay.store import bearers, copying, schema, space, tree, trust
from stillvault.relay.store.connection import database_path, open_reader, open_writer
from stillvault.relay.store.transaction import Transaction

KEYS = ("log.key", "vapid.key", "tls/ca.pem", "tls/ca.key", "tls/relay.pem", "tls/relay.key")
MANIFEST = "manifest.json"
DATABASE = "stillvault.db"
LARGEST = 64 * 1024 * 1024 * 1024  # bytes of a member: a backup is not a bomb
MOST_MEMBERS = len(KEYS) + 2
LARGEST_MANIFEST = 64 * 1024
BLOCK = 1 << 20
DATABASES = (DATABASE, *(DATABASE + ending for ending in ("-wal", "-shm", "-journal")))
OWN = (*DATABASES, *KEYS, "config.toml", "own-chain.pem", "relay.lock", "reserve")  # files of a data directory
LAST = "last_backup"  # the fact that says when the last one was written (unix seconds)
TARFILE_RAISES = (ValueError, MemoryError, RecursionError)  # for headers that lie about numbers, lengths and depth
NOT_OURS = "it is not a backup of a relay"


class Manifest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """manifest.json, the first member. `files`: SHA-256 of the others by name, in hexadecimal."""

    created: int
    schema: int
    rows: int  # of the audit log
    files: dict[str, str]
    v: int = 1


def last(settings: Settings) -> int:
    """When the last backup was written, by this relay or by `backup` beside it (unix seconds); 0 when none ever was."""
    with closing(open_reader(database_path(settings.directory))) as reading:
        return int(trust.fact(reading, LAST) or 0)


def never() -> bool:
    return False


# ---- writing -----------------------------------------------------------------------------------------------------------


def backup(
    settings: Settings, target: Path, now: int, recipients: tuple[str, ...] = (), stop: Callable[[], bool] = never
) -> Manifest:
    """Writes a backup, mode 0600, whole or not at all. The relay may run meanwhile. Where there are recipients it is encrypted to
    them; what lies in the clear until then stays in the data directory. `stop` ends it early.

    Raises:
        BadSetting: no database, no room, a target that is another file or cannot be written, a damaged database, `stop`.
    """
    directory = settings.directory
    _require_place(directory, target)
    for needed in (database_path(directory), directory / "log.key"):
        if not needed.exists():
            raise BadSetting(str(directory), "data", f"there is no {needed.name}", "Name the data directory of a relay.")
    to = agefile.recipients(recipients)
    require_room(settings)
    part = target.with_name(target.name + ".part")
    try:
        with tempfile.TemporaryDirectory(dir=directory, prefix=".backup-") as scratch:
            copy, plain = Path(scratch) / DATABASE, Path(scratch) / "plain"
            copying.copy(database_path(directory), copy, stop)
            _make(part)
            archive = plain if to else part
            manifest = _archive(archive, copy, directory, now)
            copy.unlink()
            _compare(archive, manifest)
            if to:
                agefile.encrypt(plain, part, to)
        _sync(part)
        part.rename(target)
        _sync(target.parent)
    except OSError as error:
        fix = "Name a place that exists, that the relay may write to, and with room for a copy of the database."
        raise BadSetting(str(target), "backup", f"it cannot be written ({error.strerror or 'failed'})", fix) from None
    except copying.Damaged as error:
        rule = f"the database cannot be copied ({type(error).__name__})"
        raise BadSetting(str(directory), "backup", rule, "Make room, or run: stillvault-relay doctor") from None
    except copying.Stopped:
        raise BadSetting(str(target), "backup", "the relay stops", "Begin again.") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return manifest


def note(settings: Settings, now: int) -> None:
    """Remembers that a backup was written, beside a relay that may run."""
    with closing(open_writer(database_path(settings.directory))) as connection, connection:
        trust.set_fact(connection, LAST, str(now))


def _require_place(directory: Path, target: Path) -> None:
    """A backup takes the place of an older one, and of nothing else: a mistyped name must not cost a database or a key."""
    try:
        own = target.resolve() in [(directory / one).resolve() for one in OWN]
        taken = own or not target.name or (target.exists() and not _is_backup(target))
    except (OSError, RuntimeError):
        return  # whatever it is (RuntimeError: links in a circle), writing there says so
    if taken:
        raise BadSetting(str(target), "backup", "another file is there, or has that name", "Name a new file, or an older backup.")


def _is_backup(file: Path) -> bool:
    """Whether a file is one that `backup` wrote, or an empty one that somebody made for it."""
    if not file.is_file():
        return False
    with open(file, "rb") as reading:
        head = reading.read(512)
    return not head or head.startswith((MANIFEST.encode() + b"\0", agefile.HEADER))


def require_room(settings: Settings) -> None:
    """A copy and an archive of it beside the database must leave the relay what it keeps free (R4)."""
    directory = settings.directory
    size = sum(one.stat().st_size for one in directory.glob(DATABASE + "*"))
    wanted = 2 * size + space.watermark(directory, settings.limits.reserve_bytes)
    free = space.free(directory)
    if free < wanted:
        rule = f"there is no room for a copy: {free // 1_048_576} MiB are free, {wanted // 1_048_576 + 1} are needed"
        raise BadSetting(str(directory), "disk", rule, "Free space, or move the data directory to a larger disk.")


def _archive(target: Path, copy: Path, directory: Path, now: int) -> Manifest:
    with closing(open_reader(copy)) as reading:
        facts = schema.version_of(reading), tree.size(reading)
    members = {DATABASE: copy, **{name: directory / name for name in KEYS if (directory / name).exists()}}
    manifest = Manifest(now, *facts, {name: _digest_of(path) for name, path in members.items()})
    with open(target, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
        said = msgspec.json.encode(manifest)
        _add(archive, MANIFEST, io.BytesIO(said), len(said))
        for name, path in members.items():
            with open(path, "rb") as content:
                _add(archive, name, content, path.stat().st_size)
    return manifest


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    """Nothing of this machine goes along: no owner, no time."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    archive.addfile(member, content)


def _compare(file: Path, manifest: Manifest) -> None:
    """What was written, read again."""
    with _members(file) as (said, members):
        found = {name: _digest(content) for name, content in members}
    if said != manifest or found != manifest.files:
        raise BadSetting(str(file), "backup", "what was written cannot be read again", "Look at the disk.")


def _make(file: Path) -> None:
    """A new file of our own. One that is there, left behind or put there by somebody who would read along, goes."""
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest_of(path: Path) -> str:
    with open(path, "rb") as content:
        return _digest(content)


def _digest(content: IO[bytes]) -> str:
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]  # read() is all that it needs


# ---- reading -----------------------------------------------------------------------------------------------------------


@contextmanager
def _members(file: Path) -> Iterator[tuple[Manifest, Iterator[tuple[str, IO[bytes]]]]]:
    """The manifest, and the other members as they come. Refused unless they are exactly those of the manifest, each once, and
    nothing but files."""
    try:
        with tarfile.open(file, mode="r:") as archive:
            members = list(islice(archive, MOST_MEMBERS + 1))  # no more are looked at than a backup has
            yield _manifest(file, archive, members), ((one.name, _content(archive, one)) for one in members[1:])
    except (tarfile.TarError, EOFError, *TARFILE_RAISES) as error:
        raise BadSetting(str(file), "backup", f"{NOT_OURS}, or it is cut short", "Name a file that `backup` wrote.") from error


def _manifest(file: Path, archive: tarfile.TarFile, members: list[tarfile.TarInfo]) -> Manifest:
    names = [member.name for member in members]
    refused = BadSetting(str(file), "backup", NOT_OURS, "Name a file that `backup` wrote.")
    # A sparse member is larger than the file that it comes in: what is unpacked is bounded by what is there.
    if any(not member.isfile() or member.issparse() or member.size > LARGEST for member in members):
        raise refused
    if not names or names[0] != MANIFEST or members[0].size > LARGEST_MANIFEST:
        raise refused
    try:
        manifest = msgspec.json.decode(_content(archive, members[0]).read(), type=Manifest)
    except msgspec.MsgspecError:
        raise refused from None
    if names[1:] != list(manifest.files) or not {DATABASE, "log.key"} <= set(names) or set(names) - {MANIFEST, DATABASE, *KEYS}:
        raise refused
    return manifest


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(member)
    if found is None:
        raise tarfile.ReadError(member.name)
    return found


def unpack(file: Path, identity: Path | None, folder: Path) -> Manifest:
    """Unpacks a backup, encrypted or not, into `folder`, an empty directory, and compares each file with the manifest.

    Raises:
        BadSetting: not a backup, damaged, of a newer program, or encrypted and the identity does not open it.
    """
    try:
        plain = file
        if agefile.is_encrypted(file):
            plain = folder / "plain"
            agefile.decrypt(file, plain, identity)
        with _members(plain) as (manifest, members):
            if manifest.schema > len(schema.migrations()):
                rule = f"its schema {manifest.schema} is newer than {len(schema.migrations())}, which this program knows"
                raise BadSetting(str(file), "backup", rule, "Run the newer program.")
            (folder / "tls").mkdir(mode=0o700)
            for name, content in members:
                _write(folder / name, content)
                if _digest_of(folder / name) != manifest.files[name]:
                    raise BadSetting(str(file), "backup", f"{name} in it is damaged", "Take an older backup.")
        if plain != file:
            plain.unlink()
    except OSError as error:
        rule = f"it cannot be unpacked ({error.strerror or 'failed'})"
        raise BadSetting(str(file), "backup", rule, "Check file, directory and room.") from error
    return manifest


def _write(path: Path, content: IO[bytes]) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while block := content.read(BLOCK):
            file.write(block)
        file.flush()
        os.fsync(descriptor)


def restore(settings: Settings, source: Path, identity: Path | None = None) -> Manifest:
    """Puts a backup into a data directory that has no database. Devices that saw more will say so: nothing hides that it is older
    (B8)."""
    directory = settings.directory
    prepare_directory(directory)
    held = lock(directory)
    try:
        # Any piece of one: a log that a database left would be played into the restored one.
        if any((directory / one).exists() for one in DATABASES):
            rule = "there is a database already, or what one left"
            raise BadSetting(str(directory), "data", rule, "Restore into an empty directory.")
        with tempfile.TemporaryDirectory(dir=directory, prefix=".restore-") as scratch:
            folder = Path(scratch)
            manifest = unpack(source, identity, folder)
            names = [name for name in manifest.files if name != DATABASE]
            there = [name for name in names if (directory / name).exists()]
            if there:
                rule = "the file is there already"
                raise BadSetting(str(directory / there[0]), "data", rule, "Restore into an empty directory.")
            _ready(folder / DATABASE, source)
            (directory / "tls").mkdir(mode=0o700, exist_ok=True)
            for name in (*names, DATABASE):  # the database last: with it the directory is that of a relay
                (folder / name).rename(directory / name)
            _sync(directory / "tls")
            _sync(directory)
    finally:
        os.close(held)
    return manifest


def _ready(database: Path, source: Path) -> None:
    """Migrated, without bearers, and with its row in the log."""
    with closing(open_writer(database)) as connection:
        schema.migrate(connection)
        if not copying.whole(connection):
            raise BadSetting(str(source), "backup", "the database in it is damaged", "Take an older backup.")
        with connection:
            bearers.clear(connection)
            Transaction(connection, tree.Tree(connection)).leaf("restored", "relay", int(time.time()))
