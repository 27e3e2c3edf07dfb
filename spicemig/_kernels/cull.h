// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/cull.h: which commands of the rasteriser's log need not be drawn. */
#ifndef SPICEMIG_CULL_H
#define SPICEMIG_CULL_H

#include <stddef.h>
#include <stdint.h>

#include "drawing.h"

#define SPICEMIG_HIDDEN_BOXES 12

/* Boxes of a surface that nobody looks at any more before they are drawn over. */
struct spicemig_hidden {
    uint32_t count;
    struct spicemig_box boxes[SPICEMIG_HIDDEN_BOXES];
};

/*
 * Say in keep, a byte for each command, which commands somebody needs: those of which
 * something stays visible on a surface that is not dead, or is read by another that is
 * needed. hidden has, for each place, a count of 0; dead, a byte for each, not 0
 * if the surface was destroyed after all commands. The caller has checked all places of
 * the commands. Cannot fail.
 * Reference: devices/raster/reference_log.py, equal byte by byte.
 */
void spicemig_cull(const struct spicemig_command *commands, size_t count, struct spicemig_hidden *hidden,
                   const uint8_t *dead, size_t places, uint8_t *keep);

/*
 * Say in mine, a byte for each command, which have to do with the surface at place: those that
 * draw on it, on one that it is read by or reads, and so on. group has room for a number
 * for each place. As above.
 */
void spicemig_split(const struct spicemig_command *commands, size_t count, uint32_t *group, size_t places,
                    uint32_t place, uint8_t *mine);

#endif
