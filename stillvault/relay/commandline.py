"""What every verb of `stillvault-relay` shares: the common options, how a result is printed, how a refused setting ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from stillvault.protocol.text import plain
from stillvault.relay.configured import load
from stillvault.relay.settings import EX_CONFIG, BadSetting, Settings

F = TypeVar("F", bound=Callable[..., Any])


def settings_of(**flags: str | None) -> Settings:
    """The settings that count, with the flags that were given."""
    return load({name: value for name, value in flags.items() if value is not None})


def guarded(command: F) -> F:
    """Turns a refused setting into its message and exit status."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except BadSetting as error:
            click.echo(f"stillvault-relay: {plain(str(error))}", err=True)
            sys.exit(EX_CONFIG)

    return run  # type: ignore[return-value]  # the same signature, by `wraps`


def kept(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """The common options are taken before and after each verb: the last one said counts."""
    if value:
        context.meta[str(parameter.name)] = value
    return context.meta.get(str(parameter.name), value)


data_option = click.option(
    "--data", metavar="DIR", callback=kept, help="The data directory, mode 0700. Also STILLVAULT_RELAY_DATA."
)


def format_option(command: F) -> F:
    """`--format` and `--no-input`; nothing here ever asks anything."""
    command = click.option("--no-input", is_flag=True, expose_value=False, help="Never ask anything: so it is always.")(command)
    return click.option("--format", "form", type=click.Choice(["text", "json"]), expose_value=False, callback=kept,
                        help="How to print the result: text (default) or json.")(command)


def emit(text: str, **facts: Any) -> None:
    """Prints a result: `text`, or the facts as one JSON object."""
    form = click.get_current_context().meta.get("form", "text")
    click.echo(json.dumps({"v": 1, **facts}) if form == "json" else text)
