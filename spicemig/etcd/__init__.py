# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests announced in etcd: what servers put there, and what relays make of it."""
