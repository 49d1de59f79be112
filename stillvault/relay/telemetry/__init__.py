"""What an operator sees of a running relay: metrics on a port of their own, traces where they are asked for. No name of a secret,
person, host or program is in either."""
