# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Runs twistd, with a daemon that dies, or stands still, at a stage of a handover.

``killable.py [SIDE:]STAGE[=STOP] ARGUMENTS...``: the process kills itself (SIGKILL), or is
stopped (SIGSTOP), when the handover enters the stage; with an empty stage it is twistd and
nothing else.
"""

import os
import signal
import sys

from twisted.scripts.twistd import run


def kill_at(where: str) -> None:
    """Die, or stop, at this stage."""
    from spicemig.daemons.service import Daemon

    side, _, stage = where.partition("=")[0].rpartition(":")
    number = signal.SIGSTOP if where.endswith("=STOP") else signal.SIGKILL

    def hook(now_side: str, now_stage: str) -> None:
        if now_stage == stage and side in ("", now_side):
            os.kill(os.getpid(), number)

    Daemon.stage_hook = staticmethod(hook)


if __name__ == "__main__":
    where = sys.argv.pop(1)
    if where:
        kill_at(where)
    sys.argv[0] = "twistd"
    run()
