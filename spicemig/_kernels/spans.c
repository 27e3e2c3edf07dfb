// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/spans.c: pieces of rows, cut to a clip and painted. */
#include "spans.h"

#include <stdlib.h>

#include "rop.h"

static int32_t larger(int32_t one, int32_t other)
{
    return one > other ? one : other;
}

static int32_t smaller(int32_t one, int32_t other)
{
    return one < other ? one : other;
}

static size_t cut(struct spicemig_span *spans, size_t count, const struct spicemig_box *boxes, size_t box_count)
{
    size_t written = 0, band = 0;

    for (size_t position = 0; position < count; position++) {
        const struct spicemig_span span = spans[position];
        while (band < box_count && span.y >= boxes[band].bottom)
            band++;
        if (band == box_count)
            break;
        const int32_t top = boxes[band].top;
        if (span.y < top)
            continue;
        for (size_t box = band; box < box_count && boxes[box].top == top; box++) {
            const int32_t begin = larger(span.x, boxes[box].left);
            const int32_t end = smaller(span.x + span.width, boxes[box].right);
            if (begin < end)
                spans[written++] = (struct spicemig_span){begin, span.y, end - begin};
        }
    }
    return written;
}

static void paint(const struct spicemig_canvas *canvas, struct spicemig_rop masks, struct spicemig_span span)
{
    const struct spicemig_tile *tile = &canvas->tile;
    const uint8_t *row = tile->pixels + (ptrdiff_t)((tile->y + (size_t)span.y) % tile->height) * tile->stride;
    size_t place = (tile->x + (size_t)span.x) % tile->width;
    uint8_t *to = canvas->pixels + span.y * canvas->stride + 4 * (ptrdiff_t)span.x;

    for (int32_t col = 0; col < span.width; col++, to += 4) {
        spicemig_store(to, spicemig_rop_apply(masks, spicemig_load(row + 4 * place), spicemig_load(to)));
        if (++place == tile->width)
            place = 0;
    }
}

static void paint_value(const struct spicemig_canvas *canvas, struct spicemig_rop masks, struct spicemig_span span)
{
    const uint32_t value = spicemig_load(canvas->tile.pixels);
    uint8_t *to = canvas->pixels + span.y * canvas->stride + 4 * (ptrdiff_t)span.x;

    for (int32_t col = 0; col < span.width; col++, to += 4)
        spicemig_store(to, spicemig_rop_apply(masks, value, spicemig_load(to)));
}

void spicemig_paint_spans(const struct spicemig_canvas *canvas, struct spicemig_span *spans, size_t count)
{
    const struct spicemig_rop masks = spicemig_rop_of(canvas->rop);
    const int one_value = canvas->tile.width == 1 && canvas->tile.height == 1;

    count = cut(spans, count, canvas->boxes, canvas->box_count);
    for (size_t index = 0; index < count; index++)
        if (one_value)
            paint_value(canvas, masks, spans[index]);
        else
            paint(canvas, masks, spans[index]);
}

static int by_place(const void *one, const void *other)
{
    const struct spicemig_span *first = one, *second = other;

    if (first->y != second->y)
        return first->y < second->y ? -1 : 1;
    return first->x < second->x ? -1 : first->x > second->x;
}

size_t spicemig_merge_spans(struct spicemig_span *spans, size_t count)
{
    size_t last = 0;

    if (count == 0)
        return 0;
    qsort(spans, count, sizeof *spans, by_place);
    for (size_t index = 1; index < count; index++) {
        struct spicemig_span *before = &spans[last];
        const struct spicemig_span span = spans[index];
        if (span.y == before->y && span.x <= before->x + before->width)
            before->width = larger(before->width, span.x + span.width - before->x);
        else
            spans[++last] = span;
    }
    return last + 1;
}
