// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * tests/native/kernels_driver.c: random cases for the kernels, to be run under sanitizers.
 *
 * Every buffer is allocated to the byte, so that a step beyond it is seen, and
 * every result is compared with the plainest way to compute it. Prints the case
 * that differed and returns 1, or returns 0. Arguments: seed, number of cases.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "composite.h"
#include "convert.h"
#include "copy.h"
#include "curves.h"
#include "copy_keyed.h"
#include "cull.h"
#include "dashes.h"
#include "dice.h"
#include "drawables.h"
#include "drawing.h"
#include "fill.h"
#include "glyphs.h"
#include "glz.h"
#include "gradual.h"
#include "lines.h"
#include "lz.h"
#include "regions.h"
#include "scale.h"
#include "scan.h"
#include "settle.h"
#include "sketch.h"
#include "tile.h"

static uint8_t combined(unsigned rop, uint8_t src, uint8_t dst)
{
    uint8_t result = 0;
    for (int bit = 0; bit < 8; bit++) {
        const unsigned row = 2 * ((src >> bit) & 1u) + ((dst >> bit) & 1u);
        result = (uint8_t)(result | (((rop >> row) & 1u) << bit));
    }
    return result;
}

static int fill_case(void)
{
    const size_t rows = roll(9), cols = roll(40), gap = roll(9);
    const size_t stride = 4 * cols + gap, size = rows ? (rows - 1) * stride + 4 * cols : 0;
    const unsigned rop = roll(3) ? roll(16) : SPICEMIG_ROP_PUT;
    const uint32_t value = roll(65536) * 65536u + roll(65536);
    uint8_t *pixels = random_bytes(size), *expected = copy_of(pixels, size);
    uint8_t colour[4];

    memcpy(colour, &value, 4);
    for (size_t row = 0; row < rows; row++)
        for (size_t byte = 0; byte < 4 * cols; byte++) {
            uint8_t *at = expected + row * stride + byte;
            *at = combined(rop, colour[byte % 4], *at);
        }
    spicemig_fill_rect(pixels, (ptrdiff_t)stride, rows, cols, value, rop);
    const int same = memcmp(pixels, expected, size) == 0;
    free(pixels);
    free(expected);
    return same;
}

static int copy_case(void)
{
    const size_t rows = roll(9), cols = roll(40);
    const size_t to_stride = 4 * cols + roll(9), from_stride = 4 * cols + roll(9);
    const size_t to_size = rows ? (rows - 1) * to_stride + 4 * cols : 0;
    const size_t from_size = rows ? (rows - 1) * from_stride + 4 * cols : 0;
    const unsigned rop = roll(3) ? roll(16) : SPICEMIG_ROP_PUT;
    const int bottom_up = rows && roll(2);
    uint8_t *dst = random_bytes(to_size), *src = random_bytes(from_size);
    uint8_t *expected = copy_of(dst, to_size);

    for (size_t row = 0; row < rows; row++)
        for (size_t byte = 0; byte < 4 * cols; byte++) {
            uint8_t *at = expected + row * to_stride + byte;
            *at = combined(rop, src[(bottom_up ? rows - 1 - row : row) * from_stride + byte], *at);
        }
    spicemig_copy_rect(dst, (ptrdiff_t)to_stride, bottom_up ? src + (rows - 1) * from_stride : src,
                       bottom_up ? -(ptrdiff_t)from_stride : (ptrdiff_t)from_stride, rows, cols, rop);
    const int same = memcmp(dst, expected, to_size) == 0;
    free(dst);
    free(src);
    free(expected);
    return same;
}

static int move_case(void)
{
    const size_t width = 1 + roll(24), height = 1 + roll(12), stride = 4 * width;
    const size_t cols = 1 + roll((unsigned)width), rows = 1 + roll((unsigned)height);
    const size_t left = roll((unsigned)(width - cols + 1)), top = roll((unsigned)(height - rows + 1));
    const size_t src_left = roll((unsigned)(width - cols + 1)), src_top = roll((unsigned)(height - rows + 1));
    uint8_t *pixels = random_bytes(stride * height);
    uint8_t *before = copy_of(pixels, stride * height), *expected = copy_of(pixels, stride * height);

    for (size_t row = 0; row < rows; row++)
        memcpy(expected + (top + row) * stride + 4 * left, before + (src_top + row) * stride + 4 * src_left,
               4 * cols);
    spicemig_move_rect(pixels + top * stride + 4 * left, pixels + src_top * stride + 4 * src_left,
                       (ptrdiff_t)stride, rows, cols);
    const int same = memcmp(pixels, expected, stride * height) == 0;
    free(pixels);
    free(before);
    free(expected);
    return same;
}

/* A tile of random pixels, its rows far apart; the caller frees what it returns. */
static uint8_t *random_tile(struct spicemig_tile *tile)
{
    tile->width = 1 + (roll(4) ? roll(9) : roll(300));
    tile->height = 1 + roll(9);
    tile->stride = (ptrdiff_t)(4 * tile->width + roll(9));
    tile->x = roll((unsigned)tile->width);
    tile->y = roll((unsigned)tile->height);
    uint8_t *pixels = random_bytes((tile->height - 1) * (size_t)tile->stride + 4 * tile->width);
    tile->pixels = pixels;
    return pixels;
}

static uint8_t tile_byte(const struct spicemig_tile *tile, size_t row, size_t byte)
{
    const size_t y = (tile->y + row) % tile->height, x = (tile->x + byte / 4) % tile->width;
    return tile->pixels[y * (size_t)tile->stride + 4 * x + byte % 4];
}

