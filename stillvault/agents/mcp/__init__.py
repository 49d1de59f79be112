"""`stillvault mcp`: secrets for agents that speak the Model Context Protocol, on standard input and output.

**No tool ever returns a value.** This process never holds one: it asks the daemon for a handle and how it stands (by the SDK, as
any program), and what uses the values is the native front, `stillvault run --handle`, which masks what its command prints.

Nothing waits longer than `answers.MAX_WAIT`, so that clients with a time-out of a minute never meet it: a call that ends
without a decision gives the handle back, and the next one goes on. What comes out is of a fixed schema (`tools`), in words of
our own (`answers`); what others wrote (a note, a name) stands in fields that say so, escaped and cut, and never in an instruction
(X9).

Reading order: `tools`, `answers`, `server`, `running`, `project`.
"""
