"""The host's daemon: it knows who is calling, asks people, checks what they released, and serves leases.

In the order of a question, from the socket to the pipe:

| modules | what they know |
|---|---|
| `socketfile`, `listener`, `connection`, `frames` | the local socket: who may connect, one whole verb at a time |
| `peer`, on `process`, `executable`, `procfs`, `lineage`, `front` | who is calling, by the kernel |
| `agents`, on `agentfile`, `sight`, `replaceable` | which agent that is, by `identities.toml` |
| `broker`, `flow` (pure), `overview` | what to do next, and what is shown without asking |
| `hits`, `visits`, `handles` | what a question comes down to; what waits; what is fetched later |
| `requester`, `pending`, `verifying`, `versions` | people are asked, and what comes back is verified |
| `identities`, `standing`, `link` | the clients whose keys live here, the roster of now, the line to the relay |
| `delivery`, `pipes`, `leasebook` | the value goes out, and may go out again for a while |
| `daemon`, `workers`, `ending`, `journal` | how all of it starts, ends, and says what happened |
"""
