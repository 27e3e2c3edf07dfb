# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bytes to values and back: every message of the protocol, declared once."""
