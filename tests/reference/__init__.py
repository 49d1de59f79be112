"""A second implementation of the Stillvault protocol, to hold the first one against.

It is written from docs/protocol.md alone, on `cryptography` and PyNaCl, and imports nothing of `stillvault`. It favours
plainness over speed: parsed objects are plain dictionaries, byte strings stay base64url text until they are used, and every
refusal is `encoding.Refused` with the code of the check. Time, keys and randomness are arguments, so that the vectors it
makes are the same on every run.

Do not use it to guard anything: keys sit in ordinary Python memory and nothing here runs in constant time.

Reading order: encoding, objects, keys, signed, roster, seal, release, then lifecycle, leases, enrol; `vectors` maps the
operations of the vector files onto them.
"""