static int tile_case(void)
{
    const size_t rows = roll(12), cols = roll(400), stride = 4 * cols + roll(9);
    const size_t size = rows ? (rows - 1) * stride + 4 * cols : 0;
    const unsigned rop = roll(3) ? roll(16) : SPICEMIG_ROP_PUT;
    struct spicemig_tile tile;
    uint8_t *painted = random_tile(&tile);
    uint8_t *pixels = random_bytes(size), *expected = copy_of(pixels, size);

    for (size_t row = 0; row < rows; row++)
        for (size_t byte = 0; byte < 4 * cols; byte++) {
            uint8_t *at = expected + row * stride + byte;
            *at = combined(rop, tile_byte(&tile, row, byte), *at);
        }
    spicemig_tile_rect(pixels, (ptrdiff_t)stride, rows, cols, tile, rop);
    const int same = memcmp(pixels, expected, size) == 0;
    free(painted);
    free(pixels);
    free(expected);
    return same;
}

static int rop3_case(void)
{
    const size_t rows = roll(9), cols = roll(300);
    const size_t to_stride = 4 * cols + roll(9), from_stride = 4 * cols + roll(9);
    const size_t to_size = rows ? (rows - 1) * to_stride + 4 * cols : 0;
    const size_t from_size = rows ? (rows - 1) * from_stride + 4 * cols : 0;
    const unsigned code = roll(256);
    struct spicemig_tile tile;
    uint8_t *painted = random_tile(&tile);
    uint8_t *dst = random_bytes(to_size), *src = random_bytes(from_size);
    uint8_t *expected = copy_of(dst, to_size);

    for (size_t row = 0; row < rows; row++)
        for (size_t byte = 0; byte < 4 * cols; byte++) {
            const uint8_t t = tile_byte(&tile, row, byte), s = src[row * from_stride + byte];
            uint8_t *at = expected + row * to_stride + byte;
            *at = (uint8_t)((combined(code >> 4, s, *at) & t) | (combined(code & 15, s, *at) & ~t));
        }
    spicemig_rop3_rect(dst, (ptrdiff_t)to_stride, src, (ptrdiff_t)from_stride, rows, cols, tile, code);
    const int same = memcmp(dst, expected, to_size) == 0;
    free(painted);
    free(dst);
    free(src);
    free(expected);
    return same;
}

/* That nothing outside is touched, and that a second time changes nothing. */
static int settle_case(void)
{
    static const unsigned formats[] = {1, 8, 16, 32, 80, 96};
    const size_t rows = roll(9), cols = roll(40), stride = 4 * cols + roll(9);
    const size_t size = rows ? (rows - 1) * stride + 4 * cols : 0;
    const unsigned format = formats[roll(6)];
    uint8_t *pixels = random_bytes(size);

    spicemig_settle_rect(pixels, (ptrdiff_t)stride, rows, cols, format);
    uint8_t *once = copy_of(pixels, size);
    spicemig_settle_rect(pixels, (ptrdiff_t)stride, rows, cols, format);
    const int same = memcmp(pixels, once, size) == 0;
    free(pixels);
    free(once);
    return same;
}

/* Only that nothing outside is touched: what is written is compared with the Python twin elsewhere. */
static int convert_case(void)
{
    const unsigned format = 1 + roll(10);
    const size_t rows = roll(9), cols = roll(40), entries = roll(300);
    const size_t stride = spicemig_row_bytes(format, cols) + roll(5);
    const size_t size = rows ? (rows - 1) * stride + spicemig_row_bytes(format, cols) : 0;
    const int bottom_up = rows && roll(2);
    uint8_t *src = random_bytes(size), *palette = random_bytes(4 * entries);
    uint8_t *dst = random_bytes(4 * rows * cols);

    spicemig_convert_rows(dst, (ptrdiff_t)(4 * cols), bottom_up ? src + (rows - 1) * stride : src,
                          bottom_up ? -(ptrdiff_t)stride : (ptrdiff_t)stride, rows, cols, format, palette,
                          entries);
    free(src);
    free(palette);
    free(dst);
    return 1;
}

/* A list of boxes in bands on a canvas; returns how many. */
static size_t bands_of(struct spicemig_box *boxes, size_t room, int32_t width, int32_t height)
{
    size_t count = 0;

    for (int32_t top = (int32_t)roll(4); top < height;) {
        int32_t bottom = top + 1 + (int32_t)roll((unsigned)(height - top));
        for (int32_t left = (int32_t)roll(4); left < width && count < room;) {
            const int32_t right = left + 1 + (int32_t)roll((unsigned)(width - left));
            boxes[count++] = (struct spicemig_box){left, top, right, bottom};
            left = right + 1 + (int32_t)roll(5);
        }
        top = bottom + (int32_t)roll(3);
    }
    return count;
}

