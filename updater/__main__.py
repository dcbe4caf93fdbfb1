"""``python -m updater``: the command line without the installed script, for a broken environment as well."""

import sys

from updater.cli import main

if __name__ == "__main__":
    sys.exit(main())
