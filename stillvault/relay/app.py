"""All wiring: the parts of a relay made from its settings, and the ASGI application over them.

`start` opens what is there or makes it (database, log key, TLS), `application` turns the route table into handlers behind the
edge, `stop` ends who waits and folds the database. Nothing else in the package makes a part.
"""

from __future__ import annotations

import asyncio
import os
import secrets as randomness
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from stillvault.crypto import public
from stillvault.protocol.errors import Refused, StillvaultError
from stillvault.relay import agefile, log, openapi, static, upgrade
from stillvault.relay.certificate import Certificate
from stillvault.relay.context import Call, Relay
from stillvault.relay.directory import lock, prepare_directory
from stillvault.relay.edge import App, Edge
from stillvault.relay.forward import forwarder
from stillvault.relay.guards import Rule, admit, bearer_hash, cookie_hash, is_same_origin
from stillvault.relay.hub import Hub
from stillvault.relay.journal import Journal
from stillvault.relay.notify.channels import Sender
from stillvault.relay.notify.dispatcher import Dispatcher
from stillvault.relay.notify.webpush import Vapid, load_or_make_key
from stillvault.relay.problems import ProblemError, describe
from stillvault.relay.refusals import public_host
from stillvault.relay.routes import ROUTES, Route
from stillvault.relay.scheduled import Backups
from stillvault.relay.services.nonces import Nonces
from stillvault.relay.services.organisation import Organisation
from stillvault.relay.services.rates import Rates, Seen, Suppressed
from stillvault.relay.settings import BadSetting, Settings
from stillvault.relay.store import bearers, schema
from stillvault.relay.store import trust as store
from stillvault.relay.store.connection import Connection, database_path, open_reader, open_writer
from stillvault.relay.store.space import Space
from stillvault.relay.store.writer import Writer
from stillvault.relay.sweeper import clean, sweep
from stillvault.relay.tail import Tail
from stillvault.relay.telemetry import port as metrics_port
from stillvault.relay.telemetry.gauges import State
from stillvault.relay.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from stillvault.relay.telemetry.traces import Traces


# ---- a running relay ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Running:
    """A started relay: its parts, its certificate, its lock, and what runs beside the server."""

    relay: Relay
    certificate: Certificate
    lock: int
    sweeper: asyncio.Task[None]
    dispatcher: asyncio.Task[None]
    metrics: asyncio.Server | None
    forwarders: list[asyncio.Task[None]]
    backups: Backups
    backing_up: asyncio.Task[None]


async def start(settings: Settings, port: int) -> Running:
    """Opens or makes everything that a relay needs. `port` is where it really listens. Raises `BadSetting`."""
    directory = settings.directory
    prepare_directory(directory)
    agefile.recipients(settings.backup.recipients)
    held = lock(directory)
    origin = origin_of(settings, port)
    host, outer_port = public_host(origin)
    journal = Journal(settings.log_level)
    certificate = Certificate(settings, host, journal)
    path = database_path(directory)
    seed = log.load_or_make_seed(directory / "log.key", first=not schema.look(path)[0])
    asked = metrics_port.listen(settings)
    receivers, traces = forwarder.receivers(settings, origin), _traces(settings)
    sender = Sender(settings.notify, origin, Vapid(load_or_make_key(directory / "vapid.key"), origin))
    writing, before, after, written = upgrade.open_current(settings, int(time.time()))
    if before != after:
        journal.info("migrated", before=before, after=after, backup=str(written or ""))
    store_facts(writing, settings, origin)
    reading = open_reader(path)
    organisation = _organisation(path, reading)
    hub, metrics = Hub(), Metrics()
    name = host if outer_port == 443 else f"{host}:{outer_port}"
    # From here on nothing may be refused: the writer's thread would keep the process.
    relay = Relay(
        settings=settings,
        origin=origin,
        ca_pem=certificate.anchor,
        reader=reading,
        writer=Writer(writing, Space(directory, settings.limits.reserve_bytes), hub.wake, metrics),
        hub=hub,
        tail=Tail(reading, hub),
        organisation=organisation,
        log_key=log.LogKey(seed, f"{name}/log"),
        nonces=Nonces(),
        rates=Rates(),
        suppressed=Suppressed(),
        seen=Seen(),
        sender=sender,
        journal=journal,
        metrics=metrics,
        forwarded={},
        traces=traces,
        clock=lambda: int(time.time()),
    )
    metrics.watch(State(relay, lambda: certificate.expires.timestamp()))
    served = await metrics_port.serve(asked, metrics.page) if asked else None
    if settings.metrics_address and asked is None:
        journal.warning("metrics are not served: another program has the port", address=settings.metrics)
    backups = Backups(relay)
    forwarders = forwarder.start(relay, receivers)
    if traces:
        forwarders.append(asyncio.create_task(traces.run(hub, journal)))
    return Running(
        relay, certificate, held, asyncio.create_task(sweep(relay)), asyncio.create_task(Dispatcher(relay).run()), served,
        forwarders, backups, asyncio.create_task(backups.run()),
    )  # fmt: skip


