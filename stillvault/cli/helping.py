"""`stillvault help` and `completion`."""

from __future__ import annotations

import click

from stillvault.cli.base import Verb, emit, table
from stillvault.protocol import errors
from stillvault.protocol.errors import Usage

EXIT_CODES = [
    (errors.EXIT_OK, "ok"),
    (errors.EXIT_ERROR, "error (also: already decided, cancelled elsewhere)"),
    (errors.EXIT_USAGE, "usage"),
    (errors.EXIT_DENIED, "denied: a person said no, and that verified"),
    (errors.EXIT_EXPIRED, "expired unanswered, or `approve --wait` found nothing"),
    (errors.EXIT_NO_APPROVER, "no approver can answer"),
    (errors.EXIT_FORBIDDEN, "out of scope, a policy forbids, or a removal is blocked"),
    (errors.EXIT_UNAVAILABLE, "daemon or relay unreachable, or the relay refused without a signed word"),
    (errors.EXIT_UNTRUSTED, "untrusted: a check failed, named on stderr as `untrusted: <code>`"),
    (errors.EXIT_RATE_LIMITED, "rate limited"),
    (errors.EXIT_TOOL_FAILED, "run: Stillvault failed after the release"),
    (errors.EXIT_NOT_EXECUTABLE, "run: the command cannot be executed"),
    (errors.EXIT_NOT_FOUND, "run: the command was not found"),
    (errors.EXIT_INTERRUPTED, "interrupted"),
]


@click.command(cls=Verb, name="help")
@click.argument("topic", nargs=-1)
def help_(topic: tuple[str, ...]) -> None:
    """Help on a verb, or `help exit-codes`."""
    from stillvault.cli.main import cli

    if topic == ("exit-codes",):
        emit({"exit_codes": [{"code": code, "meaning": text} for code, text in EXIT_CODES]},
             table([[str(code), text] for code, text in EXIT_CODES]))
        return
    command: click.Command = cli
    context = click.Context(cli, info_name="stillvault")
    for word in topic:
        found = command.get_command(context, word) if isinstance(command, click.Group) else None
        if found is None:
            raise Usage("unknown-verb", "there is no such verb", "see `stillvault help`", "TOPIC")
        command, context = found, click.Context(found, info_name=word, parent=context)
    text = command.get_help(context)
    emit({"help": text}, text)


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: eval "$(stillvault completion bash)"."""
    from click.shell_completion import get_completion_class

    from stillvault.cli.main import cli

    found = get_completion_class(shell)
    if found is None:
        raise Usage("shell", "no completion for this shell", "bash, zsh or fish", "SHELL")
    source = found(cli, {}, "stillvault", "_STILLVAULT_COMPLETE").source()
    emit({"shell": shell, "script": source}, source)
