"""Load tests for whoever runs a node: what it carries, and how long people and programs wait under it. README.md teaches the use.

`scenarios` says what is done, `laboratory` makes the organisation that does it, `locustfile` are the users of Locust, `openloop`
times `arrivals` from their intended start, `histogram` keeps the times, `running` puts a run together, `floors` are what the same
machine does at least, `report` draws, `check` judges against budgets.toml.
"""
