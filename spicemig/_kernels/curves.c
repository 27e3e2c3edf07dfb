// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/curves.c: Bezier curves as lines. */
#include "curves.h"

#include <string.h>

#define DEPTH 128 /* parts that wait: 33 bits cannot be halved so often */

struct curve {
    struct spicemig_fixed places[4];
};

/* Towards 0. */
static struct spicemig_fixed middle(struct spicemig_fixed one, struct spicemig_fixed other)
{
    return (struct spicemig_fixed){(one.x + other.x) / 2, (one.y + other.y) / 2};
}

static struct spicemig_fixed from_to(struct spicemig_fixed one, struct spicemig_fixed other)
{
    return (struct spicemig_fixed){other.x - one.x, other.y - one.y};
}

/* Products of large curves do not fit into 64 bits; then what is left of them counts, as at clients. */
static int64_t product(int64_t one, int64_t other)
{
    return (int64_t)((uint64_t)one * (uint64_t)other);
}

static int64_t difference(int64_t one, int64_t other)
{
    return (int64_t)((uint64_t)one - (uint64_t)other);
}

static int64_t inner(struct spicemig_fixed one, struct spicemig_fixed other)
{
    return (int64_t)((uint64_t)product(one.x, other.x) + (uint64_t)product(one.y, other.y)) >> 4;
}

/* Whether a place between is so near to the line between the ends that it does not count. */
static int near_chord(struct spicemig_fixed arm, struct spicemig_fixed chord, int64_t chord_square)
{
    const int64_t square = inner(arm, arm), along = inner(arm, chord);

    if (square == 0 && chord_square == 0 && along == 0)
        return 1; /* nothing that could be divided further */
    return difference(product(square, chord_square), product(along, along)) >> 3 < chord_square;
}

static int is_flat(const struct curve *curve)
{
    const struct spicemig_fixed *at = curve->places;
    const struct spicemig_fixed chord = from_to(at[0], at[3]), back = from_to(at[3], at[0]);
    const int64_t square = inner(chord, chord);

    return near_chord(from_to(at[0], at[1]), chord, square) && near_chord(from_to(at[3], at[2]), back, square);
}

static int32_t whole(int64_t fixed)
{
    return (int32_t)((fixed >> 4) + ((fixed & 15) > 8));
}

size_t spicemig_curve_points(struct spicemig_fixed curve[4], struct spicemig_point *points, size_t room)
{
    struct curve parts[DEPTH];
    size_t waiting = 1, count = 0;

    memcpy(parts[0].places, curve, sizeof parts[0].places);
    while (waiting) {
        const struct curve part = parts[--waiting];
        const struct spicemig_fixed *at = part.places;
        if (is_flat(&part)) {
            if (count == SPICEMIG_CURVE_LIMIT)
                return 0;
            if (count < room)
                points[count] = (struct spicemig_point){whole(at[3].x), whole(at[3].y)};
            count++;
            continue;
        }
        if (waiting + 2 > DEPTH)
            return 0;
        const struct spicemig_fixed first = middle(at[0], at[1]), second = middle(at[1], at[2]);
        const struct spicemig_fixed third = middle(at[2], at[3]);
        const struct spicemig_fixed before = middle(first, second), behind = middle(second, third);
        const struct spicemig_fixed half = middle(before, behind);
        parts[waiting++] = (struct curve){{half, behind, third, at[3]}};
        parts[waiting++] = (struct curve){{at[0], first, before, half}};
    }
    return count;
}
