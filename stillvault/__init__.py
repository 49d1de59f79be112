"""Stillvault: a secret reaches a program only after a person saw who asks and said yes."""
