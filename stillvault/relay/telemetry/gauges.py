"""The gauges: the state of a running relay, read when somebody asks for the metrics."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from stillvault.relay.context import Relay
from stillvault.relay.store import counting, tree
from stillvault.relay.store import trust as store
from stillvault.relay.store.connection import database_path

LISTENERS = {"person": "stream", "client": "poll", "enrol": "enrolment"}  # a topic's first part, and who listens to it


class State:
    """The gauges of one relay. Each is read at the moment, so that none can be stale."""

    def __init__(self, relay: Relay, tls_expires: Callable[[], float]) -> None:
        self._relay, self._tls_expires = relay, tls_expires

    def describe(self) -> list[Metric]:
        """None: nothing is read before somebody asks."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Everything, read now."""
        relay = self._relay
        database = database_path(relay.settings.directory)
        size = tree.size(relay.reader)
        disk = os.statvfs(relay.settings.directory)
        plain = {
            "ready": ("1 while the disk takes writes", not relay.writer.failed),
            "write_queue": ("Use cases that wait for the writer", relay.writer.waiting),
            "requests_waiting": ("Requests that wait for people", counting.waiting(relay.reader)),
            "leases": ("Leases that the relay knows of", counting.leases(relay.reader, relay.clock())),
            "audit_log_rows": ("Rows of the audit log", size),
            "database_bytes": ("Size of the database", _size(database)),
            "wal_bytes": ("Size of the database's write-ahead log", _size(database.with_name(database.name + "-wal"))),
            "disk_free_bytes": ("Free space where the data is", disk.f_bavail * disk.f_frsize),
            "reserve_bytes": ("Space held back for denials and the log", _size(relay.settings.directory / "reserve")),
            "tls_certificate_expiry_timestamp_seconds": ("When the served certificate ends", self._tls_expires()),
        }
        for name, (text, value) in plain.items():
            yield GaugeMetricFamily(f"stillvault_{name}", text, float(value))
        yield from self._if_known()
        listeners = GaugeMetricFamily("stillvault_listeners", "Open streams and long polls, by kind", labels=["kind"])
        for topic, kind in LISTENERS.items():
            listeners.add_metric([kind], relay.hub.listeners(topic))
        yield listeners
        behind = GaugeMetricFamily("stillvault_forward_behind_rows", "Rows not yet forwarded, by receiver", labels=["receiver"])
        for receiver, cursor in relay.forwarded.items():
            behind.add_metric([receiver], max(size - cursor, 0))
        yield behind

    def _if_known(self) -> Iterator[Metric]:
        """What there is not from the start: a missing series says so."""
        standing, backup = self._relay.organisation.standing, store.fact(self._relay.reader, "last_backup")
        if standing is not None:
            for name, text, value in (
                ("roster", "When the roster ends", standing.roster.expires),
                ("root", "When the root ends", standing.root.expires),
                ("device", "When the first device in the roster ends",
                 min((one.expires for person in standing.roster.people for one in person.devices), default=0)),
            ):
                yield GaugeMetricFamily(f"stillvault_{name}_expiry_timestamp_seconds", text, value)
        if backup:
            text = "When the last backup was written"
            yield GaugeMetricFamily("stillvault_last_backup_timestamp_seconds", text, float(backup))


def _size(path: os.PathLike[str]) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
