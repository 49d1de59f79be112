"""Row P7: from a request's arrival at the relay to its card on a person's screen, and from approve to the value at the program,
with 1 and with 200 open consoles; beside a bare SSE echo over TLS that does nothing but hand on what comes, in the same browser.

One console is Chromium with a passkey. The others hold the same stream, and fetch what waits when it tells them to, as a console
does. The echo's page puts the event into the document and notes the time; ours notes when the card stands in the list.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from bench.measure import Report, ratio
from tests.console.browser import NAME, Console, Tab, opened
from tests.console.cards import FORGET, approve, open_card
from tests.world import Party

ROUNDS, CROWD, APPROVALS = 25, 200, 8
PATH = "prod/db"
CLOCK = "performance.timeOrigin + performance.now()"  # milliseconds
SEEN = f"""text => new Promise(done => {{
  const look = () => {{ if (document.body.innerText.includes(text)) {{ watch.disconnect(); done({CLOCK}); return true; }} }};
  const watch = new MutationObserver(look);
  if (!look()) watch.observe(document.body, {{ childList: true, subtree: true, characterData: true }});
}})"""
SENT = f"""() => {{ const real = window.fetch; window.fetch = (...all) => {{
  if (String(all[0]?.url ?? all[0]).includes("/v1/decisions")) window.sentAt = {CLOCK};
  return real(...all); }}; }}"""


class Echo:
    """A page, streams, and what is posted to one handed on to all. TLS with the relay's own certificate."""

    def __init__(self, data: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(data / "tls" / "relay.pem", data / "tls" / "relay.key")
        self.streams: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.port = server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1])) if length else b""
                if head.startswith("GET /stream"):
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: echo\n\n")
                    self.streams.add(writer)
                elif head.startswith("POST"):
                    for stream in self.streams:
                        stream.write(b"data: " + body + b"\n\n")
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 37\r\n\r\n"
                                 b"<!doctype html><title>echo</title><p>")
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            self.streams.discard(writer)


class Crowd:
    """Open consoles without a screen: a stream each, and what waits fetched on each prompt over a connection of its own."""

    def __init__(self, port: int, context: ssl.SSLContext, bearer: str) -> None:
        self.port, self.context = port, context
        self.bearer = f"authorization: Bearer {bearer}\r\n" if bearer else ""
        self.tasks: list[asyncio.Task[None]] = []
        self.open = 0

    async def join(self, count: int) -> None:
        self.tasks += [asyncio.ensure_future(self.member()) for _ in range(count)]
        while self.open < count:
            await asyncio.sleep(0.05)

    async def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def ask(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, server_hostname=NAME)
        self.get(writer, path)
        return reader, writer

    def get(self, writer: asyncio.StreamWriter, path: str) -> None:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {NAME}:{self.port}\r\n{self.bearer}\r\n".encode())

    async def member(self) -> None:
        stream, holding = await self.ask("/v1/stream" if self.bearer else "/stream")
        await stream.readuntil(b"\r\n\r\n")
        self.open += 1
        fetching: asyncio.StreamWriter | None = None
        try:
            while line := await stream.readline():
                if self.bearer and line.startswith(b"event: prompt"):
                    if fetching is None:
                        answers, fetching = await self.ask("/v1/prompts")
                    else:
                        self.get(fetching, "/v1/prompts")
                    await answer(answers)
        finally:
            holding.close()
            if fetching:
                fetching.close()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The body of one answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
    return await reader.readexactly(int(length[1])) if length else b""


class Raiser:
    """bench.raising, as a process in the home of a host."""

    def __init__(self, party: Party) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "bench.raising"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=party.environment)

    def say(self, line: str) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@contextmanager
def background() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    wait(loop, finish())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


async def finish() -> None:
    """Ends whatever else the loop still does."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def wait(loop: asyncio.AbstractEventLoop, work: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(work, loop).result(120)


def cards(tab: Tab, raiser: Raiser) -> list[float]:
    """Milliseconds from the request's bytes to the card in the list."""
    found = []
    for _ in range(ROUNDS + 1):
        tab.page.evaluate(FORGET)
        with watching(tab.page, " left") as seen:
            began = raiser.say(PATH)["began"]
        found.append(seen[0] - began * 1000)
        raiser.say("cancel")
        fresh(tab)
    return found[1:]


