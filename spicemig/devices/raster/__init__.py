# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws QXL commands onto surfaces, when somebody needs the pixels."""
