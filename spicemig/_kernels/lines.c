// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/lines.c: lines one pixel wide. */
#include "lines.h"

#include "rop.h"

/* The result of a division, rounded down; the divisor is positive. */
static int64_t floor_of(int64_t number, int64_t divisor)
{
    const int64_t quotient = number / divisor;
    return quotient - (number % divisor < 0);
}

/* The steps of a walk from first in a direction that are inside low to high - 1. */
struct steps {
    int64_t low, high;
};

static struct steps steps_inside(int64_t first, int direction, int64_t low, int64_t high)
{
    if (direction > 0)
        return (struct steps){low - first, high - 1 - first};
    return (struct steps){first - high + 1, first - low};
}

/* What of a line lies in a box: count pixels from (x, y) on, and how to go from one to the next. */
struct walk {
    int64_t count, rest, more, length; /* when rest, by more each time, reaches length, it steps aside */
    int32_t x, y;
    int along_x, step, aside;
};

/*
 * The pixels of a line but for its last one: the longer side is walked, and the
 * other one is (2 * step * cross + length - bias) / (2 * length), rounded down.
 * bias makes a line the same from either end.
 */
static struct walk walk_in(struct spicemig_point from, struct spicemig_point to, struct spicemig_box box)
{
    const int64_t dx = (int64_t)to.x - from.x, dy = (int64_t)to.y - from.y;
    struct walk walk = {.along_x = (dx < 0 ? -dx : dx) > (dy < 0 ? -dy : dy)};
    const int64_t start = walk.along_x ? from.x : from.y, cross_start = walk.along_x ? from.y : from.x;
    int64_t length = walk.along_x ? dx : dy, cross = walk.along_x ? dy : dx;

    walk.step = length < 0 ? -1 : 1;
    walk.aside = cross < 0 ? -1 : 1;
    length *= walk.step;
    cross *= walk.aside;
    const int bias = walk.step < 0;
    struct steps along, beside;
    if (walk.along_x) {
        along = steps_inside(start, walk.step, box.left, box.right);
        beside = steps_inside(cross_start, walk.aside, box.top, box.bottom);
    } else {
        along = steps_inside(start, walk.step, box.top, box.bottom);
        beside = steps_inside(cross_start, walk.aside, box.left, box.right);
    }
    if (along.low < 0)
        along.low = 0;
    if (along.high > length - 1)
        along.high = length - 1;
    if (cross) {
        const int64_t low = -floor_of(length - bias - 2 * beside.low * length, 2 * cross);
        const int64_t high = floor_of(2 * (beside.high + 1) * length - length + bias - 1, 2 * cross);
        if (along.low < low)
            along.low = low;
        if (along.high > high)
            along.high = high;
    } else if (beside.low > 0 || beside.high < 0) {
        return walk;
    }
    if (along.low > along.high)
        return walk;
    walk.count = along.high - along.low + 1;
    walk.more = 2 * cross;
    walk.length = 2 * length;
    walk.rest = 2 * along.low * cross + length - bias;
    const int32_t place = (int32_t)(start + walk.step * along.low);
    const int32_t other = (int32_t)(cross_start + walk.aside * (walk.rest / walk.length));
    walk.rest %= walk.length;
    walk.x = walk.along_x ? place : other;
    walk.y = walk.along_x ? other : place;
    return walk;
}

/* The same as spans, from the top down; returns how many. */
static size_t spans_of(struct walk walk, struct spicemig_span *spans)
{
    int32_t *const place = walk.along_x ? &walk.x : &walk.y, *const other = walk.along_x ? &walk.y : &walk.x;
    size_t count = 0;

    for (; walk.count > 0; walk.count--) {
        if (walk.along_x && count && spans[count - 1].y == walk.y) {
            spans[count - 1].width++;
            if (walk.step < 0)
                spans[count - 1].x = walk.x;
        } else {
            spans[count++] = (struct spicemig_span){walk.x, walk.y, 1};
        }
        *place += walk.step;
        walk.rest += walk.more;
        if (walk.rest >= walk.length) {
            walk.rest -= walk.length;
            *other += walk.aside;
        }
    }
    if ((walk.along_x ? walk.aside : walk.step) < 0)
        for (size_t first = 0, last = count; first + 1 < last; first++) {
            const struct spicemig_span span = spans[--last];
            spans[last] = spans[first];
            spans[first] = span;
        }
    return count;
}

/* With one box and one colour no spans are needed. */
static void paint_walk(const struct spicemig_canvas *canvas, struct walk walk)
{
    const struct spicemig_rop masks = spicemig_rop_of(canvas->rop);
    const uint32_t value = spicemig_load(canvas->tile.pixels);
    const ptrdiff_t across = 4, down = canvas->stride;
    const ptrdiff_t step = walk.step * (walk.along_x ? across : down);
    const ptrdiff_t aside = walk.aside * (walk.along_x ? down : across);
    uint8_t *at = canvas->pixels + walk.y * down + walk.x * across;

    for (;;) {
        spicemig_store(at, canvas->rop == SPICEMIG_ROP_PUT
                               ? value
                               : spicemig_rop_apply(masks, value, spicemig_load(at)));
        if (--walk.count <= 0)
            return;
        at += step;
        walk.rest += walk.more;
        if (walk.rest >= walk.length) {
            walk.rest -= walk.length;
            at += aside;
        }
    }
}

void spicemig_draw_lines(const struct spicemig_canvas *canvas, const struct spicemig_point *points,
                         size_t point_count, struct spicemig_span *spans)
{
    const int simple = canvas->box_count == 1 && canvas->tile.width == 1 && canvas->tile.height == 1;
    const struct spicemig_box whole = {0, 0, canvas->width, canvas->height};

    for (size_t index = 1; index < point_count; index++) {
        const struct walk walk = walk_in(points[index - 1], points[index], simple ? canvas->boxes[0] : whole);
        if (walk.count == 0)
            continue;
        if (simple)
            paint_walk(canvas, walk);
        else
            spicemig_paint_spans(canvas, spans, spans_of(walk, spans));
    }
}
