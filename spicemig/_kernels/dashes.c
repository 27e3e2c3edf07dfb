// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * spicemig/_kernels/dashes.c: dashed lines one pixel wide.
 *
 * A dash is a rectangle at any angle, a corner a triangle or a kite: polygons
 * whose sides have rational slopes, filled row by row. All in floating point is
 * done in the order in which spice-common does it.
 */
#include "dashes.h"

#include <math.h>

#define CORNERS 4
#define ROUGH_MITER_SQUARE 108.856472512142 /* 1 / sin(5.5 degrees) squared */

struct vertex {
    double x, y;
};

/* A side of a polygon, from its vertex to the next; k is x0 * dy - y0 * dx of its line. */
struct side {
    int64_t dx, dy;
    double k;
};

struct polygon {
    int count;
    struct vertex vertices[CORNERS];
    struct side sides[CORNERS];
};

/* Where a side begins in its rows: row j at the smallest x with x * dy >= k + j * dx. */
struct edge {
    int64_t top, height, k, dx, dy;
};

/* An end of a line: its place, the line's direction away from it, and its corner from there. */
struct face {
    int32_t x, y;
    int64_t dx, dy;
    double xa, ya, k;
};

struct dasher {
    const struct spicemig_canvas *canvas;
    struct spicemig_dashes dashes;
    size_t index;   /* of the dash that is next; those with an odd one are gaps */
    int64_t offset; /* into it */
    int collects;
    struct spicemig_span *spans;
    size_t count, room;
};

static int64_t ceiling(double number)
{
    const int64_t whole = (int64_t)number;
    return whole + ((double)whole < number);
}

static int64_t left_pixel(const struct edge *edge, int64_t row)
{
    const int64_t reach = edge->k + row * edge->dx;
    return reach / edge->dy + (reach % edge->dy > 0);
}

/* The edges from one vertex to another, around the polygon in one direction; returns how many. */
static int chain(struct edge *edges, const struct polygon *polygon, int from, int to, int step)
{
    int count = 0;

    for (int at = from; at != to; at = (at + step + polygon->count) % polygon->count) {
        const struct side *side = &polygon->sides[step > 0 ? at : (at + polygon->count - 1) % polygon->count];
        if (side->dy == 0)
            continue;
        const int sign = side->dy > 0 ? 1 : -1;
        const int64_t row = ceiling(polygon->vertices[at].y);
        if (count)
            edges[count - 1].height = row - edges[count - 1].top;
        edges[count++] = (struct edge){
            .top = row,
            .k = ceiling(sign * side->k) + row * sign * side->dx,
            .dx = sign * side->dx,
            .dy = sign * side->dy,
        };
    }
    if (count)
        edges[count - 1].height = ceiling(polygon->vertices[to].y) - edges[count - 1].top;
    return count;
}

static void keep(struct dasher *dasher, int64_t x, int64_t y, int64_t width)
{
    if (dasher->count < dasher->room)
        dasher->spans[dasher->count] = (struct spicemig_span){(int32_t)x, (int32_t)y, (int32_t)width};
    dasher->count++;
}

/* Fill a convex polygon whose places count from (x, y). */
static void fill(struct dasher *dasher, const struct polygon *polygon, int32_t x, int32_t y)
{
    int top = 0, bottom = 0;

    for (int index = 1; index < polygon->count; index++) {
        if (polygon->vertices[index].y < polygon->vertices[top].y)
            top = index;
        if (polygon->vertices[index].y >= polygon->vertices[bottom].y)
            bottom = index;
    }
    const struct side *before = &polygon->sides[(top + polygon->count - 1) % polygon->count];
    const struct side *after = &polygon->sides[top];
    const int step = before->dy * after->dx > after->dy * before->dx ? -1 : 1;
    struct edge lefts[CORNERS], rights[CORNERS];
    const int right_count = chain(rights, polygon, top, bottom, step);
    const int left_count = chain(lefts, polygon, top, bottom, -step);
    int left = -1, right = -1;
    int64_t left_row = 0, right_row = 0, left_rest = 0, right_rest = 0;
    int64_t row = right_count ? rights[0].top : 0;

    while ((left + 1 < left_count || left_rest) && (right + 1 < right_count || right_rest)) {
        if (!left_rest && left + 1 < left_count) {
            left_rest = lefts[++left].height;
            left_row = 0;
        }
        if (!right_rest && right + 1 < right_count) {
            right_rest = rights[++right].height;
            right_row = 0;
        }
        const int64_t height = left_rest < right_rest ? left_rest : right_rest;
        left_rest -= height;
        right_rest -= height;
        for (int64_t done = 0; done < height; done++) {
            const int64_t begin = left_pixel(&lefts[left], left_row++);
            const int64_t end = left_pixel(&rights[right], right_row++);
            if (begin < end)
                keep(dasher, x + begin, y + row, end - begin);
            row++;
        }
    }
    if (!dasher->collects) {
        const size_t kept = dasher->count < dasher->room ? dasher->count : dasher->room;
        spicemig_paint_spans(dasher->canvas, dasher->spans, kept);
        dasher->count = 0;
    }
}

