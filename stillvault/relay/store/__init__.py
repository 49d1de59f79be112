"""All SQL of the relay. A module a noun; every function takes the connection first and does one thing to one table.

connection.py opens and hardens, schema.py migrates and refuses what it does not know, writer.py is the one writer with group
commit, space.py looks after the disk. Nothing above this package knows that it is SQLite.
"""
