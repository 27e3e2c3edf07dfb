// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/regions.h: a bounded number of rectangles that hold all that was put into them. */
#ifndef SPICEMIG_REGIONS_H
#define SPICEMIG_REGIONS_H

#include <stddef.h>

#include "records.h"

/*
 * Put a box into a region of at most so many boxes, at least one; *count of them are
 * there before and afterwards, the oldest first. One too many is united with that
 * which grows least. Reference: channels/regions_reference.py, add_rect.
 */
void spicemig_region_add(struct spicemig_box *boxes, size_t *count, size_t most, struct spicemig_box box);

#endif
