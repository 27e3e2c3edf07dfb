// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/composite.c: images combined with a surface through a mask. */
#include "composite.h"

#include <string.h>

#include "combine.h"
#include "interpolate.h"
#include "rop.h"

#define ONE 0x10000
#define HALF 0x8000
#define RUN 256 /* pixels that are combined at a time */
#define OPAQUE UINT32_C(0xff000000)

/* Where in an image a run of pixels lies: the first, and the steps to the next; 16.16. */
struct places {
    int64_t x, y, step_x, step_y;
};

static int is_plain(const struct spicemig_sampled *from)
{
    static const int32_t identity[6] = {ONE, 0, 0, 0, ONE, 0};
    return memcmp(from->matrix, identity, sizeof identity) == 0;
}

/* One pixel everywhere: nothing is calculated for it. */
static int is_solid(const struct spicemig_sampled *from)
{
    return from->image.width == 1 && from->image.height == 1 && from->repeat != SPICEMIG_REPEAT_NONE;
}

static struct places places_of(const struct spicemig_sampled *from, int64_t col, int64_t row)
{
    const int32_t *m = from->matrix;
    const int64_t x = from->x + col, y = from->y + row;
    struct places places = { /* half a pixel is added to both, and the result rounded */
        .x = m[0] * x + m[1] * y + m[2] + (((int64_t)m[0] + m[1] + 1) >> 1),
        .y = m[3] * x + m[4] * y + m[5] + (((int64_t)m[3] + m[4] + 1) >> 1),
        .step_x = m[0],
        .step_y = m[3],
    };
    return places;
}

/* The row or column that stands for one that may be beyond the image; -1 if nothing does. */
static inline int64_t repeated(int64_t at, int64_t size, enum spicemig_repeat repeat)
{
    if (at >= 0 && at < size)
        return at;
    switch (repeat) {
    case SPICEMIG_REPEAT_NORMAL:
        at %= size;
        return at < 0 ? at + size : at;
    case SPICEMIG_REPEAT_PAD:
        return at < 0 ? 0 : size - 1;
    case SPICEMIG_REPEAT_REFLECT:
        at %= 2 * size;
        if (at < 0)
            at += 2 * size;
        return at < size ? at : 2 * size - 1 - at;
    default:
        return -1;
    }
}

static inline uint32_t pixel(const struct spicemig_sampled *from, int64_t col, int64_t row)
{
    col = repeated(col, from->image.width, from->repeat);
    row = repeated(row, from->image.height, from->repeat);
    if (col < 0 || row < 0)
        return 0;
    return spicemig_load(from->image.pixels + (ptrdiff_t)row * from->image.stride + 4 * col) | from->image.opaque;
}

static void fetch_solid(uint32_t *restrict to, size_t count, const struct spicemig_sampled *from)
{
    const uint32_t same = pixel(from, 0, 0);

    for (size_t index = 0; index < count; index++)
        to[index] = same;
}

/* A row of the image itself, neither moved by fractions nor turned. */
static void fetch_plain(uint32_t *restrict to, size_t count, const struct spicemig_sampled *from, int64_t col,
                        int64_t row)
{
    const int64_t width = from->image.width, y = repeated(from->y + row, from->image.height, from->repeat);
    const int64_t x = from->x + col;
    const uint8_t *line = from->image.pixels + (ptrdiff_t)(y < 0 ? 0 : y) * from->image.stride;
    size_t done = 0;

    if (y < 0) {
        memset(to, 0, 4 * count);
        return;
    }
    while (done < count) {
        const int64_t at = repeated(x + (int64_t)done, width, from->repeat);
        if (at < 0) {
            to[done++] = 0;
            continue;
        }
        if (x + (int64_t)done >= 0 && from->repeat != SPICEMIG_REPEAT_REFLECT) {
            size_t together = (size_t)(width - at);
            if (together > count - done)
                together = count - done;
            for (size_t index = 0; index < together; index++)
                to[done + index] = spicemig_load(line + 4 * ((size_t)at + index)) | from->image.opaque;
            done += together;
            continue;
        }
        to[done++] = spicemig_load(line + 4 * at) | from->image.opaque;
    }
}

static void fetch_nearest(uint32_t *restrict to, size_t count, const struct spicemig_sampled *from,
                          struct places at)
{
    for (size_t index = 0; index < count; index++) {
        to[index] = pixel(from, (at.x - 1) >> 16, (at.y - 1) >> 16);
        at.x += at.step_x;
        at.y += at.step_y;
    }
}

