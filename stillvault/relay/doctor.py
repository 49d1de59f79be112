"""What `stillvault-relay doctor` looks at, and what it says: each check names what is wrong and what to do."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from stillvault.crypto import public
from stillvault.relay import backup, log, named, rowcheck, rowfacts, tls
from stillvault.relay.directory import prepare_directory
from stillvault.relay.settings import BadSetting, Settings
from stillvault.relay.store import copying, schema, space, tree
from stillvault.relay.store.connection import Connection, database_path, open_reader
from stillvault.relay.upgrade import migrated_copy

ROWS = 20  # damaged rows that are named
LATE = 2  # intervals without a backup

# Pages that are damaged, rows that are missing, cells of another type or size than a relay writes.
UNREADABLE = (copying.Damaged, OSError, LookupError, TypeError, ValueError, AttributeError)

Finding = tuple[str, bool, str]
Check = Callable[[Settings], str]


def look(settings: Settings) -> Iterator[Finding]:
    """(what was looked at, whether it is well, what was found or what to do), one a check."""
    yield from _made(settings, (("directory", _look_at_directory),))
    if not settings.directory.is_dir():
        return  # nothing that a backup would mend
    if not database_path(settings.directory).exists():
        fix = "Name the relay's directory with --data, start the relay once, or restore a backup."
        yield "database", False, f"data: there is no {database_path(settings.directory).name} in it. {fix}"
        return
    yield from look_inside(settings, int(time.time()))
    yield from _made(settings, (("certificate", _look_at_certificate), ("disk", _look_at_disk)))
    yield from _made(settings, (("backup", _look_at_backup), ("profile", _look_at_profile)))


def look_inside(settings: Settings, now: int) -> Iterator[Finding]:
    """The checks of the database alone, at a moment: certificates and rosters run out."""
    objects = partial(_look_at_objects, now=now)
    yield from _made(settings, (("database", _look_at_database), ("log", _look_at_log), ("objects", objects)))


def _made(settings: Settings, checks: tuple[tuple[str, Check], ...]) -> Iterator[Finding]:
    for name, check in checks:
        try:
            yield name, True, check(settings)
        except BadSetting as error:
            yield name, False, f"{error.field}: {error.rule}. {error.fix}"
        except UNREADABLE as error:
            yield name, False, f"it cannot be read ({type(error).__name__}). Restore a backup."


def _look_at_profile(settings: Settings) -> str:
    if settings.profile == "laboratory":
        return "LABORATORY: nothing spares people's screens. For tests and load, never for people"
    return settings.profile


def _look_at_directory(settings: Settings) -> str:
    if not settings.directory.is_dir():
        rule = f"{settings.directory} is no directory"
        raise BadSetting(str(settings.directory), "data", rule, "Name the relay's with --data, or start the relay once.")
    prepare_directory(settings.directory)
    return "owner and modes are right"


def _look_at_database(settings: Settings) -> str:
    with closing(_reading(settings)) as reading:
        schema.check(reading)
        if not copying.whole(reading):
            raise BadSetting("database", "pages", "integrity_check found damage", "Restore a backup.")
        version, newest = schema.version_of(reading), len(schema.migrations())
        later = f"; this program makes it {newest} when it starts" if version < newest else ""
        return f"schema {version}, pages intact{later}"


def _look_at_log(settings: Settings) -> str:
    """Every leaf against every stored node: an edited, moved or missing leaf is named by its number (B7)."""
    with closing(_reading(settings)) as reading:
        size = tree.size(reading)
        for first in range(0, size, 1000):
            for offset, leaf in enumerate(tree.leaves(reading, first, 1000)):
                if public.leaf_hash(leaf) != tree.node(reading, 0, first + offset):
                    rule = "it does not have the hash of its node"
                    raise BadSetting("log", f"leaf {first + offset}", rule, "Restore a backup.")
        if tree.nodes_stored(reading) != sum(size >> level for level in range(size.bit_length())):
            raise BadSetting("log", f"leaf {size}", "leaves are missing at the end, or nodes", "Restore a backup.")
        for level in range(1, size.bit_length()):
            for position in range(size >> level):
                pair = tree.nodes(reading, level - 1, 2 * position, 2)
                if len(pair) != 2 or public.node_hash(*pair) != tree.node(reading, level, position):
                    rule = "it does not join the two below it"
                    raise BadSetting("log", f"node {position} of level {level}", rule, "Restore a backup.")
        log.range_root(0, size, lambda level, position: tree.node(reading, level, position))
        return f"{size} leaves, every hash recomputed"


def _look_at_objects(settings: Settings, now: int) -> str:
    """Every signed row, verified again: damaged and forged rows are named (B2, B4, B5)."""
    with _present(settings) as reading:
        found = [*rowcheck.damaged(reading, now), *rowfacts.differing(reading)]
    if found:
        more = f", and {len(found) - ROWS} more" if len(found) > ROWS else ""
        raise BadSetting("database", "; ".join(found[:ROWS]) + more, "rows are not what was signed", "Restore a backup.")
    return "every signed row is what was signed"


def _look_at_certificate(settings: Settings) -> str:
    if settings.tls_cert:
        named.fit(settings, named.name_of(settings), Path(settings.tls_cert), Path(settings.tls_key))
    chain = tls.served(settings.directory, settings.tls_cert, "relay.pem")
    tls.trust_anchor(chain)
    left = (tls.expires(chain) - datetime.datetime.now(datetime.UTC)).days
    if left < 30:
        raise BadSetting(str(chain), "certificate", f"it ends in {left} days", "Restart the relay, or bring a new one.")
    return f"good for {left} days"


def _look_at_disk(settings: Settings) -> str:
    free = space.free(settings.directory)
    if free < space.watermark(settings.directory, settings.limits.reserve_bytes):
        raise BadSetting(str(settings.directory), "disk", f"{free} bytes are free", "Free space: new work is refused.")
    return f"{free // 1_048_576} MiB free"


def _look_at_backup(settings: Settings) -> str:
    """A schedule that does not come round is said; without one there is nothing to miss."""
    written, now = backup.last(settings), int(time.time())
    every = settings.backup.every_seconds
    since = f"the last one was written {max(now - written, 0) // 3600} hours ago" if written else "none was ever written"
    if every and now - written > LATE * every:
        fix = "Look for `backup` in the relay's log; is the relay running?"
        raise BadSetting(str(settings.directory), "backup", since, fix)
    return since


@contextmanager
def _present(settings: Settings) -> Iterator[Connection]:
    """The database; where it is older than this program, whose columns it lacks, a copy that was brought up to date."""
    before, newest = schema.look(database_path(settings.directory))
    with migrated_copy(settings) if 0 < before < newest else closing(_reading(settings)) as reading:
        yield reading


def _reading(settings: Settings) -> Connection:
    return open_reader(database_path(settings.directory))
