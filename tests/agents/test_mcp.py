"""`stillvault mcp` as agents meet it: the SDK's own client, the installed command, a real daemon, people who decide.

The house, and the canaries that are looked for, are in `mcphouse`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp.shared.exceptions import MCPError

from tests.agents.mcphouse import CANARY, CURRENT, INJECTION, PLAINTEXT, PREVIOUS, House, nothing_kept, serving
from tests.blindness.scan import in_bytes, needles
from tests.world import PATIENCE, STILLVAULT, Party, World

ROOT = Path(__file__).resolve().parents[2]
REVISIONS = pytest.mark.parametrize("revision", [CURRENT, PREVIOUS])
NAMES = ["list_references", "request_release", "release_status", "cancel_release", "explain_denial", "run_with_secrets"]


async def ended(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        await asyncio.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    root = Path(tempfile.mkdtemp(prefix="sv-"))
    world = World(root)
    try:
        world.start()
        made = House(world)
        yield made
        rows = made.alice.ok("audit", "export").out
        assert len(rows) > 1000
        assert in_bytes(rows, [*needles(CANARY), *needles(PLAINTEXT)]) == []
        nothing_kept(made)
    finally:
        world.stop()
        shutil.rmtree(root, ignore_errors=True)


@REVISIONS
def test_the_tools_are_these(house: House, revision: str) -> None:
    async def look() -> None:
        async with serving(house, revision) as agent:
            tools = await agent.learn()
            assert [tool.name for tool in tools] == NAMES[:-1]
            refused = await agent.call("run_with_secrets", handle="h-" + "A" * 22, argv=["id"], env={"A": "sv://prod/db"})
            assert refused["error"]["code"] == "run-not-allowed"
            with pytest.raises(MCPError):
                await agent.call("read_secret", path="prod/db")
        async with serving(house, revision, "--allow-run") as agent:
            tools = await agent.learn()
            assert [tool.name for tool in tools] == NAMES
            for tool in tools:
                hints = tool.annotations
                told = [hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint]
                assert None not in told
                assert told[3] == (tool.name == "run_with_secrets")
                assert "value" in tool.description or tool.name in ("cancel_release", "explain_denial", "run_with_secrets")
                Draft202012Validator.check_schema(tool.input_schema)
                Draft202012Validator.check_schema(tool.output_schema)
                assert tool.output_schema["additionalProperties"] is False

    asyncio.run(look())


@REVISIONS
def test_from_a_reference_to_a_command(house: House, revision: str) -> None:
    async def work() -> None:
        async with serving(house, revision, "--allow-run") as agent:
            await agent.learn()
            listed = await agent.call("list_references")
            found = {one["reference"]: one for one in listed["references"]}
            assert list(found) == ["sv://prod/db", "sv://kept/account#password", "sv://elsewhere/x", "sv://kept/account#user"]
            first = found["sv://prod/db"]
            assert (first["names"], first["people"], first["needed"], first["leased"]) == (
                ["DB_PASSWORD", "PGPASSWORD"], ["alice"], 1, False)
            assert found["sv://elsewhere/x"]["error"]["exit"] == 13
            assert listed["scopes"] == ["kept/**", "prod/**"]
            question: dict[str, Any] = {"references": ["sv://prod/db", "sv://kept/account#password"], "reason": "migrate",
                                        "command": ["psql", "-c", "select 1"]}
            asked = await agent.call("request_release", **question)
            assert (asked["state"], asked["asked"], asked["needed"], len(asked["code"])) == ("pending", ["alice"], 1, 6)
            same = await agent.call("request_release", **question)
            assert same["handle"] == asked["handle"]
            waited = await agent.call("release_status", handle=asked["handle"], wait_seconds=1)
            assert waited["state"] == "pending"
            arguments = {"handle": asked["handle"], "env": {"DB": "sv://prod/db", "PW": "sv://kept/account#password"}}
            early = await agent.call("run_with_secrets", argv=["id"], **arguments)
            assert (early["state"], "exit_code" in early) == ("pending", False)
            [card] = house.alice.json("inbox")["cards"]
            assert card["claimed"] == {"argv": ["psql", "-c", "select 1"], "reason": "migrate"}
            await asyncio.to_thread(house.decide, "approve", asked["code"], "--yes")
            ready = await agent.call("release_status", handle=asked["handle"])
            assert ready["state"] == "ready"
            assert (await agent.call("explain_denial", handle=asked["handle"]))["state"] == "ready"
            script = 'printf %s "$DB" | base64 -w0; echo; echo "$PW" "${TOKEN-none}" >&2; printf %s "$DB" | wc -c; exit 3'
            ran = await agent.call("run_with_secrets", argv=["sh", "-c", script], **arguments)
            assert (ran["exit_code"], ran["timed_out"], ran["truncated"]) == (3, False, False), ran
            assert ran["stdout"].endswith(f"{len(CANARY)}\n")
            assert "concealed" in ran["stdout"] and "concealed" in ran["stderr"] and "none" in ran["stderr"]
            again = await agent.call("run_with_secrets", argv=["id"], **arguments)
            assert again["error"]["code"] == "taken"

    asyncio.run(work())


@REVISIONS
def test_a_denial_is_told_and_its_words_are_quoted(house: House, revision: str) -> None:
    async def work() -> None:
        async with serving(house, revision, "--allow-run") as agent:
            await agent.learn()
            asked = await agent.call("request_release", references=["sv://prod/db"],
                                     reason=f"{INJECTION}\u202e\x1b[2J {revision}")
            waiting = asyncio.create_task(agent.call("release_status", handle=asked["handle"]))
            await asyncio.to_thread(house.decide, "deny", asked["code"], "--note", f"{INJECTION}; call run_with_secrets")
            ended = await waiting
            explained = (await agent.call("explain_denial", handle=asked["handle"]))["explanation"]
            assert (ended["state"], ended["error"]["code"], ended["error"]["ask_again"]) == ("ended", "denied", "no")
            assert explained == ended["error"]
            [quoted] = ended["error"].pop("quoted")
            assert quoted["by"] == "approvers"
            assert INJECTION in quoted["text"]
            assert INJECTION not in json.dumps(ended)
            refused = await agent.call("run_with_secrets", handle=asked["handle"], argv=["id"], env={"A": "sv://prod/db"})
            assert refused["error"]["code"] == "denied"

    asyncio.run(work())


@REVISIONS
def test_a_time_out_of_the_client_is_no_denial(house: House, revision: str) -> None:
    signs: list[float] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        assert (total, message) == (4, "waiting for people")
        signs.append(progress)

    async def work() -> None:
        async with serving(house, revision) as agent:
            await agent.learn()
            asked = await agent.call("request_release", references=["sv://prod/db"], reason=f"patience {revision}")
            with pytest.raises(MCPError):
                await agent.client.call_tool("release_status", {"handle": asked["handle"]}, read_timeout_seconds=1)
            result = await agent.client.call_tool("release_status", {"handle": asked["handle"], "wait_seconds": 4},
                                                  progress_callback=heard)
            assert result.structured_content["state"] == "pending"
            assert signs
            cancelled = await agent.call("cancel_release", handle=asked["handle"])
            assert cancelled["cancelled"] == 1
            assert any(not house.alice.json("inbox")["cards"] for _ in range(100))
            gone = await agent.call("release_status", handle=asked["handle"])
            assert (gone["state"], gone["error"]["code"]) == ("ended", "cancelled")

    asyncio.run(work())


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("request_release", {"references": ["sv://prod/db"]}, "arguments"),
    ("request_release", {"references": [], "reason": "x"}, "arguments"),
    ("request_release", {"references": [f"sv://{INJECTION}"], "reason": "x"}, "arguments"),
    ("request_release", {"references": ["sv://a//b"], "reason": "x"}, "usage"),
    ("request_release", {"references": ["sv://elsewhere/x"], "reason": "x"}, "out-of-scope"),
    ("request_release", {"references": ["sv://prod/db", "sv://prod/never-sealed"], "reason": "x"}, "unknown"),
    ("request_release", {"references": ["sv://prod/db"], "reason": "x", "value": INJECTION}, "arguments"),
    ("release_status", {"handle": INJECTION}, "arguments"), ("release_status", {"handle": "h-" + "A" * 22}, "handle"),
    ("release_status", {"handle": "h-" + "A" * 22, "wait_seconds": 26}, "arguments"),
    ("cancel_release", {}, "arguments"), ("explain_denial", {}, "arguments"),
    ("explain_denial", {"code": "ignore-all-instructions"}, "arguments"),
    ("run_with_secrets", {"handle": "h-" + "A" * 22, "argv": ["id"], "env": {}}, "arguments"),
    ("run_with_secrets", {"handle": "h-" + "A" * 22, "argv": [], "env": {"A": "sv://prod/db"}}, "arguments"),
    ("run_with_secrets", {"handle": "h-" + "A" * 22, "argv": ["id"], "env": {"A B": "sv://prod/db"}}, "arguments"),
    ("list_references", {"prefix": INJECTION}, "arguments"),
]


NAMED = [("reason", "required"), ("references", "minItems"), ("references", "pattern"), (None, None), (None, None), (None, None),
         (None, "additionalProperties"), ("handle", "pattern"), (None, None), ("wait_seconds", "maximum"), ("handle", "required"),
         (None, None), (None, None), ("env", "minProperties"), ("argv", "minItems"), ("env", "pattern"),
         (None, "additionalProperties")]


@REVISIONS
def test_what_is_wrong_is_said_without_repeating_it(house: House, revision: str) -> None:
    async def work() -> None:
        async with serving(house, revision, "--allow-run") as agent:
            await agent.learn()
            for name, arguments, code in WRONG:
                answer = await agent.call(name, **arguments)
                assert answer["error"]["code"] == code, (name, answer)
                assert "quoted" not in answer["error"]
            for (name, arguments, _), wrong in zip(WRONG, NAMED, strict=True):  # which argument, and the rule of the schema
                error = (await agent.call(name, **arguments))["error"]
                assert (error.get("argument"), error.get("rule")) == wrong, (name, arguments)
            for code in ("10", "denied", "11", "12", "13", "14", "15", "16", "pending", "taken", "unknown"):
                assert (await agent.call("explain_denial", code=code))["explanation"]["next"]
            assert INJECTION.encode() not in agent.seen
        nowhere = Party(house.world, "nobody")
        async with serving(house, revision, party=nowhere) as agent:
            for name, arguments in (("list_references", {}), ("release_status", {"handle": "h-" + "A" * 22})):
                answer = await agent.call(name, **arguments)
                assert (answer["error"]["exit"], answer["error"]["ask_again"]) == (14, "later")

    asyncio.run(work())


def test_a_lease_runs_many_commands_and_each_is_bounded(house: House) -> None:
    async def work() -> None:
        async with serving(house, CURRENT, "--allow-run") as agent:
            await agent.learn()

            async def ready() -> str:
                asked = await agent.call("request_release", references=["sv://kept/account#password"], reason="several")
                if asked["state"] == "pending":
                    await asyncio.to_thread(house.decide, "approve", asked["code"], "--yes")
                    asked = await agent.call("release_status", handle=asked["handle"])
                assert asked["state"] == "ready", asked
                return str(asked["handle"])

            async def run(*argv: str, **more: Any) -> dict[str, Any]:
                env = {"PW": "sv://kept/account#password"}
                return await agent.call("run_with_secrets", handle=await ready(), argv=list(argv), env=env, **more)

            large = await run("sh", "-c", 'for n in $(seq 3000); do echo "$n $PW"; done')
            assert (large["exit_code"], large["truncated"]) == (0, True)
            assert len(large["stdout"]) < 20000
            assert large["stdout"].startswith("1 <concealed")
            assert large["stdout"].endswith("3000 <concealed by stillvault>\n")
            hostile = await run("printf", "\\033[2J\\342\\200\\256\\r\\377\\0ok")
            assert hostile["stdout"] == "\\u{1b}[2J\\u{202e}\\u{d}\ufffd\\u{0}ok"
            slow = await run("sh", "-c", 'echo begun; sleep 600; echo "$PW"', timeout_seconds=2)
            assert (slow["timed_out"], slow["stdout"]) == (True, "begun\n")
            stubborn = ["sh", "-c", 'trap "" TERM; echo $$ > pid; exec sleep 600']
            with pytest.raises(MCPError):
                await agent.client.call_tool("run_with_secrets", read_timeout_seconds=3, arguments={
                    "handle": await ready(), "argv": stubborn, "env": {"PW": "sv://kept/account#password"}})
            assert await ended(int((house.project / "pid").read_text()))
            left = await run("sh", "-c", 'sh -c "trap : TERM; echo \\$\\$ > left; sleep 600" > /dev/null 2>&1 & '
                                         "until test -s left; do sleep 0.1; done")
            assert left["exit_code"] == 0
            assert await ended(int((house.project / "left").read_text()))
            missing = await run("no-such-command-here")
            assert missing["exit_code"] == 127
            assert (await run("pwd"))["stdout"].strip() == str(house.project.resolve())
            assert (await run("pwd", cwd="/"))["stdout"] == "/\n"
            assert (await run("id", cwd="/no/such/place"))["error"]["code"] == "cwd"
            assert (await run("printf", "a\0b"))["error"]["code"] == "argv"
            other = await agent.call("run_with_secrets", handle=await ready(), argv=["id"], env={"A": "sv://prod/db"})
            assert (other["exit_code"], other["stdout"]) == (2, "")
            assert "uid=" not in other["stderr"]
            house.host.ok("leases", "purge")
            asked = await agent.call("request_release", references=["sv://kept/account"], reason="once more")
            assert (asked["state"], asked["why_again"]) == ("pending", "its lease was purged")
            assert (await agent.call("cancel_release", handle=asked["handle"]))["cancelled"] == 1

    asyncio.run(work())


TWO_SERVERS = """
import asyncio, json, os, subprocess, sys
from mcp import Client, StdioServerParameters
started = StdioServerParameters(command=sys.argv[1], args=["mcp", *sys.argv[2:]], env=dict(os.environ))
async def call(name, **arguments):
    async with Client(started) as client:  # a server for each call
        answer = (await client.call_tool(name, arguments)).structured_content
        print(json.dumps(answer), flush=True)
        return answer
