"""Work that waits on a socket, in a thread of its own: libraries that block, and the loop that must not.

The thread is a daemon and has a deadline, at which its sockets are cut under it, so that neither a stop of the relay nor another
message waits for a server that says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable

from stillvault.relay.notify.egress import Unsent

Attempt = Callable[[list[socket.socket]], Unsent | None]


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
