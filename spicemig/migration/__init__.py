# SPDX-License-Identifier: LGPL-2.1-or-later
"""Moving a guest and its clients from one host to another."""
