// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/settle.h: 32-bit pixels become what a surface of fewer bits keeps of them. */
#ifndef SPICEMIG_SETTLE_H
#define SPICEMIG_SETTLE_H

#include <stddef.h>
#include <stdint.h>

/* SpiceSurfaceFmt of spice-protocol's enums.h; pixels of all others stay as they are. */
enum spicemig_surface_format {
    SPICEMIG_SURFACE_1_A = 1,
    SPICEMIG_SURFACE_8_A = 8,
    SPICEMIG_SURFACE_16_555 = 16,
    SPICEMIG_SURFACE_16_565 = 80,
};

/*
 * Round rows x cols pixels: of 16 bits, the upper bits of each colour stay, and
 * fill the lower ones; of 8 bits, only alpha; of one, alpha from 128 on becomes
 * 255 and less becomes 0. The stride is in bytes. The caller has checked that the
 * rectangle lies inside its buffer. Cannot fail.
 * Reference: devices/raster/reference_rops.py, equal byte by byte.
 */
void spicemig_settle_rect(uint8_t *dst, ptrdiff_t stride, size_t rows, size_t cols, unsigned format);

#endif
