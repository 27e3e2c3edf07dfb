// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/drawing.h: records become commands of the rasteriser's log. */
#ifndef SPICEMIG_DRAWING_H
#define SPICEMIG_DRAWING_H

#include <stddef.h>
#include <stdint.h>

#include "records.h"

#define SPICEMIG_NO_PLACE UINT32_MAX
#define SPICEMIG_READS 3 /* surfaces that one command can read: its image, its brush, its mask */
#define SPICEMIG_LARGEST_SIDE 16384
#define SPICEMIG_FARTHEST (1 << 30) /* places on surfaces can be moved so far without overflow */
#define SPICEMIG_TILE 32          /* pixels; TILE of devices/dirty.py */

/* How a command is drawn. */
enum spicemig_operation {
    SPICEMIG_BY_OTHERS = 0, /* not here: its message has to be opened */
    SPICEMIG_FILL = 1,      /* value, rop */
    SPICEMIG_COPY = 2,      /* from the image with the number value */
    SPICEMIG_COPY_SURFACE = 3,
    SPICEMIG_MOVE = 4, /* from elsewhere on the same surface */
};

enum spicemig_command_flags {
    SPICEMIG_COVERS = 1,     /* nothing is left of what was in its box */
    SPICEMIG_READS_BOX = 2,  /* of what it reads, its box moved by (dx, dy); else all of it */
    SPICEMIG_CLIPPED = 4,    /* to the rectangles in its record */
    SPICEMIG_BOTTOM_UP = 8,  /* the image's last row comes first */
};

/*
 * A command of the log; its layout is COMMAND of devices/raster/log.py. Surfaces are named by
 * their places in a table, because ids can be used again. The box lies on the surface.
 */
struct spicemig_command {
    uint32_t batch, offset; /* its record */
    uint32_t place, reads[SPICEMIG_READS]; /* behind the last one, SPICEMIG_NO_PLACE */
    struct spicemig_box box;
    uint8_t operation, rop, flags, unused;
    uint32_t value;
    int32_t dx, dy; /* from the box to what is copied there */
    uint32_t width, height, stride; /* of the image that is copied */
};

/* What must be known of a surface. */
struct spicemig_shown {
    uint32_t width, height, format;
};

/* What must be known of an image. */
struct spicemig_drawn_image {
    uint32_t place;          /* of the surface that it shows, else SPICEMIG_NO_PLACE */
    uint32_t width, height;  /* 0 if they are impossible, as all that follows */
    uint32_t format, flags, stride;
    uint64_t bytes;
    int bottom_up;
};

/*
 * Make the command that a record is. images and surfaces are tables of all images of the
 * batch and all places; those that the record names are filled in, and the caller has
 * checked that there are such. place is where the record's surface is. batch and offset
 * are the caller's. Returns whether the record draws opaquely, as is_opaque of
 * devices/raster/opaque.py decides it; the box is empty if nothing is to be drawn.
 */
int spicemig_command_of(const struct spicemig_record *record, uint32_t place,
                        const struct spicemig_drawn_image *images, const struct spicemig_shown *surfaces,
                        struct spicemig_command *command);

/* About how much work it is to draw a command whose box is not empty: so many pixels could be filled meanwhile. */
static inline uint64_t spicemig_work_of(const struct spicemig_command *command)
{
    const uint64_t opened = UINT64_C(1) << 16, drawn = UINT64_C(1) << 7;
    const struct spicemig_box box = command->box;

    return (uint64_t)(box.right - box.left) * (uint64_t)(box.bottom - box.top) +
           (command->operation == SPICEMIG_BY_OTHERS ? opened : drawn);
}

/* The table of rop.h for a descriptor; inverted_source is the flag of what is drawn with. See raster/rop.py. */
unsigned spicemig_truth_table(unsigned descriptor, unsigned inverted_source);

#endif
