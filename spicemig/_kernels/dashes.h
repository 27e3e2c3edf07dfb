// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/dashes.h: dashed lines one pixel wide; DRAW_STROKE with a style. */
#ifndef SPICEMIG_DASHES_H
#define SPICEMIG_DASHES_H

#include "lines.h"

#define SPICEMIG_DASH_ROWS 1024           /* more than one dash or one corner can have */
#define SPICEMIG_DASH_PLACE_LIMIT (1 << 24) /* so that what is computed of places fits into 64 bits */

/* count lengths in pixels: a dash, a gap, a dash and so on; and where in them the first line begins. */
struct spicemig_dashes {
    const uint8_t *lengths;
    size_t count;
    unsigned offset;
};

/*
 * Draw dashed lines from point to point, with their corners. If painting twice is
 * not the same as once, a pixel is painted once even where lines meet; then the
 * spans of all dashes are collected first. spans is room for capacity of them, at
 * least SPICEMIG_DASH_ROWS more than the boxes of the canvas. Returns how much
 * room is needed: if that is more than capacity, nothing was painted.
 *
 * The caller has checked the canvas, that not all lengths are 0, and that points
 * are not farther away than SPICEMIG_DASH_PLACE_LIMIT. Cannot fail otherwise.
 * Reference: devices/raster/reference_lines.py, equal byte by byte.
 */
size_t spicemig_draw_dashes(const struct spicemig_canvas *canvas, const struct spicemig_point *points,
                            size_t point_count, struct spicemig_dashes dashes, struct spicemig_span *spans,
                            size_t capacity);

#endif
