// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/fill.h: one colour into a rectangle; DRAW_FILL with a solid brush. */
#ifndef SPICEMIG_FILL_H
#define SPICEMIG_FILL_H

#include <stddef.h>
#include <stdint.h>

#include "rop.h"

/*
 * Combine value with rows x cols 32-bit pixels as the table rop (see rop.h)
 * says. dst is the first pixel, the stride is in bytes. The caller has checked
 * that the rectangle lies inside its buffer. No alignment is needed. Cannot fail.
 * Reference: devices/raster/reference.py, equal byte by byte.
 */
void spicemig_fill_rect(uint8_t *dst, ptrdiff_t stride, size_t rows, size_t cols,
                        uint32_t value, unsigned rop);

#endif
