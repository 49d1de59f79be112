"""A person's device on the command line: keys in a file, prompts on the terminal.

`device` is the pure part (what is shown, what is signed); `keyfile` keeps the keys, `memory` what must never be forgotten,
`budget` how many cards a relay may show an hour, `prompts` fetches and verifies, `screen` draws, `account` ties a home to its
relay. Every check that security rests on is made here or in the core, never taken from the relay.
"""