/* That nothing outside the boxes is touched, whatever the points, and with no room to spare. */
static int path_case(int dashed)
{
    const int32_t width = 1 + (int32_t)roll(60), height = 1 + (int32_t)roll(40);
    const size_t stride = 4 * (size_t)width + roll(9), size = (size_t)(height - 1) * stride + 4 * (size_t)width;
    const size_t point_count = roll(6), larger = (size_t)(width > height ? width : height);
    const uint32_t reach = roll(3) ? 100 : dashed ? 3000 : 1u << 28;
    uint8_t *pixels = random_bytes(size), *before = copy_of(pixels, size), *tile = random_bytes(4 * 5 * 3);
    uint8_t *lengths = random_bytes(4);
    struct spicemig_box *boxes = malloc(16 * sizeof *boxes);
    struct spicemig_point *points = malloc(6 * sizeof *points);
    struct spicemig_canvas canvas = {
        .pixels = pixels,
        .stride = (ptrdiff_t)stride,
        .width = width,
        .height = height,
        .boxes = boxes,
        .tile = {tile, 20, 5, 3, roll(5), roll(3)},
        .rop = roll(16),
    };
    int same = 1;

    if (boxes == NULL || points == NULL)
        abort();
    canvas.box_count = bands_of(boxes, 16, width, height);
    for (size_t index = 0; index < point_count; index++)
        points[index] = (struct spicemig_point){(int32_t)roll(2 * reach + 1) - (int32_t)reach,
                                                (int32_t)roll(2 * reach + 1) - (int32_t)reach};
    if (point_count > 2 && roll(2))
        points[point_count - 1] = points[0];
    lengths[0] |= 1;
    struct spicemig_dashes dashes = {lengths, 1 + roll(4), roll(300)};
    size_t room = dashed ? SPICEMIG_DASH_ROWS + canvas.box_count : larger + canvas.box_count;
    for (size_t needed = room; needed;) {
        room = needed;
        struct spicemig_span *spans = malloc(room * sizeof *spans);
        if (spans == NULL)
            abort();
        if (dashed)
            needed = spicemig_draw_dashes(&canvas, points, point_count, dashes, spans, room);
        else
            spicemig_draw_lines(&canvas, points, point_count, spans);
        free(spans);
        if (!dashed || needed <= room)
            needed = 0;
    }
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            int inside = 0;
            for (size_t index = 0; index < canvas.box_count; index++)
                inside |= x >= boxes[index].left && x < boxes[index].right && y >= boxes[index].top &&
                          y < boxes[index].bottom;
            const size_t at = (size_t)y * stride + 4 * (size_t)x;
            same &= inside || memcmp(pixels + at, before + at, 4) == 0;
        }
    free(pixels);
    free(before);
    free(tile);
    free(lengths);
    free(boxes);
    free(points);
    return same;
}

static int line_case(void)
{
    return path_case(0);
}

static int dash_case(void)
{
    return path_case(1);
}

/* The last point of a curve is its end; with less room there are as many. */
static int curve_case(void)
{
    const uint32_t reach = roll(20) ? 1u << roll(15) : 1u << 31;
    const size_t room = roll(40);
    struct spicemig_fixed curve[4];
    struct spicemig_point *points = malloc((room + 1) * sizeof *points);

    if (points == NULL)
        abort();
    for (int index = 0; index < 4; index++)
        curve[index] = (struct spicemig_fixed){(int64_t)roll(reach) - (int64_t)roll(reach),
                                               (int64_t)roll(reach) - (int64_t)roll(reach)};
    const size_t count = spicemig_curve_points(curve, points, room);
    const int64_t end = (curve[3].x >> 4) + ((curve[3].x & 15) > 8);
    const int same = count == 0 ? reach > 1u << 20 : count > room || points[count - 1].x == end;
    free(points);
    return same;
}

/* Pixels that a mask does not cover stay as they are; those that it covers fully get an opaque colour. */
static int glyph_case(void)
{
    static const unsigned depths[] = {1, 4, 8};
    const size_t rows = roll(20), cols = roll(60), stride = 4 * cols + roll(9);
    const size_t size = rows ? (rows - 1) * stride + 4 * cols : 0;
    const unsigned bits = depths[roll(3)];
    const struct spicemig_place places[] = {
        {(int64_t)roll(40) - 20, (int64_t)roll(40) - 20, roll(20), roll(20)},
        {(int64_t)roll(40) - 20, (int64_t)roll(40) - 20, roll(20), roll(20)},
    };
    int64_t data_bytes = 0;
    for (size_t index = 0; index < 2; index++)
        data_bytes += spicemig_glyph_stride(places[index].width, bits) * places[index].height;
    uint8_t *data = random_bytes((size_t)data_bytes), *mask = random_bytes(rows * cols);
    uint8_t *pixels = random_bytes(size), *before = copy_of(pixels, size);
    const uint32_t value = roll(65536) * 65536u + roll(65536), opaque = 0xff000000u;
    int same = 1;

    memset(mask, 0, rows * cols);
    spicemig_add_glyphs((struct spicemig_cover){mask, (int64_t)rows, (int64_t)cols}, places, 2, bits, data);
    spicemig_blend_mask(pixels, (ptrdiff_t)stride, rows, cols, mask, (ptrdiff_t)cols,
                        (struct spicemig_tile){(const uint8_t *)&value, 4, 1, 1, 0, 0}, 0);
    for (size_t row = 0; row < rows; row++)
        for (size_t col = 0; col < cols; col++) {
            uint32_t now, was;
            memcpy(&now, pixels + row * stride + 4 * col, 4);
            memcpy(&was, before + row * stride + 4 * col, 4);
            const uint8_t covered = mask[row * cols + col];
            same &= covered == 0 ? now == was : covered < 255 || now == (value | opaque);
        }
    free(data);
    free(mask);
    free(pixels);
    free(before);
    return same;
}

/* A number of 32 bits that is small, near 1 in 16.16, or anything. */
static int32_t fixed(void)
{
    switch (roll(4)) {
    case 0:
        return (int32_t)roll(7) - 3;
    case 1:
        return (int32_t)roll(1 << 19) - (1 << 18);
    case 2:
        return ((int32_t)roll(9) - 4) * 65536;
    default:
        return (int32_t)(roll(65536) * 65536u + roll(65536));
    }
}

