"""The command line: a file a verb or a small group, imported when it is used. `main` is the entry, `base` the rules."""
