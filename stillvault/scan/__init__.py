"""Plaintext credentials in a tree of files: what looks like one (`rules`), which files are read (`walk`), and the lines of an
`.env` file (`envfile`). Standard library alone; nothing here talks to anybody or writes anything.
"""
