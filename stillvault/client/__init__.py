"""The host's daemon: it knows who is calling, asks people, checks what they released, and serves leases.

`peer` says who is calling (`procfs` and `executable` are its eyes); `listener` speaks `frames` over the local socket; `flow` is
the pure part: what to do next; `identities` are the clients whose keys live here; `link` talks to the relay; `broker` joins them;
`leases` keeps what was delivered for its window; `daemon` starts and ends it all.
"""