static void fetch_bilinear(uint32_t *restrict to, size_t count, const struct spicemig_sampled *from,
                           struct places at)
{
    for (size_t index = 0; index < count; index++) {
        const int64_t x = at.x - HALF, y = at.y - HALF, col = x >> 16, row = y >> 16;
        const uint64_t down = spicemig_weight(y), rest = SPICEMIG_WHOLE - down;
        const uint64_t left = spicemig_lanes(pixel(from, col, row)) * rest +
                              spicemig_lanes(pixel(from, col, row + 1)) * down;
        const uint64_t right = spicemig_lanes(pixel(from, col + 1, row)) * rest +
                               spicemig_lanes(pixel(from, col + 1, row + 1)) * down;
        to[index] = spicemig_between(left, right, spicemig_weight(x));
        at.x += at.step_x;
        at.y += at.step_y;
    }
}

static void fetch(uint32_t *restrict to, size_t count, const struct spicemig_sampled *from, int64_t col, int64_t row)
{
    if (is_solid(from))
        fetch_solid(to, count, from);
    else if (is_plain(from))
        fetch_plain(to, count, from, col, row);
    else if (from->bilinear)
        fetch_bilinear(to, count, from, places_of(from, col, row));
    else
        fetch_nearest(to, count, from, places_of(from, col, row));
}

static inline struct spicemig_colour as_fractions(uint32_t pixel)
{
    const float part = 1.0f / 255;
    const struct spicemig_colour colour = {
        .alpha = (float)(pixel >> 24) * part,
        .red = (float)(pixel >> 16 & 255) * part,
        .green = (float)(pixel >> 8 & 255) * part,
        .blue = (float)(pixel & 255) * part,
    };
    return colour;
}

/* Of 256 equal steps between 0 and 1, the last one has no number of its own. */
static inline uint32_t as_byte(float fraction)
{
    const uint32_t steps = fraction > 1 ? 256 : fraction > 0 ? (uint32_t)(fraction * 256) : 0;
    return steps - (steps >> 8);
}

static inline uint32_t as_pixel(struct spicemig_colour colour)
{
    return as_byte(colour.alpha) << 24 | as_byte(colour.red) << 16 | as_byte(colour.green) << 8 |
           as_byte(colour.blue);
}

static inline float weighted(const float parts[4], const float weights[4])
{
    return parts[0] * weights[0] + parts[1] * weights[1] + parts[2] * weights[2] + parts[3] * weights[3];
}

/* Unlike between bytes, weights between fractions have 16 bits. */
static struct spicemig_colour between_fractions(const struct spicemig_sampled *from, int64_t x, int64_t y)
{
    const int64_t col = x >> 16, row = y >> 16;
    const float across = (float)(x & (ONE - 1)) / ONE, down = (float)(y & (ONE - 1)) / ONE;
    const float weights[4] = {
        (1 - across) * (1 - down),
        across * (1 - down),
        (1 - across) * down,
        across * down,
    };
    const struct spicemig_colour corners[4] = {
        as_fractions(pixel(from, col, row)),
        as_fractions(pixel(from, col + 1, row)),
        as_fractions(pixel(from, col, row + 1)),
        as_fractions(pixel(from, col + 1, row + 1)),
    };
    float parts[4][4];

    for (int corner = 0; corner < 4; corner++) {
        parts[0][corner] = corners[corner].alpha;
        parts[1][corner] = corners[corner].red;
        parts[2][corner] = corners[corner].green;
        parts[3][corner] = corners[corner].blue;
    }
    const struct spicemig_colour colour = {
        .alpha = weighted(parts[0], weights),
        .red = weighted(parts[1], weights),
        .green = weighted(parts[2], weights),
        .blue = weighted(parts[3], weights),
    };
    return colour;
}

static void fetch_fractions(struct spicemig_colour *restrict to, size_t count, const struct spicemig_sampled *from,
                            int64_t col, int64_t row)
{
    if (from->bilinear && !is_plain(from) && !is_solid(from)) {
        struct places at = places_of(from, col, row);
        for (size_t index = 0; index < count; index++) {
            to[index] = between_fractions(from, at.x - HALF, at.y - HALF);
            at.x += at.step_x;
            at.y += at.step_y;
        }
        return;
    }
    uint32_t pixels[RUN];
    fetch(pixels, count, from, col, row);
    for (size_t index = 0; index < count; index++)
        to[index] = as_fractions(pixels[index]);
}

