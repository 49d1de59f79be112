"""`python -m tests.conformance [--strict-codes] [DIR]`."""

from tests.conformance.vectors import main

raise SystemExit(main())
