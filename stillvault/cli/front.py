"""The verbs of the native front, here for help and completion alone.

`stillvault` itself is a native program that serves them without an interpreter, so that no plaintext ever enters one. Whoever
calls this module directly has gone past it.
"""

from __future__ import annotations

import click

from stillvault.cli.base import Verb
from stillvault.protocol.errors import Usage


def _elsewhere(name: str, text: str) -> click.Command:
    @click.command(cls=Verb, name=name, help=text, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def verb(arguments: tuple[str, ...]) -> None:
        del arguments
        raise Usage("front", f"`{name}` is served by the native program `stillvault`, not by this one",
                    "install the wheel and call `stillvault`")
    return verb


read = _elsewhere("read", "Print one secret: stillvault read sv://PATH[#FIELD] [-n] [--out-file F] [--reason TEXT] "
                          "[--wait 1h] [--detach]")
wait = _elsewhere("wait", "Print what was asked with --detach: stillvault wait HANDLE [--wait 25s] [--state]")
run = _elsewhere("run", "Run a command: stillvault run [--env NAME=sv://PATH[#FIELD]].. [--env-file F].. [--no-masking] "
                        "[--detach | --handle H] -- CMD..")
inject = _elsewhere("inject", "Fill a template: stillvault inject -i TEMPLATE -o FILE")
leases = _elsewhere("leases", "List or purge live leases: stillvault leases [purge [PATH]]")
credential = _elsewhere("credential", "Answer another program: stillvault credential git|aws|docker|podman|systemd ..")
whoami = _elsewhere("whoami", "What the daemon sees of the calling program: stillvault whoami")
