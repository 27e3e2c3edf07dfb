// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/lines.h: lines one pixel wide; DRAW_STROKE. */
#ifndef SPICEMIG_LINES_H
#define SPICEMIG_LINES_H

#include "spans.h"

struct spicemig_point {
    int32_t x, y;
};

/*
 * Draw lines from point to point on the canvas, each without its last pixel.
 * spans is room to work in: for the larger side of the canvas and all its boxes.
 * The caller has checked the canvas; points may be anywhere. Cannot fail.
 * Reference: devices/raster/reference_lines.py, equal byte by byte.
 */
void spicemig_draw_lines(const struct spicemig_canvas *canvas, const struct spicemig_point *points,
                         size_t point_count, struct spicemig_span *spans);

#endif