static void next_dash(struct dasher *dasher)
{
    if (++dasher->index == dasher->dashes.count)
        dasher->index = 0;
}

static int64_t dash_length(const struct dasher *dasher)
{
    return dasher->dashes.lengths[dasher->index];
}

static int is_dash(const struct dasher *dasher)
{
    return dasher->index % 2 == 0;
}

static void begin(struct dasher *dasher)
{
    int64_t total = 0;

    for (size_t index = 0; index < dasher->dashes.count; index++)
        total += dasher->dashes.lengths[index];
    dasher->index = 0;
    dasher->offset = dasher->dashes.offset % total;
    while (dasher->offset >= dash_length(dasher)) {
        dasher->offset -= dash_length(dasher);
        next_dash(dasher);
    }
}

/* The corners of a dash: 0 and 3 are where it starts, 1 and 2 where it ends. */
enum corner { START_NEAR, END_NEAR, END_FAR, START_FAR };

static void one_line(struct dasher *dasher, struct spicemig_point from, struct spicemig_point to,
                     struct face *start, struct face *end)
{
    const int64_t dx = (int64_t)to.x - from.x, dy = (int64_t)to.y - from.y;
    double length, half_x = 0, half_y = 0;

    if (dx == 0) {
        length = (double)(dy < 0 ? -dy : dy);
        half_y = dy < 0 ? -0.5 : 0.5;
    } else if (dy == 0) {
        length = (double)(dx < 0 ? -dx : dx);
        half_x = dx < 0 ? -0.5 : 0.5;
    } else {
        length = sqrt((double)(dx * dx + dy * dy));
        const double ratio = 0.5 / length;
        half_x = ratio * (double)dx;
        half_y = ratio * (double)dy;
    }
    const double k = 0.5 * length;
    const struct vertex near_corner = {half_y, -half_x}, far_corner = {-half_y, half_x};
    struct polygon dash = {
        .count = CORNERS,
        .vertices = {near_corner, near_corner, far_corner, far_corner},
        .sides = {{dx, dy, k}, {-dy, dx, 0}, {-dx, -dy, k}, {dy, -dx, 0}},
    };
    struct vertex *corners = dash.vertices;
    int64_t remain = dash_length(dasher) - dasher->offset;
    double to_go = length;

    while (to_go > (double)remain) {
        const double dash_x = (double)(remain * dx) / length, dash_y = (double)(remain * dy) / length;
        corners[END_NEAR].x += dash_x;
        corners[END_NEAR].y += dash_y;
        corners[END_FAR].x += dash_x;
        corners[END_FAR].y += dash_y;
        dash.sides[END_NEAR].k = corners[END_NEAR].x * (double)dx + corners[END_NEAR].y * (double)dy;
        if (is_dash(dasher))
            fill(dasher, &dash, from.x, from.y);
        to_go -= (double)remain;
        next_dash(dasher);
        remain = dash_length(dasher);
        corners[START_NEAR] = corners[END_NEAR];
        corners[START_FAR] = corners[END_FAR];
        dash.sides[START_FAR].k = -dash.sides[END_NEAR].k;
    }
    if (is_dash(dasher)) { /* the rest is computed from the other end */
        corners[START_NEAR].x -= (double)dx;
        corners[START_NEAR].y -= (double)dy;
        corners[START_FAR].x -= (double)dx;
        corners[START_FAR].y -= (double)dy;
        corners[END_NEAR] = near_corner;
        corners[END_FAR] = far_corner;
        dash.sides[END_NEAR].k = 0;
        dash.sides[START_FAR].k += (double)(dx * dx + dy * dy);
        fill(dasher, &dash, to.x, to.y);
    }
    remain = (int64_t)((double)remain - to_go);
    if (remain == 0) {
        next_dash(dasher);
        remain = dash_length(dasher);
    }
    dasher->offset = dash_length(dasher) - remain;
    *start = (struct face){from.x, from.y, dx, dy, near_corner.x, near_corner.y, k};
    *end = (struct face){to.x, to.y, -dx, -dy, far_corner.x, far_corner.y, k};
}

