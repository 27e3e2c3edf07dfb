# SPDX-License-Identifier: LGPL-2.1-or-later
"""Image payloads, in both directions."""