/* For the kernels that are compared with their twins elsewhere: that nothing outside is touched. */
static struct spicemig_sampled random_sampled(uint8_t **pixels)
{
    const int32_t width = 1 + (int32_t)roll(9), height = 1 + (int32_t)roll(9);
    const int32_t stride = 4 * width + (int32_t)roll(9);
    struct spicemig_sampled sampled = {
        .image = {.stride = stride, .width = width, .height = height, .opaque = roll(2) ? 0xff000000u : 0},
        .green_bits = roll(2) ? 8 : 5 + roll(2),
        .bilinear = (int)roll(2),
        .repeat = (enum spicemig_repeat)roll(SPICEMIG_REPEATS),
        .matrix = {65536, 0, 0, 0, 65536, 0},
        .x = roll(5) ? (int)roll(30) - 15 : (int)roll(1 << 25) - (1 << 24),
        .y = roll(5) ? (int)roll(30) - 15 : (int)roll(1 << 25) - (1 << 24),
    };

    *pixels = random_bytes((size_t)((height - 1) * stride + 4 * width));
    sampled.image.pixels = *pixels;
    if (roll(3))
        for (int index = 0; index < 6; index++)
            sampled.matrix[index] = fixed();
    return sampled;
}

static int composite_case(void)
{
    const size_t rows = roll(5), cols = roll(8) ? roll(40) : roll(600), stride = 4 * cols + roll(9);
    uint8_t *src, *covered, *dst = random_bytes(rows ? (rows - 1) * stride + 4 * cols : 0);
    const struct spicemig_sampled source = random_sampled(&src), mask = random_sampled(&covered);

    spicemig_composite(dst, (ptrdiff_t)stride, rows, cols, (int)roll(2), roll(2) ? 8 : 5 + roll(2), roll(70), &source,
                       roll(2) ? &mask : NULL, (int)roll(2));
    free(src);
    free(covered);
    free(dst);
    return 1;
}

static int scale_case(void)
{
    const size_t rows = roll(9), cols = roll(40);
    uint8_t *src, *dst = random_bytes(4 * rows * cols);
    const struct spicemig_sampled source = random_sampled(&src);
    const int64_t step_x = roll(4 << 16), step_y = roll(4 << 16);
    const int64_t x = (int64_t)roll(1 << 20) - (1 << 19), y = (int64_t)roll(1 << 20) - (1 << 19);

    spicemig_scale_part(dst, (ptrdiff_t)(4 * cols), rows, cols, &source.image, x, y, step_x, step_y,
                        source.bilinear);
    free(src);
    free(dst);
    return 1;
}

static int keyed_case(void)
{
    const size_t rows = roll(9), cols = roll(40), size = 4 * rows * cols;
    const uint32_t key = roll(2), compared = roll(2) ? 0x010101u : 0x00ffffffu;
    uint8_t *dst = random_bytes(size), *src = random_bytes(size), *expected = copy_of(dst, size);

    for (size_t pixel = 0; pixel < rows * cols; pixel++) {
        uint32_t value;
        memcpy(&value, src + 4 * pixel, 4);
        if ((value & compared) != (key & compared))
            memcpy(expected + 4 * pixel, &value, 4);
    }
    spicemig_copy_keyed(dst, (ptrdiff_t)(4 * cols), src, (ptrdiff_t)(4 * cols), rows, cols, key, compared);
    const int same = memcmp(dst, expected, size) == 0;
    free(dst);
    free(src);
    free(expected);
    return same;
}

/* Bytes that repeat themselves now and then. */
static uint8_t *repeating_bytes(size_t size)
{
    uint8_t *bytes = random_bytes(size);
    for (size_t done = 4; done < size;) {
        const size_t some = 1 + roll(60), back = 4 * (1 + roll((unsigned)(done / 4)));
        const int repeat = roll(3) != 0;
        for (size_t end = done + some; done < size && done < end; done++)
            if (repeat)
                bytes[done] = bytes[done - back];
    }
    return bytes;
}

/* Encode and decode a plane; then decode it from a stream with some bytes changed, and cut off. */
static int lz_case(void)
{
    static const unsigned char components[] = {0, 1, 2, 3, 3, 0}; /* coded from a unit's first byte on */
    const unsigned plane = 1 + roll(5);
    const size_t count = 1 + roll(roll(3) ? 40 : 2000), unit = spicemig_lz_unit_bytes(plane);
    uint8_t *src = repeating_bytes(count * unit), *back = random_bytes(count * unit);
    uint8_t *room = malloc(spicemig_lz_room(plane, count));
    void *scratch = malloc(spicemig_lz_encode_scratch_bytes(plane, count));
    void *decode_scratch = malloc(spicemig_lz_decode_scratch_bytes(plane, count));
    if (room == NULL || scratch == NULL)
        abort();
    const size_t bytes = spicemig_lz_encode(src, plane, count, scratch, room);
    uint8_t *stream = copy_of(room, bytes);
    int same = spicemig_lz_decode(back, plane, count, decode_scratch, stream, bytes) == bytes;
    for (size_t index = 0; index < count * unit; index++) {
        const size_t component = index % unit;
        if (component < components[plane] || (plane == SPICEMIG_LZ_ALPHA && component == 3))
            same &= back[index] == src[index];
    }
    for (unsigned change = roll(4); change; change--)
        stream[roll((unsigned)bytes)] = (uint8_t)roll(256);
    const size_t cut = roll(2) ? bytes : roll((unsigned)bytes);
    uint8_t *broken = copy_of(stream, cut);
    same &= spicemig_lz_decode(back, plane, count, decode_scratch, broken, cut) <= cut;
    free(src);
    free(back);
    free(room);
    free(scratch);
    free(decode_scratch);
    free(stream);
    free(broken);
    return same;
}

