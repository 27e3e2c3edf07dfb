# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests with real programs and real sockets on loopback; each says why it was skipped."""