static struct face turned(struct face face)
{
    return (struct face){face.x, face.y, -face.dx, -face.dy, -face.xa, -face.ya, face.k};
}

static int goes_on(const struct face *face)
{
    return face->dx > 0 || (face->dx == 0 && face->dy > 0);
}

static double size_of(double number)
{
    return number < 0 ? -number : number;
}

/* Fill the corner between two lines. */
static void join(struct dasher *dasher, struct face one, struct face other)
{
    if (!dasher->collects && (goes_on(&one) || goes_on(&other)))
        return; /* one of the lines has the pixel already */
    const double turn = (double)(other.dx * one.dy - one.dx * other.dy);
    if (turn == 0)
        return;
    const int sign = turn > 0 ? 1 : -1;
    if (turn > 0)
        one = turned(one);
    else
        other = turned(other);
    struct polygon corner = {
        .vertices = {{other.xa, other.ya}, {0, 0}, {one.xa, one.ya}},
        .sides = {{-other.dy, other.dx, 0}, {one.dy, -one.dx, 0}},
    };
    const double one_dx = (double)one.dx, one_dy = (double)one.dy;
    const double other_dx = (double)other.dx, other_dy = (double)other.dy;
    const double miter_y = (one_dy * (other.xa * other_dy - other.ya * other_dx) -
                            other_dy * (one.xa * one_dy - one.ya * one_dx)) /
                           turn;
    const double miter_x = one.dy != 0 ? one.xa + (miter_y - one.ya) * one_dx / one_dy
                                       : other.xa + (miter_y - other.ya) * other_dx / other_dy;
    if ((miter_x * miter_x + miter_y * miter_y) * 4 > ROUGH_MITER_SQUARE) {
        const double dx = other.xa - one.xa, dy = other.ya - one.ya;
        const double scale = size_of(dx) > size_of(dy) ? size_of(dx) : size_of(dy);
        const int64_t side_x = (int64_t)(dx * 65536 / scale), side_y = (int64_t)(dy * 65536 / scale);
        corner.count = 3;
        corner.sides[2] = (struct side){
            side_x,
            side_y,
            ((one.xa + other.xa) * (double)side_y - (one.ya + other.ya) * (double)side_x) / 2,
        };
    } else {
        corner.count = 4;
        corner.sides[2] = (struct side){sign * one.dx, sign * one.dy, sign * one.k};
        corner.vertices[3] = (struct vertex){miter_x, miter_y};
        corner.sides[3] = (struct side){sign * other.dx, sign * other.dy, sign * other.k};
    }
    fill(dasher, &corner, one.x, one.y);
}

static void all_lines(struct dasher *dasher, const struct spicemig_point *points, size_t point_count)
{
    struct face first = {0}, start, end = {0};
    int something = 0, starts_drawn = 0, ends_drawn = 0;
    const struct spicemig_point last = points[point_count - 1];

    begin(dasher);
    for (size_t index = 1; index < point_count; index++) {
        const struct spicemig_point from = points[index - 1], to = points[index];
        if (from.x == to.x && from.y == to.y)
            continue;
        const int drawn = is_dash(dasher), was_drawn = ends_drawn;
        const struct face before = end;
        one_line(dasher, from, to, &start, &end);
        ends_drawn = !is_dash(dasher) != (dasher->offset != 0);
        if (!something) {
            first = start;
            starts_drawn = drawn;
            something = 1;
        } else if (drawn && was_drawn) {
            join(dasher, start, before);
        }
    }
    if (starts_drawn && ends_drawn && points[0].x == last.x && points[0].y == last.y)
        join(dasher, first, end);
}

/* Whether some source inverts what is below: drawing twice is then not the same as once. */
static int adds_up(unsigned rop)
{
    return (rop & 3u) == 1 || rop >> 2 == 1;
}

size_t spicemig_draw_dashes(const struct spicemig_canvas *canvas, const struct spicemig_point *points,
                            size_t point_count, struct spicemig_dashes dashes, struct spicemig_span *spans,
                            size_t capacity)
{
    struct dasher dasher = {
        .canvas = canvas,
        .dashes = dashes,
        .collects = point_count > 2 && adds_up(canvas->rop),
        .spans = spans,
        .room = capacity - canvas->box_count,
    };

    if (point_count == 0)
        return canvas->box_count;
    all_lines(&dasher, points, point_count);
    if (dasher.collects && dasher.count <= dasher.room)
        spicemig_paint_spans(canvas, spans, spicemig_merge_spans(spans, dasher.count));
    return canvas->box_count + dasher.count;
}
