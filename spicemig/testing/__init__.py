# SPDX-License-Identifier: LGPL-2.1-or-later
"""Test doubles, also for authors of devices and guests."""
