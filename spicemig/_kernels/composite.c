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

/* Never below 0. Small numbers are much faster to divide. */
static inline int64_t modulo(int64_t number, int64_t size)
{
    if (number >= INT32_MIN && number <= INT32_MAX) {
        const int32_t left = (int32_t)number % (int32_t)size;
        return left < 0 ? left + size : left;
    }
    const int64_t left = number % size;
    return left < 0 ? left + size : left;
}

/* The row or column that stands for one that may be beyond the image; -1 if nothing does. */
static inline int64_t repeated(int64_t at, int64_t size, enum spicemig_repeat repeat)
{
    if (at >= 0 && at < size)
        return at;
    switch (repeat) {
    case SPICEMIG_REPEAT_NORMAL:
        return modulo(at, size);
    case SPICEMIG_REPEAT_PAD:
        return at < 0 ? 0 : size - 1;
    case SPICEMIG_REPEAT_REFLECT:
        at = modulo(at, 2 * size);
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

static void fetch_solid(uint8_t *restrict to, size_t count, const struct spicemig_sampled *from)
{
    const uint32_t same = pixel(from, 0, 0);

    for (size_t index = 0; index < count; index++)
        spicemig_store(to + 4 * index, same);
}

static void copy_run(uint8_t *restrict to, const uint8_t *restrict from, size_t count, uint32_t opaque)
{
    for (size_t index = 0; index < count; index++)
        spicemig_store(to + 4 * index, spicemig_load(from + 4 * index) | opaque);
}

/* A row of the image itself, neither moved by fractions nor turned. */
static void fetch_plain(uint8_t *restrict to, size_t count, const struct spicemig_sampled *from, int64_t col,
                        int64_t row)
{
    const int64_t width = from->image.width, y = repeated(from->y + row, from->image.height, from->repeat);
    const int64_t x = from->x + col;
    size_t done = 0;

    if (y < 0) {
        memset(to, 0, 4 * count);
        return;
    }
    const uint8_t *line = from->image.pixels + (ptrdiff_t)y * from->image.stride;
    while (done < count) {
        const int64_t at = repeated(x + (int64_t)done, width, from->repeat);
        const int ahead = at >= 0 && (at == x + (int64_t)done || from->repeat == SPICEMIG_REPEAT_NORMAL);
        size_t together = 1;
        if (ahead)
            together = (size_t)(width - at) < count - done ? (size_t)(width - at) : count - done;
        if (at < 0)
            memset(to + 4 * done, 0, 4);
        else
            copy_run(to + 4 * done, line + 4 * at, together, from->image.opaque);
        done += together;
    }
}

static void nearest_each(uint8_t *restrict to, size_t first, size_t end, const struct spicemig_sampled *from,
                         struct places at)
{
    at.x += (int64_t)first * at.step_x;
    at.y += (int64_t)first * at.step_y;
    for (size_t index = first; index < end; index++) {
        spicemig_store(to + 4 * index, pixel(from, at.x >> 16, at.y >> 16));
        at.x += at.step_x;
        at.y += at.step_y;
    }
}

static void fetch_nearest(uint8_t *restrict to, size_t count, const struct spicemig_sampled *from,
                          struct places at)
{
    struct spicemig_inside inside = {0, 0};
    const int64_t row = repeated((at.y - 1) >> 16, from->image.height, from->repeat);

    at.x -= 1; /* exactly between two is in the first one */
    at.y -= 1;
    if (at.step_y == 0 && at.step_x >= 0 && row >= 0)
        inside = spicemig_inside(at.x, at.step_x, count, from->image.width, 0);
    nearest_each(to, 0, inside.first, from, at);
    if (inside.first < inside.end) {
        const uint8_t *line = from->image.pixels + (ptrdiff_t)row * from->image.stride;
        int64_t x = at.x + (int64_t)inside.first * at.step_x;
        for (size_t index = inside.first; index < inside.end; index++, x += at.step_x)
            spicemig_store(to + 4 * index, spicemig_load(line + 4 * (x >> 16)) | from->image.opaque);
    }
    nearest_each(to, inside.end, count, from, at);
}

static inline uint64_t lanes_at(const struct spicemig_sampled *from, int64_t col, int64_t row)
{
    if (col < 0 || row < 0)
        return 0;
    const uint8_t *at = from->image.pixels + (ptrdiff_t)row * from->image.stride + 4 * col;
    return spicemig_lanes(spicemig_load(at) | from->image.opaque);
}

static void bilinear_each(uint8_t *restrict to, size_t first, size_t end, const struct spicemig_sampled *from,
                          struct places at)
{
    const int64_t width = from->image.width, height = from->image.height;

    at.x += (int64_t)first * at.step_x;
    at.y += (int64_t)first * at.step_y;
    for (size_t index = first; index < end; index++) {
        const int64_t left = repeated(at.x >> 16, width, from->repeat);
        const int64_t right = repeated((at.x >> 16) + 1, width, from->repeat);
        const int64_t above = repeated(at.y >> 16, height, from->repeat);
        const int64_t below = repeated((at.y >> 16) + 1, height, from->repeat);
        const uint64_t down = spicemig_weight(at.y), rest = SPICEMIG_WHOLE - down;
        const uint64_t one = lanes_at(from, left, above) * rest + lanes_at(from, left, below) * down;
        const uint64_t other = lanes_at(from, right, above) * rest + lanes_at(from, right, below) * down;
        spicemig_store(to + 4 * index, spicemig_between(one, other, spicemig_weight(at.x)));
        at.x += at.step_x;
        at.y += at.step_y;
    }
}

static void fetch_bilinear(uint8_t *restrict to, size_t count, const struct spicemig_sampled *from,
                           struct places at)
{
    struct spicemig_inside inside = {0, 0};

    at.x -= HALF;
    at.y -= HALF;
    const int64_t above = repeated(at.y >> 16, from->image.height, from->repeat);
    const int64_t below = repeated((at.y >> 16) + 1, from->image.height, from->repeat);
    if (at.step_y == 0 && at.step_x >= 0 && above >= 0 && below >= 0)
        inside = spicemig_inside(at.x, at.step_x, count, from->image.width, 1);
    bilinear_each(to, 0, inside.first, from, at);
    if (inside.first < inside.end) {
        const uint64_t weight = spicemig_weight(at.y);
        const struct spicemig_row_pair rows = {
            .above = from->image.pixels + (ptrdiff_t)above * from->image.stride,
            .below = from->image.pixels + (ptrdiff_t)below * from->image.stride,
            .weight_above = SPICEMIG_WHOLE - weight,
            .weight_below = weight,
        };
        spicemig_interpolate(to + 4 * inside.first, inside.end - inside.first, &rows,
                             at.x + (int64_t)inside.first * at.step_x, at.step_x, from->image.opaque);
    }
    bilinear_each(to, inside.end, count, from, at);
}

static void fetch(uint8_t *restrict to, size_t count, const struct spicemig_sampled *from, int64_t col, int64_t row)
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

/* The same pixels where they are, if they need not be changed; else NULL. */
static const uint8_t *in_place(size_t count, const struct spicemig_sampled *from, int64_t col, int64_t row)
{
    const int64_t x = from->x + col, y = from->y + row;

    if (!is_plain(from) || from->image.opaque != 0 || x < 0 || y < 0 || y >= from->image.height ||
        x + (int64_t)count > from->image.width)
        return NULL;
    return from->image.pixels + (ptrdiff_t)y * from->image.stride + 4 * x;
}

/* How many bits red and blue have beside a green of so many. */
static inline unsigned other_bits(unsigned green_bits)
{
    return green_bits == 8 ? 8 : 5;
}

/* A byte of which only the upper bits count. */
static inline float as_fraction(uint32_t byte, unsigned bits)
{
    return (float)(byte >> (8 - bits)) * (1.0f / (float)((1u << bits) - 1));
}

static inline struct spicemig_colour as_fractions(uint32_t pixel, unsigned green_bits)
{
    const struct spicemig_colour colour = {
        .alpha = as_fraction(pixel >> 24, 8),
        .red = as_fraction(pixel >> 16 & 255, other_bits(green_bits)),
        .green = as_fraction(pixel >> 8 & 255, green_bits),
        .blue = as_fraction(pixel & 255, other_bits(green_bits)),
    };
    return colour;
}

/* Of the equal steps between 0 and 1, the last one has no number of its own. Few bits come again below. */
static inline uint32_t as_byte(float fraction, unsigned bits)
{
    const uint32_t all = 1u << bits;
    const uint32_t steps = fraction > 1 ? all : fraction > 0 ? (uint32_t)(fraction * (float)all) : 0;
    const uint32_t value = steps - (steps >> bits);
    return value << (8 - bits) | value >> (2 * bits - 8);
}

static inline uint32_t as_pixel(struct spicemig_colour colour, unsigned green_bits)
{
    return as_byte(colour.alpha, 8) << 24 | as_byte(colour.red, other_bits(green_bits)) << 16 |
           as_byte(colour.green, green_bits) << 8 | as_byte(colour.blue, other_bits(green_bits));
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
        as_fractions(pixel(from, col, row), from->green_bits),
        as_fractions(pixel(from, col + 1, row), from->green_bits),
        as_fractions(pixel(from, col, row + 1), from->green_bits),
        as_fractions(pixel(from, col + 1, row + 1), from->green_bits),
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
    uint8_t pixels[4 * RUN];
    fetch(pixels, count, from, col, row);
    for (size_t index = 0; index < count; index++)
        to[index] = as_fractions(spicemig_load(pixels + 4 * index), from->green_bits);
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
    unsigned green_bits;    /* at dst */
    uint32_t opaque;        /* or'ed to what is read at dst, and not written */
    const uint8_t *uniform; /* what a mask of one pixel has for every run; else NULL */
};

static void combine_run(const struct run *run, struct spicemig_operator operator, const struct spicemig_sampled *source,
                        const struct spicemig_sampled *mask, int by_parts)
{
    uint8_t pixels[4 * RUN], covered[4 * RUN], result[4 * RUN];
    const uint8_t *src = in_place(run->count, source, run->col, run->row), *through = NULL;

    if (src == NULL) {
        fetch(pixels, run->count, source, run->col, run->row);
        src = pixels;
    }
    if (mask != NULL)
        through = run->uniform != NULL ? run->uniform : in_place(run->count, mask, run->col, run->row);
    if (mask != NULL && through == NULL) {
        fetch(covered, run->count, mask, run->col, run->row);
        through = covered;
    }
    if (run->opaque == 0) {
        operator.combine(run->dst, src, through, by_parts, run->count);
        return;
    }
    copy_run(result, run->dst, run->count, run->opaque);
    operator.combine(result, src, through, by_parts, run->count);
    for (size_t index = 0; index < run->count; index++)
        spicemig_store(run->dst + 4 * index, spicemig_load(result + 4 * index) & ~run->opaque);
}

static void combine_run_of_fractions(const struct run *run, struct spicemig_operator operator,
                                     const struct spicemig_sampled *source, const struct spicemig_sampled *mask,
                                     int by_parts)
{
    struct spicemig_colour colours[RUN], covered[RUN], result[RUN];

    for (size_t index = 0; index < run->count; index++)
        result[index] = as_fractions(spicemig_load(run->dst + 4 * index) | run->opaque, run->green_bits);
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
        spicemig_store(run->dst + 4 * index, as_pixel(result[index], run->green_bits) & ~run->opaque);
}

/* Operators that need not know whether dst is opaque: pixman combines them with its fourth byte as it is. */
static int leaves_alpha_alone(unsigned number)
{
    return number == 0 || number == 1 || number == 3 || number == 6 || number == 8 || number == 12;
}

void spicemig_composite(uint8_t *dst, ptrdiff_t dst_stride, size_t rows, size_t cols, int dst_has_alpha,
                        unsigned dst_green_bits, unsigned number, const struct spicemig_sampled *source,
                        const struct spicemig_sampled *mask, int by_parts)
{
    const struct spicemig_operator operator = spicemig_operator_of(number);
    const int raw = dst_has_alpha || leaves_alpha_alone(number);

    const int is_uniform = mask != NULL && is_solid(mask);
    uint8_t uniform[4 * RUN];

    if (operator.combine == NULL && operator.combine_fractions == NULL)
        return;
    if (is_uniform)
        fetch_solid(uniform, RUN, mask);
    for (size_t row = 0; row < rows; row++)
        for (size_t col = 0; col < cols; col += RUN) {
            const struct run run = {
                .dst = dst + (ptrdiff_t)row * dst_stride + 4 * col,
                .count = cols - col < RUN ? cols - col : RUN,
                .col = (int64_t)col,
                .row = (int64_t)row,
                .green_bits = dst_green_bits,
                .opaque = raw ? 0 : OPAQUE,
                .uniform = is_uniform ? uniform : NULL,
            };
            if (operator.combine != NULL)
                combine_run(&run, operator, source, mask, by_parts);
            else
                combine_run_of_fractions(&run, operator, source, mask, by_parts);
        }
}