#define GLZ_IMAGES 12

/* What a decoder keeps: images from id 0 on. */
struct glz_kept {
    unsigned type[GLZ_IMAGES];
    struct spicemig_glz_source units[GLZ_IMAGES];
};

static struct spicemig_glz_source glz_lookup(const void *images, uint64_t id, unsigned type)
{
    const struct glz_kept *kept = images;

    return id < GLZ_IMAGES && kept->type[id] == type ? kept->units[id] : (struct spicemig_glz_source){NULL, 0};
}

/* Encode images in one window and decode them; then decode each from a stream with some bytes changed, and cut off. */
static int glz_case(void)
{
    const size_t size = 1 + roll(roll(2) ? 200 : 3000);
    void *memory = calloc(1, spicemig_glz_window_bytes(size)), *other = calloc(1, spicemig_glz_window_bytes(size));
    if (memory == NULL || other == NULL)
        abort();
    struct spicemig_glz_window *window = spicemig_glz_begin(memory, size), *copy = spicemig_glz_begin(other, size);
    struct glz_kept kept = {0};
    int same = 1;

    for (unsigned id = 0; id < GLZ_IMAGES;) {
        const unsigned type = 1 + roll(9), width = 1 + roll(40), height = 1 + roll(roll(2) ? 3 : 40);
        const size_t unit = spicemig_glz_unit_bytes(type), bytes = spicemig_glz_row_bytes(type, width) * height;
        const size_t count = bytes / unit;
        if (count > size)
            break;
        uint8_t *src = repeating_bytes(bytes), *back = random_bytes(bytes);
        if (id && kept.type[id - 1] == type && roll(2)) { /* much of the image before, elsewhere */
            const size_t shift = roll((unsigned)count), old = kept.units[id - 1].count;
            for (size_t at = 0; at < count && at + shift < old; at++)
                memcpy(src + at * unit, kept.units[id - 1].units + (at + shift) * unit, unit);
        }
        for (size_t at = 3; type == SPICEMIG_GLZ_RGB32 && at < bytes; at += 4)
            src[at] = 0;
        size_t tried;
        same &= spicemig_glz_probe(window, src, type, count, &tried) <= tried;
        uint8_t *room = malloc(spicemig_glz_room(type, count));
        const size_t made = spicemig_glz_encode(window, src, type, width, height, 1, room);
        const size_t tokens = made - SPICEMIG_GLZ_HEADER_BYTES;
        uint8_t *stream = copy_of(room + SPICEMIG_GLZ_HEADER_BYTES, tokens);
        same &= window->taken <= size && window->next == id + 1;
        same &= spicemig_glz_decode(back, type, count, id, stream, tokens, glz_lookup, &kept);
        same &= memcmp(back, src, bytes) == 0;
        for (unsigned change = roll(4); change; change--)
            stream[roll((unsigned)tokens)] = (uint8_t)roll(256);
        const size_t cut = roll(2) ? tokens : roll((unsigned)tokens);
        uint8_t *broken = copy_of(stream, cut);
        (void)spicemig_glz_decode(back, type, count, id, broken, cut, glz_lookup, &kept);
        spicemig_glz_get(window, spicemig_glz_find(window, id), back);
        same &= memcmp(back, src, bytes) == 0;
        spicemig_glz_put(copy, src, type, width, height);
        same &= copy->taken == window->taken && copy->oldest == window->oldest;
        kept.type[id] = type;
        kept.units[id++] = (struct spicemig_glz_source){src, count};
        for (unsigned gone = 0; gone < window->oldest; gone++)
            kept.type[gone] = 0; /* a reference there would not be decoded */
        free(back);
        free(room);
        free(stream);
        free(broken);
    }
    for (unsigned id = 0; id < GLZ_IMAGES; id++)
        free((void *)kept.units[id].units);
    free(memory);
    free(other);
    return same;
}

/* Decode tokens such as no encoder makes: literals, and references of any length, mostly to what is near. */
static int tokens_case(void)
{
    const unsigned plane = 1 + roll(5), type = 1 + roll(9);
    const size_t count = 1 + roll(500), bytes = 1 + roll(800), other = 4 * (1 + roll(100));
    uint8_t *tokens = random_bytes(bytes), *units = random_bytes(other);
    uint8_t *back = malloc(count * spicemig_lz_unit_bytes(plane));
    uint8_t *image = malloc(count * spicemig_glz_unit_bytes(type));
    void *scratch = malloc(spicemig_lz_decode_scratch_bytes(plane, count));
    struct glz_kept kept = {{type}, {{units, other / spicemig_glz_unit_bytes(type)}}};

    for (size_t at = 0; at < bytes; at++) {
        const int is_long = roll(6) == 0;
        tokens[at] = (uint8_t)(is_long ? 7u << 5 | (roll(2) ? roll(4) : 0) : roll(12));
        at += (size_t)is_long; /* any length */
    }
    const int same = spicemig_lz_decode(back, plane, count, scratch, tokens, bytes) <= bytes;
    (void)spicemig_glz_decode(image, type, count, roll(3), tokens, bytes, glz_lookup, &kept);
    free(tokens);
    free(units);
    free(back);
    free(image);
    free(scratch);
    return same;
}