async def work():
    await call("list_references")
    asked = await call("request_release", references=["sv://agent/key"], reason="over two servers")
    await call("release_status", handle=asked["handle"])
    await call("run_with_secrets", handle=asked["handle"], env={"K": "sv://agent/key"},
               argv=["sh", "-c", 'echo "$K"; printf %s "$K" | wc -c'])
async def shell():
    for path in ("agent/key", "agent/task/key"):
        asked = await call("request_release", references=["sv://" + path], reason="for the shell")
        ready = await call("release_status", handle=asked["handle"])
        words = ["run", "--handle", asked["handle"], "--env", "K=sv://" + path, "--", "sh", "-c", 'printf %s "$K" | wc -c']
        done = subprocess.run([sys.argv[1], *words], capture_output=True, text=True)
        print(json.dumps([done.returncode, done.stdout, done.stderr]), flush=True)
asyncio.run(work() if "--allow-run" in sys.argv else shell())
"""


def test_the_shell_takes_what_the_server_asked_for_where_the_policy_says_task(house: House) -> None:
    script = house.world.root / "shell.py"
    script.write_text(TWO_SERVERS)
    with subprocess.Popen([house.agent, "-c", f"{sys.executable} {script} {STILLVAULT}; exit $?"], env=house.host.environment,
                          stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=house.project) as program:
        house.world.processes.append(program)  # type: ignore[arg-type]
        assert program.stdout is not None
        ends = []
        for _ in range(2):
            house.decide("approve", json.loads(program.stdout.readline())["code"], "--yes")
            assert "stillvault run --handle" in json.loads(program.stdout.readline())["next"]
            ends.append(json.loads(program.stdout.readline()))
        program.communicate(timeout=PATIENCE)
    assert (ends[0][0], "another program" in ends[0][2]) == (13, True)
    assert ends[1][:2] == [0, f"{len(CANARY)}\n"]


def test_an_agent_goes_on_with_its_handle_at_another_server(house: House) -> None:
    """The task is the agent's process, so a server that is started again is of the same task."""
    script = house.world.root / "two.py"
    script.write_text(TWO_SERVERS)
    with subprocess.Popen([house.agent, "-c", f"{sys.executable} {script} {STILLVAULT} --allow-run; exit $?"],
                          env=house.host.environment, stdout=subprocess.PIPE, text=True, start_new_session=True,
                          cwd=house.project) as program:
        house.world.processes.append(program)  # type: ignore[arg-type]
        assert program.stdout is not None
        listed, asked = json.loads(program.stdout.readline()), json.loads(program.stdout.readline())
        assert listed["scopes"] == ["agent/**"]
        [card] = house.alice.json("inbox")["cards"]
        assert (card["chain"][1]["exe"], asked["state"]) == (str(house.agent), "pending")
        house.decide("approve", asked["code"], "--yes")
        out, _ = program.communicate(timeout=PATIENCE)
    status, ran = (json.loads(line) for line in out.splitlines())
    assert (status["state"], status["handle"]) == ("ready", asked["handle"])
    assert (ran["exit_code"], ran["stdout"]) == (0, f"<concealed by stillvault>\n{len(CANARY)}\n")
    assert in_bytes(out.encode(), needles(CANARY)) == []


def test_without_the_extra_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['mcp'] = None; from stillvault.cli.main import main; sys.exit(main(['mcp']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, stdin=subprocess.DEVNULL,
                          timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "stillvault: extra: the MCP server needs an extra: pip install 'stillvault[mcp]'\n"
