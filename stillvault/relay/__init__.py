"""The blind relay: a filter, a mailbox and a log. It holds ciphertext and signed objects, and no key that opens anything.

Reading order: routes.py (every route on one page), guards.py (who may), controllers/ (a body in, a body out), services/ (one use
case, one transaction), store/ (all SQL). Around them: edge.py looks at bytes before anything is decoded, server.py keeps the
deadlines of a connection, hub.py wakes who waits, log.py is the tree that every change is written to before it is acknowledged,
app.py wires all of it, main.py is the command line.

Inside: routes -> controllers -> services -> store | hub. SQL only in store. The relay imports stillvault.crypto.public alone.
"""