def _traces(settings: Settings) -> Traces | None:
    """OpenTelemetry is loaded where the settings ask for traces, and nowhere else."""
    if not settings.forward.traces:
        return None
    try:
        from stillvault.relay.telemetry.traces import Traces
    except ImportError:
        rule = "the extra that makes traces is not installed"
        raise BadSetting("settings", "forward.traces", rule, "Install stillvault[otel].") from None
    return Traces(settings.forward)


def _organisation(path: Path, reading: Connection) -> Organisation:
    """What is stored, verified. A relay whose roster does not verify serves nobody."""
    try:
        return Organisation(reading)
    except (Refused, TypeError, ValueError) as error:
        why = error.code if isinstance(error, Refused) else "it cannot be read"
        rule = f"the stored root chain or roster does not verify ({why})"
        fix = f"Run: stillvault-relay doctor --data {path.parent}; then restore a backup."
        raise BadSetting(str(path), "data", rule, fix) from None


def origin_of(settings: Settings, port: int) -> str:
    """The public URL; without one, localhost at the port. Devices sign for it, so it must stay as it is."""
    return (settings.public_url or f"https://localhost:{port}").removesuffix(":443")


def store_facts(writing: Any, settings: Settings, origin: str) -> None:
    """What the other commands must know while the relay runs, and a setup token that the operator brought."""
    present = store.fact(writing, "origin")
    if present and present != origin and store.newest_roster(writing) is not None:
        rule = f"the organisation was made for {present}"
        raise BadSetting(
            str(settings.directory), "public_url", rule, f"Start with --public-url {present}: devices sign for that name."
        )
    with writing:
        store.set_fact(writing, "origin", origin)
        if settings.setup_token and store.newest_roster(writing) is None:
            expires = int(time.time()) + settings.limits.setup_seconds
            bearers.add_setup_token(writing, public.sha256(settings.setup_token.encode()), expires)


def new_setup_token(settings: Settings) -> str:
    """The setup URL with a fresh token, single use. Works beside a running relay. Raises `BadSetting`."""
    path = database_path(settings.directory)
    if not path.exists():
        raise BadSetting(str(path), "data", "no relay was started here yet", "Run: stillvault-relay serve --data DIR")
    connection = open_writer(path)
    try:
        schema.check(connection)
        if store.newest_roster(connection) is not None:
            raise BadSetting(str(path), "setup", "the organisation exists already", "Invite people: stillvault person invite.")
        token = public.b64encode(randomness.token_bytes(32))
        with connection:
            bearers.add_setup_token(connection, public.sha256(token.encode()), int(time.time()) + settings.limits.setup_seconds)
        return f"{store.fact(connection, 'origin')}/setup#{token}"
    finally:
        connection.close()


async def stop(running: Running) -> None:
    """Ends what runs beside the server, writes what was counted and what waits to be written, folds the log into the database."""
    running.relay.hub.close()
    if running.metrics:
        running.metrics.close()
    running.backups.stop()
    for task in (running.sweeper, *running.forwarders):
        task.cancel()
    await asyncio.wait([running.sweeper, running.dispatcher, running.backing_up, *running.forwarders])
    try:
        await clean(running.relay, running.relay.clock())
    except Exception as error:  # noqa: BLE001  whatever fails here, the relay ends
        running.relay.journal.failure("stop", error)
    await running.relay.writer.close()
    running.relay.reader.close()
    os.close(running.lock)


# ---- the application ---------------------------------------------------------------------------------------------------


