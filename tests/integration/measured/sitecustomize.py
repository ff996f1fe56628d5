"""Lets coverage save its data when twistd ends itself with the signal that stopped it.

``twistd`` re-sends itself SIGTERM after a tidy stop, which skips ``atexit``. Python
imports this module at start in child processes of a measured test run only.
"""

from __future__ import annotations

import atexit
import os

_kill = os.kill


def _save_and_kill(pid: int, number: int) -> None:
    """Run the exit functions before a signal to this very process."""
    if pid == os.getpid():
        atexit._run_exitfuncs()
    _kill(pid, number)


os.kill = _save_and_kill