static int gradual_case(void)
{
    const size_t width = 2 + roll(50), height = 2 + roll(20), pixel_bytes = 2 + roll(3);
    const size_t stride = width * pixel_bytes + roll(4);
    uint8_t *src = repeating_bytes((height - 1) * stride + width * pixel_bytes);
    size_t pairs;
    const int64_t score = spicemig_gradual_score(src, stride, width, height, pixel_bytes, &pairs);

    free(src);
    return pairs > 0 && pairs <= width * height * 3 && score <= 4 * (int64_t)pairs && score >= -(int64_t)pairs;
}

static int sketch_case(void)
{
    const size_t width = 1 + roll(40), height = 1 + roll(20), pixel_bytes = 2 + roll(3);
    const size_t stride = width * pixel_bytes + roll(4);
    const unsigned log = 1 + roll(8);
    uint8_t *src = repeating_bytes((height - 1) * stride + width * pixel_bytes), *slots = calloc(4, (size_t)1 << log);
    const struct spicemig_sketched image = {src, stride, width, height, pixel_bytes, (uint8_t)roll(256)};
    size_t before, after;

    if (slots == NULL)
        abort();
    const int unknown = spicemig_sketch_find(slots, log, &image, &before) == 0;
    spicemig_sketch_add(slots, log, &image);
    const size_t found = spicemig_sketch_find(slots, log, &image, &after);
    free(src);
    free(slots);
    return unknown && before == after && found <= after;
}

enum { LOG_PLACES = 3, LOG_SIDE = 12, LOG_COMMANDS = 24 };

static uint64_t mixed(uint64_t one, uint64_t other)
{
    return (one ^ (other + 0x9e3779b97f4a7c15u)) * 0xbf58476d1ce4e5b9u;
}

/* What a command looks at: a pixel of what it reads, or all of it. */
static uint64_t seen(const struct spicemig_command *command, uint64_t pixels[LOG_PLACES][LOG_SIDE * LOG_SIDE],
                     int x, int y)
{
    uint64_t result = 0;
    for (unsigned which = 0; which < SPICEMIG_READS; which++) {
        if (command->reads[which] == SPICEMIG_NO_PLACE)
            continue;
        const uint64_t *from = pixels[command->reads[which]];
        if (!(command->flags & SPICEMIG_READS_BOX)) {
            for (unsigned pixel = 0; pixel < LOG_SIDE * LOG_SIDE; pixel++)
                result = mixed(result, from[pixel]);
            continue;
        }
        const int from_x = x + command->dx, from_y = y + command->dy;
        if (from_x >= 0 && from_x < LOG_SIDE && from_y >= 0 && from_y < LOG_SIDE)
            result = mixed(result, from[from_y * LOG_SIDE + from_x]);
    }
    return result;
}

/* Draw commands, each of which leaves a trace of all that it depends on. */
static void draw_log(const struct spicemig_command *commands, size_t count, const uint8_t *keep,
                     uint64_t pixels[LOG_PLACES][LOG_SIDE * LOG_SIDE])
{
    uint64_t before[LOG_PLACES][LOG_SIDE * LOG_SIDE];
    for (size_t index = 0; index < count; index++) {
        const struct spicemig_command *command = &commands[index];
        if (!keep[index])
            continue;
        memcpy(before, pixels, sizeof before);
        for (int y = command->box.top; y < command->box.bottom; y++)
            for (int x = command->box.left; x < command->box.right; x++) {
                uint64_t *pixel = &pixels[command->place][y * LOG_SIDE + x];
                const uint64_t below = command->flags & SPICEMIG_COVERS ? 0 : *pixel;
                *pixel = mixed(mixed(seen(command, before, x, y), below), command->value);
            }
    }
}

/* Commands that are left out must not be missed; those of one surface and the others must not mix. */
static int log_case(void)
{
    static uint64_t all[LOG_PLACES][LOG_SIDE * LOG_SIDE], some[LOG_PLACES][LOG_SIDE * LOG_SIDE];
    struct spicemig_command commands[LOG_COMMANDS];
    struct spicemig_hidden hidden[LOG_PLACES];
    uint8_t dead[LOG_PLACES], keep[LOG_COMMANDS], every[LOG_COMMANDS], mine[LOG_COMMANDS];
    uint32_t group[LOG_PLACES];
    const size_t count = roll(LOG_COMMANDS + 1);
    const uint32_t asked = roll(LOG_PLACES);
    int right = 1;

    memset(hidden, 0, sizeof hidden);
    memset(every, 1, sizeof every);
    for (unsigned place = 0; place < LOG_PLACES; place++)
        dead[place] = roll(4) == 0;
    for (size_t index = 0; index < count; index++) {
        struct spicemig_command *command = &commands[index];
        const int left = (int)roll(LOG_SIDE), top = (int)roll(LOG_SIDE);
        const int right_side = left + 1 + (int)roll((unsigned)(LOG_SIDE - left));
        *command = (struct spicemig_command){
            .place = roll(LOG_PLACES),
            .reads = {SPICEMIG_NO_PLACE, SPICEMIG_NO_PLACE, SPICEMIG_NO_PLACE},
            .box = {left, top, right_side, top + 1 + (int)roll((unsigned)(LOG_SIDE - top))},
            .flags = (uint8_t)roll(4),
            .value = (uint32_t)index + 1,
            .dx = (int)roll(9) - 4,
            .dy = (int)roll(9) - 4,
        };
        for (unsigned which = 0; which < SPICEMIG_READS && roll(3) == 0; which++)
            command->reads[which] = roll(LOG_PLACES);
    }
    spicemig_cull(commands, count, hidden, dead, LOG_PLACES, keep);
    memset(all, 0, sizeof all);
    memset(some, 0, sizeof some);
    draw_log(commands, count, every, all);
    draw_log(commands, count, keep, some);
    for (unsigned place = 0; place < LOG_PLACES; place++)
        right &= dead[place] || memcmp(all[place], some[place], sizeof all[place]) == 0;

    spicemig_split(commands, count, group, LOG_PLACES, asked, mine);
    memset(some, 0, sizeof some);
    draw_log(commands, count, mine, some);
    right &= memcmp(all[asked], some[asked], sizeof all[asked]) == 0;
    for (size_t index = 0; index < count; index++)
        mine[index] = !mine[index];
    draw_log(commands, count, mine, some);
    return right && memcmp(all, some, sizeof all) == 0;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (unsigned byte = 0; byte < 4; byte++)
        at[byte] = (uint8_t)(value >> 8 * byte);
}

