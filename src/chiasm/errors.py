"""The errors a user meets: one line, what was wrong, and what to do."""


class ChiasmError(Exception):
    """A failure of the work itself: a corrupt file, a refused download, weights that do not fit.

    The message is one line that names what disagrees and the remedy. The command line prints it
    without a traceback and exits with `exit_code`.
    """

    exit_code = 1


class Misuse(ChiasmError):
    """A request that cannot be meant: an unknown name, options that exclude each other."""

    exit_code = 2
