# SPDX-License-Identifier: LGPL-2.1-or-later
"""Traces: what a QXL device was given, in files that can be played again."""
