// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/wide.h: loops over pixels for processors that can do more at once. */
#ifndef SPICEMIG_WIDE_H
#define SPICEMIG_WIDE_H

#include <stdint.h>

/*
 * Before a function: the compiler makes it twice, and the loader takes the one
 * that the processor can do. Only where compiler and C library know how; not
 * under a sanitizer, which is not ready when the loader asks.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) &&              \
    !defined(__SANITIZE_ADDRESS__)
#define SPICEMIG_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define SPICEMIG_WIDE
#endif

#endif
