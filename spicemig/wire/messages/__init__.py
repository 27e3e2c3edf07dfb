# SPDX-License-Identifier: LGPL-2.1-or-later
"""The messages of each channel; declarations only."""
