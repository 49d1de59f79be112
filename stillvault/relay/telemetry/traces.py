"""Traces by OpenTelemetry, where `forward.traces` asks for them: a span for each request, sent as OTLP/HTTP.

Imported only then, and it needs the extra `stillvault[otel]`. The library makes and encodes spans; they leave by the one way that
everything leaves by (notify/http.py): to a host of `forward.egress`, no proxy, no redirect, none of the library's own variables.

A span has the method, the route as it is written in routes.py, and the status: no path, name, id or header of the request. A
caller's own trace is not taken up: it could say anything. What cannot be sent is dropped, for traces are no record.
"""

from __future__ import annotations

import asyncio
from collections import deque
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind

from stillvault.relay.edge import App, Message, Receive, Scope, Send
from stillvault.relay.hub import Hub
from stillvault.relay.journal import Journal
from stillvault.relay.notify import http
from stillvault.relay.notify.egress import Egress, Unsent
from stillvault.relay.places import place
from stillvault.relay.settings import Forward

MOST_KEPT = 2048  # spans that wait; the oldest go first
MOST_AT_ONCE = 512
EVERY = 5.0  # seconds


class _Kept(SpanProcessor):
    """What ended and was not sent yet."""

    def __init__(self) -> None:
        self.spans: deque[ReadableSpan] = deque(maxlen=MOST_KEPT)

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class Traces:
    """Spans of one relay, and the task that sends them."""

    def __init__(self, settings: Forward) -> None:
        self._egress, self._place = Egress(settings.egress), place(settings.traces)
        self._tls = http.authorities("forward.ca", settings.ca)
        self._seconds = settings.timeout_seconds
        self._kept = _Kept()
        resource = Resource({"service.name": "stillvault-relay", "service.version": version("stillvault")})
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._kept)
        self._tracer = provider.get_tracer("stillvault.relay")

    def traced(self, app: App) -> App:
        """The application, a span around each request."""

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            method = str(scope["method"])
            span = self._tracer.start_span(method, context=Context(), kind=SpanKind.SERVER)
            span.set_attribute("http.request.method", method)

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", int(message["status"]))
                await send(message)

            try:
                await app(scope, receive, answer)
            finally:
                route = scope.get("path_template")  # the router writes it there; a request that it did not take has none
                if route:
                    span.set_attribute("http.route", str(route))
                    span.update_name(f"{method} {route}")
                span.end()

        return call

    async def run(self, hub: Hub, journal: Journal) -> None:
        """Until the hub closes or the task is cancelled."""
        while not hub.closed:
            await asyncio.sleep(EVERY)
            while self._kept.spans:
                batch = [self._kept.spans.popleft() for _ in range(min(len(self._kept.spans), MOST_AT_ONCE))]
                try:
                    await self._send(batch)
                except Unsent as error:
                    journal.warning("traces were not sent", code=error.code)

    async def _send(self, batch: list[ReadableSpan]) -> None:
        body = encode_spans(batch).SerializeToString()
        await http.post(self._egress, self._tls, self._seconds, self._place, {"Content-Type": "application/x-protobuf"}, body)
