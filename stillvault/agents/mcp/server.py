"""The server: arguments in, one of the fixed answers out, and nothing else on any way.

Serves the revision of the protocol that the client speaks, stateless or by handshake; the official SDK does that. No state is
kept here either: a handle lives in the daemon, so a server that was started again in the same session goes on with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types of its own
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)

from stillvault.agents.mcp import answers, project, running, tools
from stillvault.protocol.errors import Failed, Forbidden, StillvaultError, Usage
from stillvault.sdk.aio import AsyncClient, AsyncHandle
from stillvault.sdk.questions import Options, failure, paths_of

MAX_LISTED = 100
PROGRESS = 3.0  # seconds between signs of life while people decide
Context = ServerRequestContext[Any, Any]
Answer = dict[str, Any]


class Stillvault:
    """The tools. `allow_run` and `files` are the word of the human who set it up."""

    def __init__(self, *, allow_run: bool, files: list[Path]) -> None:
        self._files = files
        self._allow_run = allow_run
        self._client = AsyncClient()
        self.tools = [*tools.ALWAYS, tools.RUN_WITH_SECRETS] if allow_run else list(tools.ALWAYS)
        self._serve: dict[str, Callable[[Context, Answer], Awaitable[Answer]]] = {
            "list_references": self._list, "request_release": self._request, "release_status": self._status,
            "cancel_release": self._cancel, "run_with_secrets": self._run, "explain_denial": self._explain}
        self._validators = {tool.name: Draft202012Validator(tool.input_schema)
                            for tool in (*tools.ALWAYS, tools.RUN_WITH_SECRETS)}

    async def list_tools(self, context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        del context, params
        return ListToolsResult(tools=self.tools)

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """Every end is an answer of the tool's schema. An error of ours that nobody foresaw says no more than that."""
        serve = self._serve.get(params.name)
        if serve is None:
            raise MCPError(code=INVALID_PARAMS, message="there is no such tool")
        try:
            arguments = params.arguments or {}
            self._check(params.name, arguments)
            answer = await serve(context, arguments)
        except StillvaultError as error:
            answer = {"v": answers.VERSION, "error": answers.error(error)}
        except Exception as error:  # noqa: BLE001  the last line of defence: no text of an exception reaches a model
            sys.stderr.write(f"stillvault mcp: an internal error: {type(error).__name__}\n")
            answer = {"v": answers.VERSION, "error": answers.error(Failed("internal", "an internal error"))}
        return CallToolResult(content=[TextContent(type="text", text=json.dumps(answer))], structured_content=answer,
                              is_error="error" in answer and "state" not in answer)

    def _check(self, name: str, arguments: Answer) -> None:
        """The form of what comes in; what it held is not repeated."""
        if name == tools.RUN_WITH_SECRETS.name and not self._allow_run:
            raise Forbidden("run-not-allowed", "running commands is not allowed here")
        problem = next(self._validators[name].iter_errors(arguments), None)
        if problem is not None:
            raise Usage("arguments", str(problem.validator), "", _argument(problem, arguments))

    # ---- the tools -----------------------------------------------------------------------------------------------------

    async def _list(self, context: Context, arguments: Answer) -> Answer:
        del context, arguments
        files = [Path(project.PROJECT_FILE), *self._files]
        named = await asyncio.to_thread(project.references, files, os.environ)
        who = await self._client.whoami()
        clients = [one for one in who.get("clients", []) if isinstance(one, dict)]
        scopes = sorted({scope for one in clients for scope in one.get("scopes", []) if isinstance(scope, str)})
        kept = named[:MAX_LISTED]
        plans = {plan.get("path"): plan for plan in (await self._client.plan([one.reference for one in kept]) if kept else [])}
        listed = [_listed(one, plans.get(paths_of(one.reference)[1][0], {})) for one in kept]
        return {"v": answers.VERSION, "references": listed, "scopes": scopes, "more": len(named) - len(kept)}

    async def _request(self, context: Context, arguments: Answer) -> Answer:
        del context
        options: Options = {"reason": arguments["reason"], "command": arguments.get("command", [])}
        if "window_seconds" in arguments:
            options["window"] = arguments["window_seconds"]
        if "uses" in arguments:
            options["uses"] = arguments["uses"]
        if "expires_seconds" in arguments:
            options["ttl"] = arguments["expires_seconds"]
        return answers.handle(await self._client.ask(arguments["references"], **options), may_run=self._allow_run)

    async def _status(self, context: Context, arguments: Answer) -> Answer:
        handle = await self._client.resume(arguments["handle"])
        seconds = arguments.get("wait_seconds", answers.MAX_WAIT)
        if handle.state == "pending" and seconds:
            await self._wait(context, handle, seconds)
        return answers.handle(handle, may_run=self._allow_run)

    async def _wait(self, context: Context, handle: AsyncHandle, seconds: int) -> None:
        """Waits, and gives signs of life, so that a client which counts the silence goes on waiting."""
        began = time.monotonic()

        async def alive() -> None:
            while True:
                await asyncio.sleep(PROGRESS)
                await context.session.report_progress(time.monotonic() - began, seconds, "waiting for people")

        signs = asyncio.create_task(alive())
        try:
            await handle.wait(seconds)
        except StillvaultError:
            if handle.error is None and handle.state != "delivered":
                raise  # not the handle's own end, which its answer tells
        finally:
            signs.cancel()

    async def _cancel(self, context: Context, arguments: Answer) -> Answer:
        del context
        count = await self._client.cancel(arguments["handle"])
        return {"v": answers.VERSION, "handle": arguments["handle"], "cancelled": count}

    async def _run(self, context: Context, arguments: Answer) -> Answer:
        del context
        handle = await self._client.resume(arguments["handle"])
        if handle.state == "pending":
            return {"v": answers.VERSION, "state": "pending", "next": answers.NEXT["pending"]}
        handle.settled()
        ended = await running.run(handle.id, arguments["argv"], arguments["env"], arguments.get("cwd", ""),
                                  arguments.get("timeout_seconds", tools.MAX_RUN))
        return {"v": answers.VERSION, "exit_code": ended.exit_code, "timed_out": ended.timed_out,
                "truncated": ended.stdout.truncated or ended.stderr.truncated, "stdout": ended.stdout.text(),
                "stderr": ended.stderr.text()}

    async def _explain(self, context: Context, arguments: Answer) -> Answer:
        del context
        if "handle" in arguments:
            shown = answers.handle(await self._client.resume(arguments["handle"]), may_run=self._allow_run)
            answer = {name: shown[name] for name in ("v", "handle", "state", "next")}
            return answer | ({"explanation": shown["error"]} if "error" in shown else {})
        explanation = answers.meaning(arguments.get("code", ""))
        if explanation is None:
            raise Usage("arguments", "neither a handle nor a code that is known")
        return {"v": answers.VERSION, "explanation": explanation}


