// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/glz.h: GLZ's coding of images, which refers to earlier ones, both ways. */
#ifndef SPICEMIG_GLZ_H
#define SPICEMIG_GLZ_H

#include <stddef.h>
#include <stdint.h>

/* The types of a stream, as its header has them; those below are palette indexes. */
enum spicemig_glz_type {
    SPICEMIG_GLZ_RGB16 = 6,
    SPICEMIG_GLZ_RGB24,
    SPICEMIG_GLZ_RGB32,
    SPICEMIG_GLZ_RGBA,
};

#define SPICEMIG_GLZ_MOST_UNITS ((size_t)1 << 26) /* of a window */
#define SPICEMIG_GLZ_HEADER_BYTES 33

/* Bytes from one unit of an image to the next: a pixel or a byte of indexes; 0 if there is no such type. */
size_t spicemig_glz_unit_bytes(unsigned type);

/* Bytes of a row, which has no padding. */
size_t spicemig_glz_row_bytes(unsigned type, unsigned width);

/* The most bytes that a stream of so many units, with its header, can touch. */
size_t spicemig_glz_room(unsigned type, size_t count);

/* An image that is in a window: its units, four bytes each, begin at start of the ring. */
struct spicemig_glz_image {
    uint64_t id;
    uint32_t start, count;
    uint16_t width, height;
    uint8_t type;
};

/*
 * The encoder's window. It lives in memory that the caller gives: as many bytes as
 * spicemig_glz_window_bytes says, aligned as malloc does. One call at a time may
 * use it.
 */
struct spicemig_glz_window {
    size_t size;     /* units */
    size_t taken;    /* by the images from oldest up to next */
    size_t head;     /* where the next image may begin */
    uint64_t next;   /* ids */
    uint64_t oldest;
    uint32_t *ring;
    uint32_t *slots;
    uint32_t *long_slots;
    uint32_t *blocks;
    struct spicemig_glz_image *images;
};

/* Bytes of a window of 1 to SPICEMIG_GLZ_MOST_UNITS units. */
size_t spicemig_glz_window_bytes(size_t size);

/* Make such memory an empty window. */
struct spicemig_glz_window *spicemig_glz_begin(void *memory, size_t size);

/*
 * Encode an image, which gets the next id and is in the window from then on. Its
 * rows have no padding, and its units are not more than the window's. Returns the
 * bytes written to out, which has the room said above. Reference:
 * codecs/glz_reference.py, equal byte by byte.
 */
size_t spicemig_glz_encode(struct spicemig_glz_window *window, const uint8_t *src, unsigned type, unsigned width,
                           unsigned height, int top_down, uint8_t *out);

/* Take in an image that the client has already; the next id is its own then. */
void spicemig_glz_put(struct spicemig_glz_window *window, const uint8_t *src, unsigned type, unsigned width,
                      unsigned height);

/* Drop the images before this id; one beyond the next counts as that. */
void spicemig_glz_forget(struct spicemig_glz_window *window, uint64_t id);

/* The image with an id; NULL if it is not in the window. */
const struct spicemig_glz_image *spicemig_glz_find(const struct spicemig_glz_window *window, uint64_t id);

/* The units of an image of the window, as they were given. */
void spicemig_glz_get(const struct spicemig_glz_window *window, const struct spicemig_glz_image *image,
                      uint8_t *dst);

/*
 * Look up some places of an image. Returns how many were found in the window; their
 * number is left in *tried.
 */
size_t spicemig_glz_probe(const struct spicemig_glz_window *window, const uint8_t *src, unsigned type,
                          size_t count, size_t *tried);

/* An image that streams may refer to: its units as they lie in memory. */
struct spicemig_glz_source {
    const uint8_t *units;
    size_t count;
};

/* How the decoder finds the image with an id; one of another type counts as none: units NULL. */
typedef struct spicemig_glz_source spicemig_glz_lookup(const void *images, uint64_t id, unsigned type);

/*
 * Decode just so many units, to dst, from all of data. Returns 0 if the data do not
 * make up just that, or refer to what is not there. Bytes that are not coded become 0.
 */
int spicemig_glz_decode(uint8_t *dst, unsigned type, size_t count, uint64_t id, const uint8_t *data, size_t bytes,
                        spicemig_glz_lookup *lookup, const void *images);

#endif
