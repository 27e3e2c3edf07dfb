// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/records.h: the records of a batch of drawables, and the beginning of their bodies.
 *
 * The layout of a record is that of devices/drawables.py: a header, a table of
 * relocations, the body of a display message; all little-endian, without gaps.
 * What is read of bodies is declared in wire/drawing.py and wire/messages/display.py.
 */
#ifndef SPICEMIG_RECORDS_H
#define SPICEMIG_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "box.h"

#define SPICEMIG_RECORD_HEADER_BYTES 32
#define SPICEMIG_RECORD_EFFECT_OFFSET 6
#define SPICEMIG_RELOCATION_BYTES 8

/* QXL_EFFECT_* of qxl_dev.h */
#define SPICEMIG_EFFECT_BLEND 0
#define SPICEMIG_EFFECT_OPAQUE 1

/* Display messages that draw. */
enum spicemig_drawing {
    SPICEMIG_COPY_BITS = 104,
    SPICEMIG_DRAW_FILL = 302,
    SPICEMIG_DRAW_OPAQUE = 303,
    SPICEMIG_DRAW_COPY = 304,
    SPICEMIG_DRAW_BLEND = 305,
    SPICEMIG_DRAW_BLACKNESS = 306,
    SPICEMIG_DRAW_WHITENESS = 307,
    SPICEMIG_DRAW_INVERS = 308,
    SPICEMIG_DRAW_ROP3 = 309,
};

static inline uint16_t spicemig_u16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t spicemig_u32_at(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline int32_t spicemig_i32_at(const uint8_t *at)
{
    return (int32_t)spicemig_u32_at(at);
}

/* A Rect: top, left, bottom, right. */
static inline struct spicemig_box spicemig_rect_at(const uint8_t *at)
{
    return (struct spicemig_box){
        .left = spicemig_i32_at(at + 4),
        .top = spicemig_i32_at(at),
        .right = spicemig_i32_at(at + 12),
        .bottom = spicemig_i32_at(at + 8),
    };
}

/* A record, opened. */
struct spicemig_record {
    uint16_t number;
    uint8_t effect, relocations;
    uint32_t surface, mm_time;
    struct spicemig_box box;
    const uint8_t *relocation; /* the table */
    const uint8_t *body;
    size_t body_bytes;
};

/* Open the record at this offset; 0 if it does not lie inside the bytes. */
static inline int spicemig_record_at(const uint8_t *records, size_t bytes, size_t offset,
                                     struct spicemig_record *record)
{
    if (offset > bytes || bytes - offset < SPICEMIG_RECORD_HEADER_BYTES)
        return 0;
    const uint8_t *at = records + offset;
    const size_t size = spicemig_u32_at(at), table = (size_t)at[7] * SPICEMIG_RELOCATION_BYTES;
    if (size > bytes - offset || size < SPICEMIG_RECORD_HEADER_BYTES + table)
        return 0;
    record->number = spicemig_u16_at(at + 4);
    record->effect = at[SPICEMIG_RECORD_EFFECT_OFFSET];
    record->relocations = at[7];
    record->surface = spicemig_u32_at(at + 8);
    record->box = spicemig_rect_at(at + 12);
    record->mm_time = spicemig_u32_at(at + 28);
    record->relocation = at + SPICEMIG_RECORD_HEADER_BYTES;
    record->body = record->relocation + table;
    record->body_bytes = size - SPICEMIG_RECORD_HEADER_BYTES - table;
    return 1;
}

/* Where in the body the pointer of this relocation stands. */
static inline uint32_t spicemig_relocation_offset(const struct spicemig_record *record, unsigned which)
{
    return spicemig_u32_at(record->relocation + which * SPICEMIG_RELOCATION_BYTES);
}

/* The place of its image in the batch; nobody has checked that there is one. */
static inline uint32_t spicemig_relocation_image(const struct spicemig_record *record, unsigned which)
{
    return spicemig_u32_at(record->relocation + which * SPICEMIG_RELOCATION_BYTES + 4);
}

/* Reads a body from its beginning. After a step beyond the end, left is 0 and is_short is set. */
struct spicemig_reader {
    const uint8_t *at;
    size_t left;
    int is_short;
};

/* The next bytes, or NULL if there are not so many. */
static inline const uint8_t *spicemig_take(struct spicemig_reader *reader, size_t bytes)
{
    if (reader->left < bytes) {
        reader->left = 0;
        reader->is_short = 1;
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += bytes;
    reader->left -= bytes;
    return at;
}

static inline unsigned spicemig_take_u8(struct spicemig_reader *reader)
{
    const uint8_t *at = spicemig_take(reader, 1);
    return at ? *at : 0;
}

static inline unsigned spicemig_take_u16(struct spicemig_reader *reader)
{
    const uint8_t *at = spicemig_take(reader, 2);
    return at ? spicemig_u16_at(at) : 0;
}

static inline uint32_t spicemig_take_u32(struct spicemig_reader *reader)
{
    const uint8_t *at = spicemig_take(reader, 4);
    return at ? spicemig_u32_at(at) : 0;
}

static inline struct spicemig_box spicemig_take_rect(struct spicemig_reader *reader)
{
    const uint8_t *at = spicemig_take(reader, 16);
    return at ? spicemig_rect_at(at) : (struct spicemig_box){0, 0, 0, 0};
}

/* DrawBase: what every drawing begins with. */
struct spicemig_draw_base {
    uint32_t surface;
    struct spicemig_box box;
    unsigned clip_type;       /* 0: not clipped; 1: to these */
    const uint8_t *rects;
    uint32_t rects_count;
};

static inline struct spicemig_draw_base spicemig_take_draw_base(struct spicemig_reader *reader)
{
    struct spicemig_draw_base base = {0};

    base.surface = spicemig_take_u32(reader);
    base.box = spicemig_take_rect(reader);
    base.clip_type = spicemig_take_u8(reader);
    if (base.clip_type == 1) {
        base.rects_count = spicemig_take_u32(reader);
        if (base.rects_count > reader->left / 16)
            reader->is_short = 1;
        base.rects = spicemig_take(reader, reader->is_short ? 0 : (size_t)base.rects_count * 16);
        if (reader->is_short)
            base.rects_count = 0;
    }
    return base;
}

#endif