def _argument(problem: Any, arguments: Answer) -> str:
    """Which argument of a tool is not as its schema says; empty where it is none of the schema's own."""
    schema: tools.Schema = problem.schema
    missing = [name for name in schema.get("required", []) if name not in arguments] if problem.validator == "required" else []
    where = [part for part in problem.absolute_path if isinstance(part, str)]
    return str((where or missing or [""])[0])


def _listed(one: project.Named, plan: Answer) -> Answer:
    """A reference and what asking for it would mean."""
    shown: Answer = {"reference": one.reference, "names": one.names, "source": one.source}
    if isinstance(error := plan.get("error"), dict):
        return shown | {"error": answers.error(failure(error))}
    for name, source in (("needed", "needed"), ("window_seconds", "window"), ("leased", "leased")):
        if isinstance(plan.get(source), int):
            shown[name] = plan[source]
    return shown | {"people": answers.people(plan.get("people"))}


async def _serve(serving: Stillvault) -> None:
    server: Server[Any] = Server("stillvault", version=version("stillvault"), instructions=tools.INSTRUCTIONS,
                                 on_list_tools=serving.list_tools, on_call_tool=serving.call_tool)
    server.middleware.clear()  # the SDK's own traces calls
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def main(*, allow_run: bool, files: list[Path]) -> int:
    """Serves one client on standard input and output until it hangs up."""
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="stillvault mcp: %(levelname)s: %(name)s")
    asyncio.run(_serve(Stillvault(allow_run=allow_run, files=files)))
    return 0