def fresh(tab: Tab) -> None:
    """An empty list: what was withdrawn or decided stays on the screen for a while, and a new page knows nothing of it."""
    tab.open("/")
    expect(tab.page.get_by_text("Nothing waits for you")).to_be_visible()
    tab.page.evaluate(SENT)


@contextmanager
def watching(page: Page, text: str) -> Iterator[list[float]]:
    """The wall clock at which a text stands in the document, once the block is over."""
    page.evaluate(f"text => {{ window.seen = ({SEEN})(text); }}", text)
    seen: list[float] = []
    yield seen
    seen.append(page.evaluate("() => window.seen"))


def echoes(page: Page, echo: Echo, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext) -> list[float]:
    """Milliseconds from the posted bytes to the text in the document."""
    found = []
    for number in range(ROUNDS + 1):
        with watching(page, f"event {number}.") as seen:
            began = time.time()
            wait(loop, post(echo.port, context, f"event {number}."))
        found.append(seen[0] - began * 1000)
        page.evaluate("() => { document.body.innerText = ''; }")
    return found[1:]  # the first one warms up


async def post(port: int, context: ssl.SSLContext, text: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=NAME)
    writer.write(f"POST / HTTP/1.1\r\nhost: echo\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
    await answer(reader)
    writer.close()


def note_end(process: subprocess.Popen[bytes], ended: list[float]) -> None:
    process.communicate()
    ended.append(time.time())


def deliveries(tab: Tab, host: Party) -> list[float]:
    """Milliseconds from the decision leaving the page to the program's end with the value."""
    found = []
    for _ in range(APPROVALS):
        tab.page.evaluate(FORGET)
        asking = host.spawn("read", "-n", f"sv://{PATH}")
        open_card(tab, PATH)
        ended: list[float] = []
        waiter = threading.Thread(target=note_end, args=(asking, ended))
        waiter.start()
        approve(tab.page)
        waiter.join()
        found.append(ended[0] * 1000 - tab.page.evaluate("() => window.sentAt"))
        fresh(tab)
    return found


def run(report: Report) -> None:
    """Row P7."""
    report.head(f"P7  request to card, {ROUNDS} rounds; approve to value, {APPROVALS}; with 1 and {CROWD} open consoles")
    with sync_playwright() as playwright, opened(playwright) as console, background() as loop:
        measure(report, console, loop)


def measure(report: Report, console: Console, loop: asyncio.AbstractEventLoop) -> None:
    alice = console.create()
    bob = console.page("bob", "approver")
    host = console.host(policy=("--window", "0s"))
    alice.ok("seal", PATH, stdin=b"value")
    alice.ok("inbox")
    token = json.loads((alice.home / "session.json").read_text())["token"]
    context = ssl.create_default_context(cafile=str(console.world.data / "tls" / "ca.pem"))
    echo = Echo(console.world.data)
    wait(loop, echo.start())
    plain = console.tab()
    plain.page.goto(f"https://{NAME}:{echo.port}/")
    plain.page.evaluate("() => { new EventSource('/stream').onmessage = (event) => { document.body.append(event.data); }; }")
    bob.page.evaluate(SENT)
    raiser = Raiser(host)
    for count in (1, CROWD):
        name = f"{count} consoles" if count > 1 else "1 console"
        crowds = [Crowd(console.world.port, context, token), Crowd(echo.port, context, "")]
        for crowd in crowds:
            wait(loop, crowd.join(count - 1))
        floor = echoes(plain.page, echo, loop, context)
        ours = cards(bob, raiser)
        values = deliveries(bob, host)
        report.line(f"echo to document, {name}", "ms", floor)
        report.line(f"request to card, {name}", "ms", ours)
        report.line(f"approve to value, {name}", "ms", values)
        report.say(f"request to card / echo: {ratio(ours, floor):.1f}   approve to value / echo: {ratio(values, floor):.1f}")
        for crowd in crowds:
            wait(loop, crowd.leave())
    raiser.process.kill()
