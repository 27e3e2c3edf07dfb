# SPDX-License-Identifier: LGPL-2.1-or-later
"""A live-migrating SPICE remote-display server."""

__version__ = "0.1.0"