/* Make commands of records that hold nearly anything; what comes of them lies on its surface. */
static int command_case(void)
{
    static const uint16_t numbers[] = {104, 302, 303, 304, 305, 306, 307, 308, 309, 310, 318, 0};
    static const uint32_t formats[] = {1, 8, 16, 80, 32, 96, 0};
    const size_t body = roll(120), relocations = roll(4), size = 32 + 8 * relocations + body;
    uint8_t *record_bytes = random_bytes(size);
    struct spicemig_shown surfaces[2];
    struct spicemig_drawn_image images[3];
    struct spicemig_record record;
    struct spicemig_command command;
    int right = 1;

    for (unsigned place = 0; place < 2; place++)
        surfaces[place] = (struct spicemig_shown){1 + roll(300), 1 + roll(300), formats[roll(7)]};
    for (unsigned number = 0; number < 3; number++)
        images[number] = (struct spicemig_drawn_image){
            .place = roll(3) ? SPICEMIG_NO_PLACE : roll(2),
            .width = roll(40),
            .height = roll(40),
            .format = roll(12),
            .flags = roll(8),
            .stride = roll(200),
            .bytes = roll(8000),
            .bottom_up = (int)roll(2),
        };
    put_u32(record_bytes, roll(9) ? (uint32_t)size : (uint32_t)size + roll(3) - 1);
    record_bytes[4] = (uint8_t)numbers[roll(12)];
    record_bytes[5] = record_bytes[4] > 200 ? 0 : (uint8_t)(record_bytes[4] == 104 || !record_bytes[4] ? 0 : 1);
    record_bytes[7] = (uint8_t)relocations;
    for (unsigned which = 0; which < relocations; which++) {
        put_u32(record_bytes + 32 + 8 * which, roll(3) ? 21 : roll(120));
        put_u32(record_bytes + 36 + 8 * which, roll(3));
    }
    for (size_t at = 32 + 8 * relocations + 4; at + 4 <= size && at < 32 + 8 * relocations + 20; at += 4)
        if (roll(8))
            put_u32(record_bytes + at, roll(400));
    if (body > 20 && roll(4))
        record_bytes[size - body + 20] = (uint8_t)roll(3);
    if (body > 24 && roll(4))
        put_u32(record_bytes + size - body + 21, roll(5));
    if (spicemig_record_at(record_bytes, size, 0, &record)) {
        const uint32_t place = roll(2);
        const struct spicemig_box whole = {0, 0, (int32_t)surfaces[place].width,
                                           (int32_t)surfaces[place].height};
        spicemig_command_of(&record, place, images, surfaces, &command);
        right = command.place == place && command.operation <= SPICEMIG_MOVE && command.rop < 16 &&
                (spicemig_box_is_empty(command.box) || spicemig_box_covers(whole, command.box));
    }
    free(record_bytes);
    return right;
}

static int scan_case(void)
{
    const int mini = (int)roll(2);
    const size_t size = roll(200), at = roll((unsigned)size + 1), header = mini ? 6 : 18;
    const size_t whole = roll(2) ? 0 : roll(100);
    uint8_t *data = random_bytes(size), *wanted = random_bytes(SPICEMIG_SCAN_NUMBERS);

    for (size_t index = 0; index < SPICEMIG_SCAN_NUMBERS; index++)
        wanted[index] = wanted[index] < 10;
    for (size_t index = 0; index + 4 <= size; index++)
        if (roll(3)) /* so that sizes are small and numbers known */
            memset(data + index, 0, 1 + roll(3));
    const struct spicemig_scan scan = spicemig_scan_headers(data, size, at, mini, whole, wanted);
    const int ended = scan.at > size || size - scan.at < (whole > header ? whole : header);

    free(data);
    free(wanted);
    return scan.at >= at && (scan.found || ended) && scan.messages * header <= scan.at - at &&
           (scan.messages || scan.serial == 0) && !(mini && scan.serial);
}

