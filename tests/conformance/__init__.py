"""Whether the three implementations of the protocol agree: with the fixed vectors, and with each other.

`vectors` runs directories of vector files (`make vectors`), `sides` says how an operation is asked of each implementation.
"""
