# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stages of a handover, and the two hosts' parts in it."""
