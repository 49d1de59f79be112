"""The file of sealed secrets for break-glass: out of a data directory, beside a relay that may run, or out of a backup.

Both are copied first, so that the file is of one moment, and only the copy is brought to this program's schema. What goes into
the file is what the relay hands out all the time: signed objects and ciphertext.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import msgspec

from stillvault.crypto.public import b64encode
from stillvault.protocol.sealedfile import End, Head, Line, Sealed
from stillvault.relay import backup
from stillvault.relay.settings import BadSetting, Settings
from stillvault.relay.store import copying, schema, secrets, trust
from stillvault.relay.store.connection import Connection, database_path, open_writer

PAGE = 200  # secrets read at a time


def write(target: Path, now: int, copied: AbstractContextManager[Connection]) -> int:
    """Writes the file, mode 0600, whole or not at all, from what `of_directory` or `of_backup` gives. How many secrets it holds.

    Raises:
        BadSetting: as the source; no organisation, a target that is there or cannot be written.
    """
    if target.exists():
        raise BadSetting(str(target), "sealed", "the file is there already", "Name a new file.")
    part = target.with_name(target.name + ".part")
    try:
        with copied as db:
            count = _write(part, db, now)
        part.rename(target)
    except OSError as error:
        fix = "Name a place that exists, that you may write to, and with room."
        raise BadSetting(str(target), "sealed", f"it cannot be written ({error.strerror or 'failed'})", fix) from None
    except copying.Damaged as error:
        rule = f"the database cannot be read ({type(error).__name__})"
        raise BadSetting("the database", "sealed", rule, "Take a backup: --backup FILE.") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return count


@contextmanager
def of_directory(settings: Settings) -> Iterator[Connection]:
    """A copy of the database of a data directory. Raises `BadSetting`: no database, no room for a copy."""
    path = database_path(settings.directory)
    if not path.exists():
        raise BadSetting(str(settings.directory), "data", f"there is no {path.name}", "Name the data directory of a relay.")
    backup.require_room(settings)
    with _scratch(settings.directory) as copy:
        copying.copy(path, copy, backup.never)
        with _current(copy) as db:
            yield db


@contextmanager
def of_backup(archive: Path, identity: Path | None, beside: Path) -> Iterator[Connection]:
    """The database of a backup, unpacked in a directory below `beside`. Raises `BadSetting` as `unpack`."""
    with _scratch(beside) as copy:
        backup.unpack(archive, identity, copy.parent)
        with _current(copy) as db:
            yield db


@contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=beside, prefix=".backup-") as folder:
        yield Path(folder) / backup.DATABASE


@contextmanager
def _current(copy: Path) -> Iterator[Connection]:
    with closing(open_writer(copy)) as db:
        schema.migrate(db)
        yield db


def _write(part: Path, db: Connection, now: int) -> int:
    roster = trust.newest_roster(db)
    if roster is None:
        raise BadSetting("the database", "sealed", "there is no organisation in it", "Name the data directory of a relay in use.")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb") as file:

        def line(one: Line) -> None:
            file.write(msgspec.json.encode(one) + b"\n")

        line(Head(now, [msgspec.Raw(signed) for _, _, signed in trust.roots(db)], msgspec.Raw(roster.signed)))
        count = 0
        for one in _newest(db):
            line(Sealed(one.path, msgspec.Raw(one.signed), b64encode(secrets.ciphertext(db, one.oid))))
            count += 1
        line(End(count))
        file.flush()
        os.fsync(file.fileno())
    return count


def _newest(db: Connection) -> Iterator[secrets.StoredSecret]:
    """The newest seal of each path, by ascending path."""
    after = ""
    while page := secrets.listed(db, "", after, PAGE):
        yield from page
        after = page[-1].path