/* What is masked out need not be read; pixman's hue and its like show whether it was. */
static void leave_out(struct spicemig_colour *restrict colours, const struct spicemig_colour *restrict mask,
                      size_t count)
{
    static const struct spicemig_colour none;

    for (size_t index = 0; index < count; index++)
        if (mask[index].alpha + mask[index].red + mask[index].green + mask[index].blue == 0)
            colours[index] = none;
}

/* A run of at most RUN pixels, all in one row. */
struct run {
    uint8_t *dst;
    size_t count;
    int64_t col, row;
    uint32_t opaque; /* or'ed to what is read at dst */
    uint32_t kept;   /* the bits that are written of a result */
};

static void combine_run(const struct run *run, struct spicemig_operator operator, const struct spicemig_sampled *source,
                        const struct spicemig_sampled *mask, int by_parts)
{
    uint32_t pixels[RUN], covered[RUN], result[RUN];

    for (size_t index = 0; index < run->count; index++)
        result[index] = spicemig_load(run->dst + 4 * index) | run->opaque;
    fetch(pixels, run->count, source, run->col, run->row);
    if (mask != NULL)
        fetch(covered, run->count, mask, run->col, run->row);
    if (mask != NULL && by_parts) {
        operator.combine_parts(result, pixels, covered, run->count);
    } else {
        if (mask != NULL)
            spicemig_mask(pixels, covered, run->count);
        operator.combine(result, pixels, run->count);
    }
    for (size_t index = 0; index < run->count; index++)
        spicemig_store(run->dst + 4 * index, result[index] & run->kept);
}

static void combine_run_of_fractions(const struct run *run, struct spicemig_operator operator,
                                     const struct spicemig_sampled *source, const struct spicemig_sampled *mask,
                                     int by_parts)
{
    struct spicemig_colour colours[RUN], covered[RUN], result[RUN];

    for (size_t index = 0; index < run->count; index++)
        result[index] = as_fractions(spicemig_load(run->dst + 4 * index) | run->opaque);
    fetch_fractions(colours, run->count, source, run->col, run->row);
    if (mask != NULL) {
        fetch_fractions(covered, run->count, mask, run->col, run->row);
        if (!is_solid(source) && !(is_plain(source) && source->repeat <= SPICEMIG_REPEAT_NORMAL))
            leave_out(colours, covered, run->count);
    }
    if (mask != NULL && by_parts)
        operator.combine_parts_fractions(result, colours, covered, run->count);
    else
        operator.combine_fractions(result, colours, mask == NULL ? NULL : covered, run->count);
    for (size_t index = 0; index < run->count; index++)
        spicemig_store(run->dst + 4 * index, as_pixel(result[index]) & run->kept);
}

/* Operators that need not know whether dst is opaque: pixman combines them with its fourth byte as it is. */
static int leaves_alpha_alone(unsigned number)
{
    return number == 0 || number == 1 || number == 3 || number == 6 || number == 8 || number == 12;
}

void spicemig_composite(uint8_t *dst, ptrdiff_t dst_stride, size_t rows, size_t cols, int dst_has_alpha,
                        unsigned number, const struct spicemig_sampled *source,
                        const struct spicemig_sampled *mask, int by_parts)
{
    const struct spicemig_operator operator = spicemig_operator_of(number);
    const int raw = dst_has_alpha || leaves_alpha_alone(number);

    if (operator.combine == NULL && operator.combine_fractions == NULL)
        return;
    for (size_t row = 0; row < rows; row++)
        for (size_t col = 0; col < cols; col += RUN) {
            const struct run run = {
                .dst = dst + (ptrdiff_t)row * dst_stride + 4 * col,
                .count = cols - col < RUN ? cols - col : RUN,
                .col = (int64_t)col,
                .row = (int64_t)row,
                .opaque = raw ? 0 : OPAQUE,
                .kept = raw ? UINT32_MAX : ~OPAQUE,
            };
            if (operator.combine != NULL)
                combine_run(&run, operator, source, mask, by_parts);
            else
                combine_run_of_fractions(&run, operator, source, mask, by_parts);
        }
}
