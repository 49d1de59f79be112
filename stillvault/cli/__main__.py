"""`python -m stillvault.cli`: the same as the installed command."""

import sys

from stillvault.cli.main import main

sys.exit(main())
