"""`stillvault`: the entry of every verb but those that the native front serves (module `front`).

The table below is the command line. A verb's module is imported when the verb is used, so that none pays for the others.
Every end is an exit code of `protocol.errors` (`stillvault help exit-codes`); a traceback never reaches the user unless
STILLVAULT_DEBUG is set.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any

import click

from stillvault.cli.base import STATE, Verbs, complain
from stillvault.protocol.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, Failed, StillvaultError, Usage

# verb: (module, attribute, what it does)
VERBS = {
    "org": ("organisation", "org", "Create, show and renew the organisation."),
    "person": ("people", "person", "Invite, change and remove people."),
    "client": ("clients", "client", "Invite and revoke hosts and agents."),
    "join": ("joining", "join", "Join an organisation by the URL of an invite."),
    "invites": ("joining", "invites", "What waits to be confirmed."),
    "confirm": ("joining", "confirm", "Confirm who joined, by their five words."),
    "hold": ("rules", "hold", "Stop all releases to a client or of a path for a while."),
    "policy": ("rules", "policy", "Say who may release what."),
    "seal": ("sealing", "seal", "Seal a value."),
    "secrets": ("sealing", "secrets", "List names and versions; never values."),
    "reseal": ("sealing", "reseal", "Seal again for the devices of the present roster."),
    "recover": ("recovering", "recover", "Open secrets with the recovery keys on paper."),
    "scan": ("scanning", "scan", "Find plaintext credentials in files, and seal them."),
    "init": ("project", "init", "Set up a project: references, and lines for agents."),
    "skill": ("skills", "skill", "Install the skill that teaches agents; compare and remove it."),
    "mcp": ("mcp", "mcp", "Serve agents over the Model Context Protocol."),
    "hook": ("hooking", "hook", "Answer an agent's hook: block what prints secrets."),
    "inbox": ("approving", "inbox", "Cards that wait for you."),
    "approve": ("approving", "approve", "Approve a card."),
    "deny": ("approving", "deny", "Deny a card."),
    "freeze": ("approving", "freeze", "Deny a card and hold its client."),
    "requests": ("asking", "requests", "Requests that are pending."),
    "cancel": ("asking", "cancel", "Withdraw a pending request of your own."),
    "daemon": ("daemon", "daemon", "Run the local client."),
    "audit": ("audit", "audit", "Show, export and verify the log."),
    "console": ("console", "console", "Hold the web console that a relay serves against this version's."),
    "doctor": ("doctor", "doctor", "Say what is wrong, and how to mend it."),
    "completion": ("helping", "completion", "Print the completion script of a shell."),
    "help": ("helping", "help_", "Help on a verb, or `help exit-codes`."),
    "read": ("front", "read", "Print one secret to a pipe or a file."),
    "wait": ("front", "wait", "What was asked with --detach."),
    "run": ("front", "run", "Run a command with secrets in its environment."),
    "inject": ("front", "inject", "Fill a template with secrets."),
    "leases": ("front", "leases", "List or purge live leases."),
    "credential": ("front", "credential", "Answer git, AWS SDKs, container tools or systemd in their own protocol."),
    "whoami": ("front", "whoami", "What the daemon sees of the calling program."),
}


class Main(Verbs):
    """The top: finds verbs in the table, imports the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        if cmd_name not in VERBS:
            return None
        module, attribute, _ = VERBS[cmd_name]
        return getattr(importlib.import_module(f"stillvault.cli.{module}"), attribute)  # type: ignore[no-any-return]  # the table says so

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        """The list of verbs, without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, _, text) in VERBS.items()])


@click.group(cls=Main, name="stillvault", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stillvault", message="stillvault %(version)s")
def cli() -> None:
    """A secret reaches a program only after a person saw who asks and said yes."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one verb. Returns its exit code."""
    try:
        # The front blocks it until here: an interrupt while the interpreter starts ends like any other.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        code: Any = cli.main(args=arguments, prog_name="stillvault", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else EXIT_OK
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as missing:
        if STATE.json or missing.ctx is None:
            complain(Usage("usage", "a verb is missing", "see the list: --help"))
        else:
            print(missing.ctx.get_help(), file=sys.stderr)
        return EXIT_USAGE
    except click.ClickException as error:
        remedy = f"see: {error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
        complain(Usage("usage", error.format_message(), remedy))
        return EXIT_USAGE
    except StillvaultError as error:
        complain(error)
        return error.exit
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody listens: let the interpreter end in silence
        return EXIT_ERROR
    except OSError as error:
        complain(Failed("system", error.strerror or "the system refused"))
        return EXIT_ERROR
    except Exception as error:  # the last line of defence: no traceback, no content, a code
        if os.environ.get("STILLVAULT_DEBUG"):
            raise
        complain(Failed("internal", f"an internal error: {type(error).__name__}", "set STILLVAULT_DEBUG=1 to see where"))
        return EXIT_ERROR
    finally:
        STATE.passphrase_file = ""


if __name__ == "__main__":
    sys.exit(main())