/* Any bytes as a record: what is said of it lies inside them. */
static int drawable_case(void)
{
    static const uint16_t numbers[] = {104, 302, 303, 304, 305, 306, 312, 313, 310, 7};
    const size_t size = roll(160), offset = roll(3) ? 0 : roll((unsigned)size + 2);
    uint8_t *records = random_bytes(size);
    struct spicemig_drawable drawable;
    struct spicemig_row row;
    int right = 1;

    if (offset + 64 < size && roll(8)) { /* a record that is mostly right */
        uint8_t *at = records + offset;
        const unsigned number = numbers[roll(10)], relocations = roll(3), base = 32 + 8 * relocations;
        memset(at, 0, 32);
        at[0] = (uint8_t)(roll(8) ? size - offset : roll(256));
        at[4] = (uint8_t)number;
        at[5] = (uint8_t)(number >> 8);
        at[6] = (uint8_t)roll(3);
        at[7] = (uint8_t)relocations;
        for (unsigned which = 0; which < relocations; which++) {
            memset(at + 32 + 8 * which, 0, 8);
            at[32 + 8 * which] = (uint8_t)(roll(3) ? 21 + roll(3) : roll(120));
        }
        if (offset + base + 25 <= size) {
            memset(at + base, 0, 21);
            at[base + 20] = (uint8_t)roll(2);
            memset(at + base + 21, 0, 4);
            at[base + 21] = (uint8_t)roll(3);
        }
    }
    if (spicemig_drawable_read(records, size, offset, &drawable)) {
        const uint8_t *const end = records + size;
        uint32_t pointer, image;
        right = drawable.body >= records && drawable.body + drawable.body_bytes <= end &&
                drawable.behind_base <= drawable.body_bytes;
        for (unsigned which = 0; which < drawable.relocations; which++) {
            spicemig_drawable_relocation(&drawable, which, &pointer, &image);
            right &= pointer + 4 <= drawable.body_bytes;
        }
        spicemig_drawable_row(&drawable, &row);
        for (unsigned reads = roll(7); reads > 0; reads--)
            spicemig_row_reads(&row, roll(9));
        right &= row.reads_count <= SPICEMIG_ROW_READS && row.surface == drawable.surface;
        if (spicemig_drawable_kind(&drawable) == SPICEMIG_ONE_IMAGE)
            right &= !spicemig_drawable_inside(&drawable, 0, roll(100));
    }
    free(records);
    return right;
}

/* The rows that are found lie in the box, on its surface, the last one first. */
static int covered_case(void)
{
    const size_t count = roll(20);
    uint8_t *rows = malloc(count * sizeof(struct spicemig_row) + 1);
    uint32_t *found = malloc((count + 1) * sizeof *found);
    struct spicemig_row row, cover = {.surface = roll(3), .bottom = 4 + (int)roll(4), .right = 8};
    const int whole = (int)roll(2);
    int right = 1;

    if (rows == NULL || found == NULL)
        abort();
    for (size_t index = 0; index < count; index++) {
        row = (struct spicemig_row){.flags = (uint8_t)roll(16), .reads_count = (uint8_t)roll(6),
                                    .surface = roll(3), .bottom = (int)roll(9), .right = (int)roll(9),
                                    .from_top = (int)roll(12) - 2, .from_left = (int)roll(12) - 2};
        for (unsigned which = 0; which < SPICEMIG_ROW_READS; which++)
            row.reads[which] = roll(5);
        memcpy(rows + index * sizeof row, &row, sizeof row);
    }
    const size_t some = spicemig_covered(rows, count, &cover, whole, found);
    for (size_t each = 0; each < some; each++) {
        memcpy(&row, rows + found[each] * sizeof row, sizeof row);
        right &= row.surface == cover.surface && (row.flags & SPICEMIG_ROW_DRAWS) && (each == 0 || found[each] < found[each - 1]);
        right &= whole || (row.bottom <= cover.bottom && row.right <= cover.right);
    }
    free(rows);
    free(found);
    return right && some <= count;
}

/* Every box that is put into a region lies in it. */
static int region_case(void)
{
    enum { MOST = 4, ADDED = 20 };
    struct spicemig_box boxes[MOST], added[ADDED];
    size_t count = 0, missing = 0;
    const int scale = roll(4) ? 1 : 100000000;

    for (unsigned each = 0; each < ADDED; each++) {
        const int left = ((int)roll(20) - 10) * scale, top = ((int)roll(20) - 10) * scale;
        added[each] = (struct spicemig_box){left, top, left + (int)roll(6) * scale, top + (int)roll(6) * scale};
        spicemig_region_add(boxes, &count, MOST, added[each]);
    }
    for (unsigned each = 0; each < ADDED; each++) {
        int held = spicemig_box_is_empty(added[each]);
        for (size_t index = 0; index < count; index++)
            held |= spicemig_box_covers(boxes[index], added[each]);
        missing += !held;
    }
    return count <= MOST && missing == 0;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } kinds[] = {{"fill", fill_case}, {"copy", copy_case}, {"move", move_case}, {"tile", tile_case},
                 {"rop3", rop3_case}, {"settle", settle_case}, {"convert", convert_case},
                 {"composite", composite_case}, {"scale", scale_case}, {"keyed", keyed_case},
                 {"line", line_case}, {"dash", dash_case}, {"curve", curve_case}, {"glyph", glyph_case},
                 {"lz", lz_case}, {"glz", glz_case}, {"tokens", tokens_case}, {"gradual", gradual_case},
                 {"sketch", sketch_case}, {"log", log_case}, {"command", command_case}, {"scan", scan_case},
                 {"drawable", drawable_case}, {"covered", covered_case}, {"region", region_case}};
    const unsigned long cases = count > 2 ? strtoul(arguments[2], NULL, 10) : 1000;

    dice = count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
    for (unsigned long index = 0; index < cases; index++) {
        const size_t kind = index % (sizeof kinds / sizeof kinds[0]);
        const uint64_t before = dice;
        if (!kinds[kind].run()) {
            printf("%s differs with dice at %llu\n", kinds[kind].name, (unsigned long long)before);
            return 1;
        }
    }
    return 0;
}
