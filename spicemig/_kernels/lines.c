// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/lines.c: lines one pixel wide. */
#include "lines.h"

/* The result of a division, rounded down; the divisor is positive. */
static int64_t floor_of(int64_t number, int64_t divisor)
{
    const int64_t quotient = number / divisor;
    return quotient - (number % divisor < 0);
}

/* The steps of a walk from first in a direction that are inside 0 to size - 1. */
struct steps {
    int64_t low, high;
};

static struct steps steps_inside(int64_t first, int direction, int64_t size)
{
    if (direction > 0)
        return (struct steps){-first, size - 1 - first};
    return (struct steps){first - size + 1, first};
}

/*
 * The pixels of a line that lie on the surface, but for its last one: the longer
 * side is walked, and the other one is (2 * step * cross + length - bias) /
 * (2 * length), rounded down. bias makes a line the same from either end.
 * Returns how many spans there are, from the top down.
 */
static size_t line_spans(struct spicemig_span *spans, struct spicemig_point from, struct spicemig_point to,
                         int32_t width, int32_t height)
{
    const int64_t dx = (int64_t)to.x - from.x, dy = (int64_t)to.y - from.y;
    const int along_x = (dx < 0 ? -dx : dx) > (dy < 0 ? -dy : dy);
    const int64_t start = along_x ? from.x : from.y, cross_start = along_x ? from.y : from.x;
    int64_t length = along_x ? dx : dy, cross = along_x ? dy : dx;
    const int step = length < 0 ? -1 : 1, cross_step = cross < 0 ? -1 : 1, bias = step < 0;
    size_t count = 0;

    length *= step;
    cross *= cross_step;
    struct steps walk = steps_inside(start, step, along_x ? width : height);
    const struct steps beside = steps_inside(cross_start, cross_step, along_x ? height : width);
    if (walk.low < 0)
        walk.low = 0;
    if (walk.high > length - 1)
        walk.high = length - 1;
    if (cross) {
        const int64_t low = -floor_of(length - bias - 2 * beside.low * length, 2 * cross);
        const int64_t high = floor_of(2 * (beside.high + 1) * length - length + bias - 1, 2 * cross);
        if (walk.low < low)
            walk.low = low;
        if (walk.high > high)
            walk.high = high;
    } else if (beside.low > 0 || beside.high < 0) {
        return 0;
    }
    if (walk.low > walk.high)
        return 0;
    int64_t rest = 2 * walk.low * cross + length - bias;
    int32_t place = (int32_t)(start + step * walk.low);
    int32_t aside = (int32_t)(cross_start + cross_step * (rest / (2 * length)));
    rest %= 2 * length;
    for (int64_t left = walk.high - walk.low + 1; left > 0; left--) {
        if (!along_x) {
            spans[count++] = (struct spicemig_span){aside, place, 1};
        } else if (count && spans[count - 1].y == aside) {
            spans[count - 1].width++;
            if (step < 0)
                spans[count - 1].x = place;
        } else {
            spans[count++] = (struct spicemig_span){place, aside, 1};
        }
        place += step;
        rest += 2 * cross;
        if (rest >= 2 * length) {
            rest -= 2 * length;
            aside += cross_step;
        }
    }
    if ((along_x ? cross_step : step) < 0)
        for (size_t first = 0, last = count; first + 1 < last; first++) {
            const struct spicemig_span span = spans[--last];
            spans[last] = spans[first];
            spans[first] = span;
        }
    return count;
}

void spicemig_draw_lines(const struct spicemig_canvas *canvas, const struct spicemig_point *points,
                         size_t point_count, struct spicemig_span *spans)
{
    for (size_t index = 1; index < point_count; index++)
        spicemig_paint_spans(canvas, spans,
                             line_spans(spans, points[index - 1], points[index], canvas->width, canvas->height));
}
