"""`stillvault hold` and `stillvault policy`."""

from __future__ import annotations

import click

from stillvault.cli.base import DURATION, ID, PATTERN, Commas, Verb, Verbs, emit, now, say, table
from stillvault.protocol.errors import Usage
from stillvault.protocol.objects import LEASE_SCOPES, TIERS

MAX_HOLD = 365 * 86400  # seconds


@click.command(cls=Verb)
@click.argument("target", type=PATTERN)
@click.option("--for", "length", type=DURATION, help="How long.")
@click.option("--lift", is_flag=True, help="End the hold.")
def hold(target: str, length: int | None, lift: bool) -> None:
    """Stop all releases to a client (host/db-1, agent/claude) or of a path or pattern (prod/**)."""
    from stillvault.admin import roster as rosters
    from stillvault.admin.clients import subjects
    from stillvault.admin.publish import lift_freezes, publish, roster_of
    from stillvault.approver.screen import moment
    from stillvault.cli.account import open_account
    from stillvault.protocol.objects import Hold

    if lift == (length is not None):
        raise Usage("hold", "say how long, or lift it", "give --for 1h or --lift", "--for")
    if length is not None and not 1 <= length <= MAX_HOLD:
        raise Usage("hold", "a hold lasts between a second and a year", "give --for 1h", "--for")
    account = open_account()
    until = now() + (length or 0)
    holds = [Hold(until=until, match=target)]
    if not target.endswith("**"):
        # An exact name may be a client or a path. Both are held: which of them exists is the relay's word alone.
        holds.append(Hold(until=until, subject=target))
    trust = account.trust()
    # An approver's freeze is a hold of the relay's: an administrator's word ends it too.
    thawed = lift_freezes(account, target) if lift and not target.endswith("**") else 0
    if not lift or not thawed or any(target in (one.subject, one.match) for one in roster_of(trust).holds):
        trust = publish(account, rosters.without_holds(holds) if lift else rosters.with_holds(holds))
    what = "client" if target in subjects(account) else "pattern"
    if what == "pattern" and not lift and not target.endswith("**"):
        say(f"no client is called {target}: it is held as a path. If you meant a client, see `stillvault client list`")
    emit({"target": target, "kind": what, "roster_version": trust.pair[1], **({} if lift else {"until": until})},
         f"{what} {target} is free again" if lift else f"{what} {target} is held until {moment(until)}")


@click.group(cls=Verbs)
def policy() -> None:
    """Say who may release what."""


@policy.command(name="set")
@click.argument("name", type=ID)
@click.option("--match", multiple=True, type=PATTERN, help="A path or pattern; several times. The longest match counts.")
@click.option("--people", type=Commas(), default=None, help="Approvers: alice,bob,carol")
@click.option("--threshold", type=click.IntRange(1, 127), default=None, help="How many of them must approve (1).")
@click.option("--window", type=DURATION, default=None, help="How long a release may be used again (15m, at most 8h).")
@click.option("--lease-scope", type=click.Choice(LEASE_SCOPES), default=None, help="Who may use it again (process).")
@click.option("--tier", type=click.Choice(TIERS), default=None, help="What kind of device may approve (soft).")
@click.option("--uses", type=click.IntRange(0, 1_000_000), default=None, help="How often; 0 is without limit (0).")
@click.option("--ttl", type=DURATION, default=None, help="How long a request may wait (5m, at most 1h).")
@click.option("--deny", type=click.Choice(["veto", "count"]), default=None, help="Whether one deny is enough (veto).")
@click.option("--code/--no-code", default=None, help="The approver types the code of the asking screen.")
def set_(name: str, match: tuple[str, ...], people: list[str] | None, threshold: int | None, window: int | None,
         lease_scope: str | None, tier: str | None, uses: int | None, ttl: int | None, deny: str | None,
         code: bool | None) -> None:
    """Make or change a policy. What is not given stays as it is, or takes the default."""
    import msgspec

    from stillvault.admin import roster as rosters
    from stillvault.admin.organisation import recovery_of
    from stillvault.admin.publish import publish, roster_of
    from stillvault.cli.account import open_account

    account = open_account()
    rule = rosters.Rule(id=name, match=match, people=people or (), threshold=threshold, window=window, scope=lease_scope,
                        tier=tier, uses=uses, ttl=ttl, deny=deny, code=code)
    trust = publish(account, rosters.with_policy(rule, recovery_of(account.home, roster_of(account.trust()))))
    made = next(one for one in roster_of(trust).policies if one.id == name)
    if made.tier == "soft":
        say("warning: tier soft: a key file on a disk may approve")
    if made.threshold == len(made.people) > 1:
        say("warning: every one of its people is needed; losing one loses the secrets to the recovery keys")
    say("Secrets that are sealed already keep their old terms until `stillvault reseal --needed`.")
    emit({"policy": msgspec.to_builtins(made), "roster_version": trust.pair[1]},
         f"policy {name}: {made.threshold} of {', '.join(made.people)} for {', '.join(made.match)}; roster {trust.pair[1]}")


@policy.command()
@click.argument("name", type=ID)
def remove(name: str) -> None:
    """Take a policy out of the roster. Refused while it governs a secret."""
    from stillvault.admin import policies
    from stillvault.cli.account import open_account

    done = policies.remove(open_account(), name)
    for path in done["sealed_under"]:
        say(f"note: {path} is sealed on the terms of {name} until `stillvault reseal {path}`")
    emit(done, f"policy {name} is removed: roster {done['roster_version']}")


@policy.command(name="list")
def list_() -> None:
    """The policies of the roster in force."""
    import msgspec

    from stillvault.admin.publish import roster_of
    from stillvault.approver.screen import span
    from stillvault.cli.account import open_account

    found = roster_of(open_account().trust()).policies
    rows = [["policy", "match", "people", "window", "scope", "tier", "ttl"]] + [
        [one.id, ",".join(one.match), f"{one.threshold} of {','.join(one.people)}", span(one.window), one.scope, one.tier,
         span(one.ttl)] for one in found]
    emit({"policies": [msgspec.to_builtins(one) for one in found]}, table(rows) if found else "no policies")
