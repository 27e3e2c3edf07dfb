#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A browser and spice-gtk behind one relay stay connected, however often their guest moves.

First between two spicemig servers, both at once; then stock QEMUs with spice-server
in each of its schemes. spice-server carries state (seamless) only if one client is
connected, so there the browser and spice-gtk take turns. Before and after each
move the picture is compared with the guest's, pixel for pixel, and keys are typed,
of which each must come once and in order.

Screenshots are written to a directory; the exit status is 0 if all was right.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.trial.reporter import Reporter
from twisted.trial.runner import TrialRunner, TrialSuite

from tests.peers.harness import Daemon, GtkClient, Relay, eventually
from tests.peers.qemu import BUSY, Qemu
from tests.peers.test_handover import LETTERS, STILL, keys_seen, typed
from tests.peers.test_relay import plain
from tests.peers.test_relay_browser import Browser, BrowserCase
from tests.peers.test_relay_stock import CODES, StockCase

ENTER, SPACE = 28, 57
BUSY_CODES = [ENTER, 48, 22, 31, 21, SPACE, 6, 11, ENTER]  # "busy 50" for the demo guest's terminal
SHOWN_SECONDS = 30.0
MIN_PAUSE_MS = 55  # what spice-gtk sees of a QEMU guest that changes with its clock, without any move
