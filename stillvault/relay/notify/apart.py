"""Work that waits on a socket, in a thread of its own: libraries that block, and the loop that must not.

The thread is a daemon and has a deadline, at which its sockets are cut under it, so that neither a stop of the relay nor another
message waits for a server that says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence

from stillvault.relay.notify.egress import Unsent

Attempt = Callable[[list[socket.socket]], Unsent | None]
MOST_ADDRESSES = 3  # of one name that are tried, in the resolver's order


def connected(addresses: Sequence[str], port: int, seconds: float) -> socket.socket:
    """A connection to the first of a name's addresses that takes one. All of them together get `seconds`, each that is left an
    equal share: one that swallows everything leaves time for the next. Raises OSError: why the last one failed."""
    end, failed, tried = time.monotonic() + seconds, OSError(), addresses[:MOST_ADDRESSES]
    for number, address in enumerate(tried):
        try:
            made = socket.create_connection((address, port), max(end - time.monotonic(), 0.001) / (len(tried) - number))
        except OSError as error:
            failed = error
        else:
            made.settimeout(seconds)
            return made
    raise failed


async def apart(name: str, attempt: Attempt, seconds: float) -> Unsent | None:
    """What `attempt` returns: why it failed, or nothing. It puts each socket that it waits on into the list it is given.

    Raises:
        Unsent: `timeout`.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Unsent | None] = loop.create_future()
    sockets: list[socket.socket] = []

    def tell(outcome: Unsent | None) -> None:
        if not done.done():
            done.set_result(outcome)

    def run() -> None:
        outcome = attempt(sockets)
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody asks any more
            loop.call_soon_threadsafe(tell, outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            return await done
    except TimeoutError:
        raise Unsent("timeout", retry=True) from None
    finally:
        if not done.done() or done.cancelled():
            for one in sockets:
                with contextlib.suppress(OSError):
                    # The plain one: that of a TLS socket takes its TLS away first, and a send may be under way.
                    socket.socket.shutdown(one, socket.SHUT_RDWR)
