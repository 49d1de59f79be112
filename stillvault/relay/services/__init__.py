"""One use case a function. Each verifies what it was given, then makes its change in one transaction with its log leaf."""
