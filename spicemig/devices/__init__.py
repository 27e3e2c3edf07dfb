# SPDX-License-Identifier: LGPL-2.1-or-later
"""The QXL device between guests and sessions."""
