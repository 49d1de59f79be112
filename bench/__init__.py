"""Benchmarks: every budget of docs/performance.md beside its floor, measured in the same run."""
