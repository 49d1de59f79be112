"""The command line of the appliance: serve, setup-url, fingerprint, health, backup, restore, doctor, config.

Data goes to stdout, everything else to stderr. A setting or file that is refused ends with 78 and says where, which rule, and
the fix; wrong usage ends with 2; a relay that cannot be reached with 14. `--format json` gives one object with "v": 1.
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import ssl
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from stillvault.protocol.errors import EXIT_ERROR, EXIT_UNAVAILABLE
from stillvault.relay.settings import EX_CONFIG, GROUPS, BadSetting, Settings, load, shown

F = TypeVar("F", bound=Callable[..., Any])


def _settings(**flags: str | None) -> Settings:
    return load({name: value for name, value in flags.items() if value is not None})


def _guarded(command: F) -> F:
    """Turns a refused setting into its message and exit status."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except BadSetting as error:
            click.echo(f"stillvault-relay: {error}", err=True)
            sys.exit(EX_CONFIG)

    return run  # type: ignore[return-value]


def _kept(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The common options are taken before and after each verb: the last one said counts."""
    if value is not None:
        context.meta[str(parameter.name)] = value
    found: str | None = context.meta.get(str(parameter.name))
    return found


_data = click.option("--data", metavar="DIR", callback=_kept, help="The data directory, mode 0700. Also STILLVAULT_RELAY_DATA.")


def _format(command: F) -> F:
    """`--format` and `--no-input`; nothing here ever asks anything."""
    command = click.option("--no-input", is_flag=True, expose_value=False, help="Never ask anything: so it is always.")(command)
    return click.option("--format", "form", type=click.Choice(["text", "json"]), expose_value=False, callback=_kept,
                        help="How to print the result: text (default) or json.")(command)


def _show(text: str, **facts: Any) -> None:
    form = click.get_current_context().meta.get("form", "text")
    click.echo(json.dumps({"v": 1, **facts}) if form == "json" else text)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@_format
@click.version_option(package_name="stillvault", prog_name="stillvault-relay")
def main() -> None:
    """The Stillvault relay: it keeps what it cannot read, and asks people for it."""


@main.command()
@_data
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 lets the system choose. Default 127.0.0.1:8443.")
@click.option(
    "--public-url", metavar="URL", help="The name by which devices reach and sign for the relay. Default https://localhost:PORT."
)
@click.option("--tls-cert", metavar="FILE", help="Your own certificate chain, instead of the internal CA.")
@click.option("--tls-key", metavar="FILE", help="Its key, mode 0600.")
@_format
@_guarded
def serve(data: str | None, listen: str | None, public_url: str | None, tls_cert: str | None, tls_key: str | None) -> None:
    """Run the relay until SIGTERM. Prints one JSON line on stdout when it is ready."""
    settings = _settings(data=data, listen=listen, public_url=public_url, tls_cert=tls_cert, tls_key=tls_key)
    os.umask(0o077)
    import uvloop  # the loop is of no use to the other commands

    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from stillvault.relay import app, tls
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
    try:
        context = tls.context(running.chain, running.key)
        server = Server(app.application(running.relay, port), listener, context, settings.limits)
        relay = running.relay

        def ready() -> None:
            gc.collect()
            gc.freeze()  # what lives as long as the process is not looked at again
            click.echo(json.dumps({"v": 1, "event": "ready", "url": relay.origin}))
            sys.stdout.flush()
            relay.journal.info("ready", pid=os.getpid(), url=relay.origin)
            if relay.organisation.standing is None:
                relay.journal.info("no organisation yet", next=f"stillvault-relay setup-url --data {settings.data}")

        await server.run(ready, relay.hub.close)
        relay.journal.info("stopped")
    finally:
        await app.stop(running)


@main.command("setup-url")
@_data
@_format
@_guarded
def setup_url(data: str | None) -> None:
    """Print the URL to create the organisation with: single use, 30 minutes, only while there is none."""
    from stillvault.relay.app import new_setup_token

    url = new_setup_token(_settings(data=data))
    _show(url, url=url)


@main.command()
@_data
@click.option("--tls-cert", metavar="FILE", help="Your own certificate chain: its last certificate counts.")
@_format
@_guarded
def fingerprint(data: str | None, tls_cert: str | None) -> None:
    """Print the fingerprint that clients compare before they trust the relay's certificate."""
    from stillvault.relay import tls

    # The key stands beside a chain only where it serves; the fingerprint needs the chain alone.
    settings = _settings(data=data, tls_cert=tls_cert, tls_key=tls_cert)
    text = tls.fingerprint(tls.trust_anchor(tls.served(settings.directory, settings.tls_cert, "ca.pem")))
    _show(text, fingerprint=text)


@main.command()
@click.option("--url", required=True, metavar="URL", help="The relay's URL.")
@_format
def health(url: str) -> None:
    """Exit 0 when the relay is ready. Sends nothing secret and believes nothing, so it does not verify the certificate."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise click.UsageError("--url is https://host[:port]")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        connection = http.client.HTTPSConnection(parts.hostname, parts.port or 443, timeout=5, context=context)
        connection.request("GET", "/readyz")
        ready = connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        ready = False
    if not ready:
        click.echo("stillvault-relay: not ready. Look at the relay's log on stderr.", err=True)
        sys.exit(EXIT_UNAVAILABLE)
    _show("ready", ready=True)


@main.command()
@_data
@_format
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_guarded
def backup(data: str | None, file: Path) -> None:
    """Write a consistent backup to FILE; the relay may run. It holds the relay's TLS and log keys, and no secret value."""
    from stillvault.relay.backup import backup as write

    write(_settings(data=data), file)
    _show(f"backed up to {file}", file=str(file))


@main.command()
@_data
@_format
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_guarded
def restore(data: str | None, file: Path) -> None:
    """Put a backup into an empty data directory. Everybody signs in anew; devices notice if it is older than what they saw."""
    from stillvault.relay.backup import restore as unpack

    unpack(_settings(data=data), file)
    _show(f"restored from {file}", file=str(file))


@main.command()
@_data
@_format
@_guarded
def doctor(data: str | None) -> None:
    """Look at directory, database, log, certificate and disk; say what is wrong and what to do. Exit 1 when anything is."""
    from stillvault.relay.backup import doctor as look

    found = [{"check": name, "ok": well, "found": text} for name, well, text in look(_settings(data=data))]
    lines = "\n".join(f"{'ok  ' if one['ok'] else 'FAIL'} {one['check']}: {one['found']}" for one in found)
    _show(lines, checks=found)
    if not all(one["ok"] for one in found):
        sys.exit(EXIT_ERROR)


@main.group(invoke_without_command=True)
@_data
@_format
@click.pass_context
@_guarded
def config(context: click.Context, data: str | None) -> None:
    """Check the settings, or show those that count: flags > STILLVAULT_RELAY_* > DIR/config.toml > defaults."""
    if context.invoked_subcommand is None:
        _check(data)


def _check(data: str | None) -> None:
    _settings(data=data)
    _show("the settings are good", ok=True)


@config.command()
@_data
@_format
@_guarded
def check(data: str | None) -> None:
    """Exit 0 when every setting is known and in range, else 78 with file, line, rule and fix."""
    _check(data)


@config.command()
@_data
@_format
@_guarded
def show(data: str | None) -> None:
    """Print the settings that count, secrets hidden."""
    plain = shown(_settings(data=data))
    flat = {name: value for name, value in plain.items() if name not in GROUPS}
    flat.update({f"{group}.{name}": value for group in GROUPS for name, value in plain[group].items()})
    _show("\n".join(f"{name} = {json.dumps(value)}" for name, value in flat.items()), settings=plain)


if __name__ == "__main__":
    main()
