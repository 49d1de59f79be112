"""The command line of the appliance: serve, setup-url, fingerprint, health, backup, restore, sealed, upgrade, doctor, config.

Data goes to stdout, everything else to stderr. A setting or file that is refused ends with 78 and says where, which rule, and
the fix; wrong usage ends with 2; a relay that cannot be reached with 14. `--format json` gives one object with "v": 1.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import os
import signal
import ssl
import sys
from urllib.parse import urlsplit

import click

from stillvault.protocol.errors import EXIT_UNAVAILABLE
from stillvault.relay import keeping
from stillvault.relay.commandline import data_option, emit, format_option, guarded, settings_of
from stillvault.relay.settings import GROUPS, BadSetting, Settings, shown

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where one listens, and where that is asked


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@format_option
@click.version_option(package_name="stillvault", prog_name="stillvault-relay")
def main() -> None:
    """The Stillvault relay: it keeps what it cannot read, and asks people for it."""


@main.command()
@data_option
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 lets the system choose. Default 127.0.0.1:8443.")
@click.option(
    "--public-url", metavar="URL", help="The name by which devices reach and sign for the relay. Default https://localhost:PORT."
)
@click.option("--tls-cert", metavar="FILE", help="Your own certificate chain, instead of the internal CA.")
@click.option("--tls-key", metavar="FILE", help="Its key, mode 0600.")
@format_option
@guarded
def serve(data: str | None, listen: str | None, public_url: str | None, tls_cert: str | None, tls_key: str | None) -> None:
    """Run the relay until SIGTERM. Prints one JSON line on stdout when it is ready."""
    settings = settings_of(data=data, listen=listen, public_url=public_url, tls_cert=tls_cert, tls_key=tls_key)
    os.umask(0o077)
    import uvloop  # the loop is of no use to the other commands

    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from stillvault.relay import app
    from stillvault.relay.firstboot import welcome
    from stillvault.relay.forwarded import networks
    from stillvault.relay.server import Server, listen

    try:
        listener = listen(settings.address)
    except OSError as error:
        reason = error.strerror or "no such address"
        raise BadSetting(
            "settings", "listen", f"{settings.listen}: {reason}", "Stop what listens there, or choose another."
        ) from error
    port = listener.getsockname()[1]
    running = await app.start(settings, port)
    relay, certificate = running.relay, running.certificate
    try:
        trusted = networks(settings.trusted_proxies)
        served = app.application(relay, port)
        server = Server(served, listener, certificate.context, settings.limits, relay.journal, trusted)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, certificate.ask)
        watching = asyncio.create_task(certificate.watch(server.renew))

        def ready() -> None:
            gc.collect()
            gc.freeze()  # what lives as long as the process is not looked at again
            click.echo(json.dumps({"v": 1, "event": "ready", "url": relay.origin}))
            sys.stdout.flush()
            relay.journal.info("ready", pid=os.getpid(), url=relay.origin)
            if settings.profile == "laboratory":
                relay.journal.warning("profile laboratory: nothing spares people's screens; for tests and load, never for people")
            welcome(relay)

        await server.run(ready, relay.hub.close)
        watching.cancel()
        relay.journal.info("stopped")
    finally:
        await app.stop(running)


@main.command("setup-url")
@data_option
@format_option
@guarded
def setup_url(data: str | None) -> None:
    """Print the URL to create the organisation with: single use, 30 minutes, only while there is none."""
    from stillvault.relay.app import new_setup_token

    url = new_setup_token(settings_of(data=data))
    emit(url, url=url)


@main.command()
@data_option
@click.option("--tls-cert", metavar="FILE", help="Your own certificate chain: its last certificate counts.")
@format_option
@guarded
def fingerprint(data: str | None, tls_cert: str | None) -> None:
    """Print the fingerprint that clients compare before they trust the relay's certificate."""
    from stillvault.relay import tls

    # The key stands beside a chain only where it serves; the fingerprint needs the chain alone.
    settings = settings_of(data=data, tls_cert=tls_cert, tls_key=tls_cert)
    text = tls.fingerprint(tls.pinned(tls.served(settings.directory, settings.tls_cert, "ca.pem"), settings.tls_anchor))
    emit(text, fingerprint=text)


@main.command()
@click.option("--url", metavar="URL", help="The relay's URL. Default: where its settings say that it listens, on this machine.")
@data_option
@format_option
@guarded
def health(url: str | None, data: str | None) -> None:
    """Exit 0 when the relay is ready. Sends nothing secret and believes nothing, so it does not verify the certificate."""
    host, port, headers = _to_ask(url, data)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        connection = http.client.HTTPSConnection(host, port, timeout=5, context=context)
        connection.request("GET", "/readyz", headers=headers)
        ready = connection.getresponse().status == 200
    except (OSError, UnicodeError, http.client.HTTPException):
        ready = False
    if not ready:
        click.echo("stillvault-relay: not ready. Look at the relay's log on stderr.", err=True)
        sys.exit(EXIT_UNAVAILABLE)
    emit("ready", ready=True)


def _to_ask(url: str | None, data: str | None) -> tuple[str, int, dict[str, str]]:
    """Whom `health` asks. The relay of this machine answers to `localhost`, whatever its public name is."""
    if url is None:
        host, port = settings_of(data=data).address
        return ANYWHERE.get(host, host), port, {"Host": f"localhost:{port}"}
    refused = click.UsageError("--url is https://host[:port]")
    try:
        parts = urlsplit(url)
        name, number = parts.hostname, parts.port
    except ValueError:  # a port or an address that is none
        raise refused from None
    if parts.scheme != "https" or not name:
        raise refused
    return name, number or 443, {}


for _verb in (keeping.backup, keeping.restore, keeping.sealed, keeping.upgrade, keeping.doctor):
    main.add_command(_verb)


@main.group(invoke_without_command=True)
@data_option
@format_option
@click.pass_context
@guarded
def config(context: click.Context, data: str | None) -> None:
    """Check the settings and the files that they name, or show those that count: flags > STILLVAULT_RELAY_* > DIR/config.toml >
    defaults."""
    if context.invoked_subcommand is None:
        _check(data)


def _check(data: str | None) -> None:
    from stillvault.relay import named

    named.look(settings_of(data=data))
    emit("the settings are good", ok=True)


@config.command()
@data_option
@format_option
@guarded
def check(data: str | None) -> None:
    """Exit 0 when every setting is known and in range, and each file that one names can be used; else 78 with place, rule and
    fix."""
    _check(data)


@config.command()
@data_option
@format_option
@guarded
def show(data: str | None) -> None:
    """Print the settings that count, secrets hidden."""
    plain = shown(settings_of(data=data))
    flat = {name: value for name, value in plain.items() if name not in GROUPS}
    flat.update({f"{group}.{name}": value for group in GROUPS for name, value in plain[group].items()})
    emit("\n".join(f"{name} = {json.dumps(value)}" for name, value in flat.items()), settings=plain)


if __name__ == "__main__":
    main()
