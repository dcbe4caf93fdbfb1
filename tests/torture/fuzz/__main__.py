"""See the package: ``python -m tests.torture.fuzz --help``."""

from __future__ import annotations

import sys

from tests.torture.fuzz.command import main

sys.exit(main(sys.argv[1:]))
