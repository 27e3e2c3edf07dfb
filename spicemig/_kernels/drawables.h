// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/drawables.h: records of drawables taken apart, and which of them nobody will see. */
#ifndef SPICEMIG_DRAWABLES_H
#define SPICEMIG_DRAWABLES_H

#include <stddef.h>
#include <stdint.h>

#define SPICEMIG_ROW_READS 4 /* surfaces that a row can name */

/* What a row of a pipe is. */
enum spicemig_row_flags {
    SPICEMIG_ROW_DRAWS = 1,    /* a drawable that may be dropped; without it, nothing is looked at */
    SPICEMIG_ROW_COVERS = 2,   /* nothing of what was in its box is left */
    SPICEMIG_ROW_READS_ANY = 4, /* more surfaces than can be named */
    SPICEMIG_ROW_MOVES = 8 /* all that it reads is a part of its own surface, as large as its box */
};

/*
 * What decides whether an entry of a display pipe may be dropped; the struct ROW of
 * channels/display_reference.py. Rows may lie anywhere in memory.
 */
struct spicemig_row {
    uint8_t flags, reads_count, unused[2];
    uint32_t surface;
    int32_t top, left, bottom, right;
    uint32_t reads[SPICEMIG_ROW_READS];
    int32_t from_top, from_left; /* where the part that it moves is */
};

/*
 * Write the places, last one first, of the rows that a later drawable makes
 * pointless; found has room for count. Only what lies in the box counts, or with
 * whole everything on the surface. Stops at what reads there and stays.
 * Returns how many. Reference: channels/display_reference.py.
 */
size_t spicemig_covered(const uint8_t *rows, size_t count, const struct spicemig_row *cover, int whole,
                        uint32_t *found);

/* A record of a batch (devices/drawables.py); pointers lead into the records. */
struct spicemig_drawable {
    uint16_t number;
    uint8_t effect, relocations;
    uint32_t surface;
    int32_t top, left, bottom, right;
    const uint8_t *record, *body;
    size_t body_bytes;
    int clipped;          /* to rectangles */
    size_t behind_base;   /* the offset in the body of what follows the clip */
};

/* Take the record at an offset apart; 0 if it is not one that lies inside the buffer. */
int spicemig_drawable_read(const uint8_t *records, size_t bytes, size_t offset, struct spicemig_drawable *read);

/* One of its relocations: where in the body the pointer is, and which image belongs there. */
void spicemig_drawable_relocation(const struct spicemig_drawable *drawable, size_t which, uint32_t *pointer,
                                  uint32_t *image);

/* The row of a drawable, without what it reads but for its own surface. */
void spicemig_drawable_row(const struct spicemig_drawable *drawable, struct spicemig_row *row);

/* Note that a drawable reads a surface; on its own, it covers nothing then. */
void spicemig_row_reads(struct spicemig_row *row, uint32_t surface);

/* What kind of work a drawable is. */
enum spicemig_kind {
    SPICEMIG_UNUSUAL,   /* for Python */
    SPICEMIG_NO_IMAGE,  /* every client draws it alike */
    SPICEMIG_ONE_IMAGE, /* an area of the image behind its only pointer */
};

enum spicemig_kind spicemig_drawable_kind(const struct spicemig_drawable *drawable);

/* Whether the area that it draws is a part of an image of this size; of a drawable of ONE_IMAGE. */
int spicemig_drawable_inside(const struct spicemig_drawable *drawable, uint32_t width, uint32_t height);

#endif
