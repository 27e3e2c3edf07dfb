# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines on display: plugins that draw through a device and get what clients type and point."""
