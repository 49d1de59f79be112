"""A caller of the daemon in plain Python: what the tests start as processes of their own, under any account.

Copied next to the socket and run by the system's interpreter, so it imports nothing of the project. As a module it is
`Call`; as a program it prints the events of one verb, a line each, and the values it got.
"""

import array
import fcntl
import json
import os
import socket
import sys


class Call:
    """One connection, spoken by hand."""

    def __init__(self, path=None, sock=None):
        self.sock = sock or socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        if sock is None:
            self.sock.connect(path)
        self.nonce = None

    def hello(self):
        event = self.event()
        self.nonce = event.get("nonce") if event else None
        return event

    def say(self, fields, fds=()):
        fields = dict(fields)
        if self.nonce is not None:
            fields.update(v=1, nonce=self.nonce)
            self.nonce = None
        raw = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        self.raw(len(raw).to_bytes(4, "big") + raw, fds)

    def raw(self, block, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([block], rights)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def event(self):
        try:
            head = self._exactly(4)
            return json.loads(self._exactly(int.from_bytes(head, "big"))) if head else None
        except ConnectionResetError:
            return None

    def last(self):
        """The last event of an answer."""
        event = self.event()
        while event and event.get("event") == "pending":
            event = self.event()
        return event

    def get(self, refs, **terms):
        """Asks for values; returns the reading ends."""
        pairs = [pipe() for _ in refs]
        self.say({"verb": "get", "refs": refs, **terms}, [writing for _, writing in pairs])
        for _, writing in pairs:
            os.close(writing)
        return [reading for reading, _ in pairs]

    def _exactly(self, count):
        got = b""
        while len(got) < count:
            more = self.sock.recv(count - len(got))
            if not more:
                return None
            got += more
        return got


def pipe():
    reading, writing = os.pipe()
    fcntl.fcntl(writing, 1031, 65536)  # F_SETPIPE_SZ
    return reading, writing


def contents(fd):
    with open(fd, "rb") as file:
        return file.read()


def main():
    path, verb, *refs = sys.argv[1:]
    call = Call(path)
    hello = call.hello()
    if hello is None or "nonce" not in hello:
        print(json.dumps(hello))
        return
    terms = json.loads(os.environ.get("TERMS", "{}"))
    ends = call.get(refs, **terms) if verb == "get" else call.say({"verb": verb, **terms}) or []
    event = call.event()
    while event and event.get("event") == "pending":
        print(json.dumps(event), flush=True)
        event = call.event()
    print(json.dumps(event), flush=True)
    for end in ends:
        print(contents(end).hex(), flush=True)


if __name__ == "__main__":
    main()
