# SPDX-License-Identifier: LGPL-2.1-or-later
"""A core for each channel, and what cores share."""
