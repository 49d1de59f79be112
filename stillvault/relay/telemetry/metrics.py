"""The metrics: counters that the relay's parts move, and gauges (`gauges`) that are read when somebody asks for them.

No label holds a name of a secret, person, host, program or target (M8): labels are words of this program, each from a closed
set. Counters begin at zero when the relay starts. Times of people are in whole seconds, as the log has them.

prometheus-client itself and not the plug-in of the web framework: the plug-in serves on the port of the application, labels by
path, and sees neither the writer nor what a request came to.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest

from stillvault.relay.store.transaction import Mark

if TYPE_CHECKING:
    from stillvault.relay.edge import App, Message, Receive, Scope, Send

HUMAN = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)  # seconds: a request lives for an hour at the most
DISK = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)  # seconds

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series that nobody reads for each series that somebody does


class Gauges(Protocol):
    """What is read when somebody asks for the page."""

    def describe(self) -> list[Metric]:
        """Which they are, where that is known beforehand."""

    def collect(self) -> Iterator[Metric]:
        """What they say now."""


class Metrics:
    """All metrics of one relay. What the loop and the writer's thread call takes a lock and no more."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"stillvault_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"stillvault_{name}", text, labels, registry=self.registry, buckets=buckets)

        self._rows = counter("audit_rows", "Rows of the audit log that were written, by kind", "kind")
        self._asked = counter("requests_asked", "Requests that people were asked about")
        self._ended = counter("requests", "Requests that ended, by outcome", "outcome")
        self._decisions = counter("decisions", "Decisions of people that counted, by verdict", "verdict")
        self._releases = counter("releases", "Requests whose release was handed to the client")
        self._uses = counter("lease_uses", "Uses of leases that clients reported")
        self._suppressed = counter("prompts_suppressed", "Prompts that a limit held back, by limit", "limit")
        self._prompts = counter("prompts", "Prompts, one for each request and target", "channel", "outcome")
        self._back = counter("passkey_counters_back", "Signatures of a passkey whose counter had been passed before")
        self._responses = counter("http_responses", "Answers, by status", "status")
        self._failures = counter("forward_failures", "Tries to forward the audit log that failed, by receiver", "receiver")
        self._wait = histogram("request_wait_seconds", "From a request to the end of its wait for people", HUMAN, "outcome")
        self._decision = histogram("decision_seconds", "From a request to each person's decision", HUMAN)
        self._queue = histogram("write_queue_seconds", "How long a use case waited for the writer", DISK)
        self._commit = histogram("commit_seconds", "How long a commit took, the disk's sync with it", DISK)
        self._batch = histogram("commit_use_cases", "Use cases that shared a commit", (1, 2, 4, 8, 16, 32, 64, 128, 256))
        build = Gauge("stillvault_build", "The program", ["version"], registry=self.registry)
        build.labels(importlib.metadata.version("stillvault")).set(1)
        ProcessCollector(registry=self.registry)

    # ---- what the parts say --------------------------------------------------------------------------------------------

    def committed(self, waits: Iterable[float], seconds: float) -> None:
        """A commit: how long each of its use cases had waited, and how long it took itself. From the writer's thread."""
        count = 0
        for wait in waits:
            self._queue.observe(wait)
            count += 1
        self._batch.observe(count)
        self._commit.observe(seconds)

    def happened(self, marks: Iterable[Mark]) -> None:
        """What became durable."""
        for what, label, number in marks:
            self._take(what, label, number)

    def _take(self, what: str, label: str, number: int) -> None:
        match what:
            case "row":
                self._rows.labels(label).inc()
            case "asked":
                self._asked.inc()
            case "ended":
                self._ended.labels(label).inc()
            case "wait":
                self._wait.labels(label).observe(number)
            case "decision":
                self._decisions.labels(label).inc()
                self._decision.observe(number)
            case "release":
                self._releases.inc()
            case "uses":
                self._uses.inc(number)
            case "counter-back":
                self._back.inc()
            case "prompt":
                self._prompts.labels(*label.split(" ", 1)).inc()

    def suppressed(self, limit: str) -> None:
        """A prompt that `limit` held back; the log has them as one row a minute."""
        self._suppressed.labels(limit).inc()

    def forward_failed(self, receiver: str) -> None:
        self._failures.labels(receiver).inc()

    def counted(self, app: App) -> App:
        """The application, its answers counted."""

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._responses.labels(str(message["status"])).inc()
                await send(message)

            await app(scope, receive, answer)

        return call

    # ---- what is read when asked ---------------------------------------------------------------------------------------

    def watch(self, gauges: Gauges) -> None:
        """From now on the page has what these say too."""
        self.registry.register(gauges)

    def page(self) -> bytes:
        """Prometheus' text format. On the loop's thread: it reads what belongs to the loop."""
        return generate_latest(self.registry)
