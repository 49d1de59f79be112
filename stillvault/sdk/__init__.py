"""The Python SDK: `import stillvault`, and a person is asked before this program gets a value.

    with stillvault.read("sv://prod/db", reason="nightly report") as secret:
        connect(password=secret.reveal_text())

`client` blocks and `aio` does not; `questions` are what both say to the daemon; `secret` is what comes back, `fields` cuts
`sv://PATH#FIELD` out of it. The caller that people see is this process: the SDK speaks to the daemon's socket itself
(`stillvault.transport.local`), and a value comes through a pipe into memory that is wiped.

No HTTP stack and no event loop is imported before it is used (`tests/agents/test_sdk.py`).
"""
