# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests against real programs over loopback."""
