// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/edge_packing.h: display messages being packed for one client.
 *
 * Shared by edge_batches.c, which goes through drawables, edge_images.c, which
 * packs their images, and edge_encode.c, which encodes those.
 */
#ifndef SPICEMIG_EDGE_PACKING_H
#define SPICEMIG_EDGE_PACKING_H

#include "edge.h"

#include "drawables.h"
#include "records.h"

#define FORMATS 11 /* bitmap formats, from 0 on */

enum outcome {
    FAILED = -1, /* an exception is set */
    STOPPED,     /* nothing was done: this is for Python */
    DONE
};

/* Images of one type: how many, what they take in messages, and what it took to encode them. */
struct tally {
    unsigned long long images, bytes, nanoseconds;
};

/* Memory that grows. */
struct room {
    uint8_t *bytes;
    size_t used, size;
};

struct packing {
    /* what is known of the client */
    int mini;
    long long serial; /* of the last message */
    const uint8_t *surfaces; /* rows of words: id, format, depth, width, height */
    size_t surface_count;
    PyObject *choices; /* a tuple by bitmap format; see codecs/compiled.py */
    PyObject *own;     /* what asks the client's own dictionary, or None */
    PyObject *window;  /* of that dictionary, where it need not be asked, or None */
    const uint8_t *streamed; /* boxes on the primary surface, as in records: where streams are */
    Py_ssize_t streamed_bytes;
    long long min_encoded, max_padding, separate, small, stream_pixels, budget;
    /* what was made */
    PyObject *parts; /* a list of buffers; what is in small comes behind them */
    struct room packed;
    long long total, messages, own_pixels; /* own: that went into the window */
    struct tally sent[256]; /* by the type of image */
    /* scratch */
    struct room lz, payload, rows;
};

/* An image of the device that is no surface; the buffer is held. */
struct device_image {
    PyObject *object, *data, *encodings;
    Py_buffer pixels;
    unsigned long long id;
    size_t width, height, stride, tight; /* tight: bytes of a row without padding */
    unsigned format, flags;
    int top_down;
};

/* A payload behind an image's descriptor. */
struct payload {
    unsigned type;
    const uint8_t *bytes; /* of this many, in scratch or in held */
    size_t size;
    PyObject *held; /* what keeps them: a new reference, or NULL */
    PyObject *parts; /* or a list of buffers: a new reference */
};

/* Attributes of Python's objects, by number: their names are made once. */
enum attribute {
    DATA, DONE_, ENCODINGS, FLAGS, FORMAT, HEAD, HEIGHT, ID, IMAGE_TYPE, IMAGES, LOSSY,
    PARTS, PINNED, RECORD, RESULT, SNAPSHOT, STRIDE, SURFACE, TOP_DOWN, WIDTH, ATTRIBUTES
};

/* edge_batches.c */
PyObject *spicemig_packing_attribute(PyObject *object, enum attribute attribute);
int spicemig_packing_number(PyObject *object, enum attribute attribute, long long *number); /* 0: an exception */
int spicemig_grow(struct room *room, size_t bytes); /* have room for so many more; 0: an exception */

static inline void put_word(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)(value >> 16);
    at[3] = (uint8_t)(value >> 24);
}

static inline void count_image(struct packing *packing, unsigned type, size_t bytes)
{
    packing->sent[type & 255].images++;
    packing->sent[type & 255].bytes += bytes;
}

/*
 * edge_images.c: pack a drawable with its only image, or with none. The surface is
 * the one that the image is, or below 0. Whether the area drawn lies in a surface is
 * the caller's to know.
 */
enum outcome spicemig_pack_drawable(struct packing *packing, const struct spicemig_drawable *drawable,
                                    PyObject *image, long long surface);
/* Whether an image that is no surface is sound, has colours without a palette, and what is drawn of it. */
enum outcome spicemig_image_is_plain(const struct spicemig_drawable *drawable, PyObject *image);
/* What is packed becomes a part; 0: an exception. */
int spicemig_finish_part(struct packing *packing);

/* edge_encode.c: the payload of an image; type BITMAP (0) if no encoder helps. */
enum outcome spicemig_encode_image(struct packing *packing, const struct device_image *image,
                                   struct payload *payload);

/* edge_quic.c: all that follows the header, for the caller to free; 0 if there is no memory. */
int spicemig_quic_whole(const uint8_t *src, size_t stride, size_t width, size_t height, unsigned type,
                        int top_down, uint8_t **out, size_t *filled);

#endif
