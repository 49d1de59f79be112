"""The ring around the Rust core: the only package that imports `stillvault._native`. Pick the module by what you hold.

`public`   nothing but public keys: encoding, verification, hashes of the log. The relay lives on this alone.
`private`  a private key or a plaintext: signing, sealing, deciding, opening. Persons' devices and hosts.
`leases`   plaintext kept for a while: the daemon.

Importing this package, or `public`, never loads the other two; the tests hold the relay's process to that. Nothing is
re-exported here, so that an import says which of the three it means.

What is promised by all three: what goes in as signed bytes is verified before it is read; a check that does not hold raises
`stillvault.protocol.errors.Refused` with its stable code and returns nothing; private keys and plaintext stay in wiped Rust
memory and show in no `repr`; no call reads a clock, for times are arguments in unix seconds.
"""
