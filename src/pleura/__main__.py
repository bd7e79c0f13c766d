"""`python -m pleura` is `pleura`."""

from __future__ import annotations

import sys

from pleura.apps.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
