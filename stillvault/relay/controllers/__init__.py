"""A body in, a body out. Controllers read parameters and choose the use case; they decide nothing."""
