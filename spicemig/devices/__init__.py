# SPDX-License-Identifier: LGPL-2.1-or-later
"""The QXL device: what a guest draws with and what sessions show of it."""
