"""Running one of the catalogue's maintenance commands: a failure is one line and an exit code."""

import sys
from collections.abc import Callable

from chiasm.errors import ChiasmError


def run(main: Callable[[], int]) -> None:
    """Exit with what `main` returns; a `ChiasmError` prints its one line and gives the code."""
    try:
        sys.exit(main())
    except ChiasmError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
