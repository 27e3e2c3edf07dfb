# SPDX-License-Identifier: LGPL-2.1-or-later
"""Between clients and servers: one address for a guest, wherever it runs."""
