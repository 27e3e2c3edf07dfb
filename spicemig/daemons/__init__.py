# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs that twistd runs: their settings, and the services made from them."""
