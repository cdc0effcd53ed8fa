"""Threads that sleep while they wait, for benchmarks that share a machine.

OpenMP's threads spin otherwise, and take the cores that their own partners and other programs need;
systems of many short operations then measure the machine's load.
"""

import os
import sys

POLICY = "OMP_WAIT_POLICY"


def asleep() -> None:
    """Begin the same command again with the policy set, which torch reads when it is loaded."""
    if POLICY not in os.environ:
        os.environ[POLICY] = "PASSIVE"
        os.execv(sys.executable, [sys.executable, *sys.argv])


def thread_waiting() -> str:
    """The policy, for a record."""
    return os.environ[POLICY].lower()
