// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/curves.h: Bezier curves as lines; DRAW_STROKE. */
#ifndef SPICEMIG_CURVES_H
#define SPICEMIG_CURVES_H

#include "lines.h"

#define SPICEMIG_CURVE_LIMIT (1 << 20) /* points */

/* A place in 28.4 fixed point, or between two. */
struct spicemig_fixed {
    int64_t x, y;
};

/*
 * Divide a curve, given by its ends and two places between, until its parts are
 * flat; write their ends as pixels, at most room of them, without the curve's
 * start. Returns how many there are, or 0 if they are more than
 * SPICEMIG_CURVE_LIMIT. Places are below 2^31. Cannot fail otherwise.
 * Reference: devices/raster/reference_curves.py, equal to the last point.
 */
size_t spicemig_curve_points(struct spicemig_fixed curve[4], struct spicemig_point *points, size_t room);

#endif
