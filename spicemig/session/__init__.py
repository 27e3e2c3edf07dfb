# SPDX-License-Identifier: LGPL-2.1-or-later
"""One client over all its channels; the clients of a host."""