def application(relay: Relay, port: int) -> App:
    """The ASGI application: the edge around one handler a route."""
    handlers = [_handler(relay, route) for route in ROUTES]
    served = openapi.document(ROUTES)

    async def document() -> Response[bytes]:
        return Response(served, media_type="application/json")

    document.__annotations__ = {"return": Response[bytes]}
    handlers.append(HTTPRouteHandler("/openapi.json", http_method="GET", opt={"rule": Rule.ANYONE})(document))
    handled: dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]] = {
        HTTPException: _unrouted,
        ProblemError: _refused,
        StillvaultError: _refused,
        Exception: _failed(relay.journal),
    }
    litestar = Litestar(handlers, openapi_config=None, exception_handlers=handled, logging_config=None)
    host, outer_port = public_host(relay.origin)
    hosts = {f"{name}:{number}" for name in (host, "localhost", "127.0.0.1") for number in {outer_port, port}} | {host}
    console = static.load(relay.journal)
    served_too = static.beside(console, litestar)  # type: ignore[arg-type]  # ASGI, in words of its own
    edge = Edge(served_too, hosts, [relay.origin], relay.settings, relay.journal)
    counted = relay.metrics.counted(static.with_pages(console, edge))
    return relay.traces.traced(counted) if relay.traces else counted


def _refused(_request: Request[Any, Any, Any], error: ProblemError | StillvaultError) -> Response[bytes]:
    status, body = describe(error)
    headers = error.headers if isinstance(error, ProblemError) else {}
    return Response(body, media_type="application/problem+json", status_code=status, headers=headers)


def _unrouted(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the router itself refuses. Its words are not passed on."""
    return _refused(request, ProblemError("method" if error.status_code == 405 else "not-found"))


def _failed(journal: Journal) -> Callable[[Request[Any, Any, Any], Exception], Response[bytes]]:
    """The last net: no cause, no stack, no bytes of the request leave.  # C13"""

    def failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        journal.failure("request", error)
        return _refused(request, ProblemError("internal"))

    return failed


def _handler(relay: Relay, route: Route) -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
        call = _call(relay, route, request)
        if route.body is None:
            return _answer(route, await route.controller(call), call.reply)
        body = await request.body()
        try:
            decoded = msgspec.json.decode(body, type=route.body)
        except msgspec.MsgspecError:
            raise ProblemError("body-form") from None  # its text may quote the body  # C13
        return _answer(route, await route.controller(call, decoded), call.reply)

    # A method of the table is one of the words that Litestar's type lists.
    return HTTPRouteHandler(route.path, http_method=route.method, status_code=route.status, opt={"rule": route.rule})(handle)  # type: ignore[arg-type]


def _call(relay: Relay, route: Route, request: Request[Any, Any, Any]) -> Call:
    now = relay.clock()
    headers = request.headers
    bearer = bearer_hash(headers.get("authorization", ""))
    same_origin = is_same_origin(route.method, headers.get("origin", ""), headers.get("sec-fetch-site", ""))
    # A cookie counts alone: never beside an Authorization, and never for a page that is not the console's.  # C15
    cookie = b"" if "authorization" in headers or route.rule is Rule.ANYONE else cookie_hash(headers.get("cookie", ""))
    if cookie and not same_origin:
        raise ProblemError("origin")
    query: dict[str, str] = request.scope["query"]  # type: ignore[typeddict-item]  # set by the edge
    if query.keys() - set(route.query):
        raise ProblemError("query")
    bearer = cookie or bearer
    return Call(
        relay=relay,
        who=admit(relay, route.rule, bearer, now),
        now=now,
        admit=lambda: admit(relay, route.rule, bearer, relay.clock()),
        parameters={name: str(value) for name, value in request.path_params.items()},
        query=query,
        peer=request.client.host if request.client else "",
        last_event=headers.get("last-event-id", ""),
        host=headers.get("host", ""),
        from_cookie=bool(cookie),
        same_origin=same_origin,
    )


def _answer(route: Route, made: Any, headers: dict[str, str]) -> Response[Any]:
    if isinstance(made, msgspec.Struct):
        encoded = msgspec.json.encode(made)
        return Response(encoded, media_type="application/json", status_code=route.status, headers=headers)
    if isinstance(made, bytes):
        return Response(made, media_type=route.media, status_code=route.status)
    stream: AsyncIterator[bytes] = made
    return Stream(stream, media_type=route.media)
