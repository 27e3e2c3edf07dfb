// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/cull.c: which commands of the rasteriser's log need not be drawn. */
#include "cull.h"

static int64_t pixels_of(struct spicemig_box box)
{
    return ((int64_t)box.right - box.left) * ((int64_t)box.bottom - box.top);
}

static int meet(struct spicemig_box one, struct spicemig_box other)
{
    return !spicemig_box_is_empty(spicemig_box_within(one, other));
}

/* Whether two boxes are one together; then it is put into the first. */
static int join(struct spicemig_box *box, struct spicemig_box other)
{
    if (box->top == other.top && box->bottom == other.bottom && box->left <= other.right &&
        other.left <= box->right) {
        box->left = other.left < box->left ? other.left : box->left;
        box->right = other.right > box->right ? other.right : box->right;
        return 1;
    }
    if (box->left == other.left && box->right == other.right && box->top <= other.bottom &&
        other.top <= box->bottom) {
        box->top = other.top < box->top ? other.top : box->top;
        box->bottom = other.bottom > box->bottom ? other.bottom : box->bottom;
        return 1;
    }
    return 0;
}

static void forget(struct spicemig_hidden *cover, uint32_t which)
{
    cover->boxes[which] = cover->boxes[--cover->count];
}

static int is_covered(const struct spicemig_hidden *cover, struct spicemig_box box)
{
    for (uint32_t which = 0; which < cover->count; which++)
        if (spicemig_box_covers(cover->boxes[which], box))
            return 1;
    return 0;
}

/* Add a box that no other covers; the smallest has to go if there are too many. */
static void add(struct spicemig_hidden *cover, struct spicemig_box box)
{
    for (uint32_t which = 0; which < cover->count;) {
        if (spicemig_box_covers(box, cover->boxes[which])) {
            forget(cover, which);
        } else if (join(&box, cover->boxes[which])) {
            forget(cover, which);
            which = 0; /* it is larger now */
        } else {
            which++;
        }
    }
    if (cover->count < SPICEMIG_HIDDEN_BOXES) {
        cover->boxes[cover->count++] = box;
        return;
    }
    uint32_t smallest = 0;
    for (uint32_t which = 1; which < cover->count; which++)
        if (pixels_of(cover->boxes[which]) < pixels_of(cover->boxes[smallest]))
            smallest = which;
    if (pixels_of(cover->boxes[smallest]) < pixels_of(box))
        cover->boxes[smallest] = box;
}

/* The largest part of the box on one side of the other; may be empty. */
static struct spicemig_box largest_side(struct spicemig_box box, struct spicemig_box other)
{
    struct spicemig_box sides[] = {box, box, box, box}, largest = {0, 0, 0, 0};

    sides[0].bottom = other.top;
    sides[1].top = other.bottom;
    sides[2].right = other.left;
    sides[3].left = other.right;
    for (unsigned which = 0; which < 4; which++)
        if (!spicemig_box_is_empty(sides[which]) && pixels_of(sides[which]) > pixels_of(largest))
            largest = sides[which];
    return largest;
}

/* This box is looked at. */
static void uncover(struct spicemig_hidden *cover, struct spicemig_box box)
{
    for (uint32_t which = 0; which < cover->count;) {
        if (meet(cover->boxes[which], box)) {
            cover->boxes[which] = largest_side(cover->boxes[which], box);
            if (spicemig_box_is_empty(cover->boxes[which])) {
                forget(cover, which);
                continue;
            }
        }
        which++;
    }
}

static struct spicemig_box moved(struct spicemig_box box, const struct spicemig_command *command)
{
    return (struct spicemig_box){box.left + command->dx, box.top + command->dy, box.right + command->dx,
                                 box.bottom + command->dy};
}

/* Add what is not empty, and is not covered. */
static void add_new(struct spicemig_hidden *cover, struct spicemig_box box)
{
    if (!spicemig_box_is_empty(box) && !is_covered(cover, box))
        add(cover, box);
}

/*
 * A command looks at its box, moved, on a surface. What it puts where later ones cover it
 * (below, before the command came to its own surface) it need not look at.
 */
static void look(const struct spicemig_command *command, const struct spicemig_hidden *below,
                 struct spicemig_hidden *cover)
{
    const struct spicemig_hidden before = *cover;

    uncover(cover, moved(command->box, command));
    for (uint32_t which = 0; which < below->count; which++) {
        const struct spicemig_box unseen =
            moved(spicemig_box_within(below->boxes[which], command->box), command);
        for (uint32_t other = 0; other < before.count; other++)
            add_new(cover, spicemig_box_within(unseen, before.boxes[other]));
    }
}

void spicemig_cull(const struct spicemig_command *commands, size_t count, struct spicemig_hidden *hidden,
                   const uint8_t *dead, size_t places, uint8_t *keep)
{
    static const struct spicemig_box everywhere = {0, 0, SPICEMIG_FARTHEST, SPICEMIG_FARTHEST};

    for (size_t place = 0; place < places; place++)
        if (dead[place]) {
            hidden[place].boxes[0] = everywhere;
            hidden[place].count = 1;
        }
    for (size_t left = count; left-- > 0;) {
        const struct spicemig_command *command = &commands[left];
        struct spicemig_hidden *cover = &hidden[command->place], below;
        below.count = 0;
        keep[left] = !is_covered(cover, command->box);
        if (!keep[left])
            continue;
        if (command->reads[0] != SPICEMIG_NO_PLACE)
            below = *cover;
        if (command->flags & SPICEMIG_COVERS)
            add(cover, command->box);
        for (unsigned which = 0; which < SPICEMIG_READS && command->reads[which] != SPICEMIG_NO_PLACE; which++) {
            const uint32_t place = command->reads[which];
            if (command->flags & SPICEMIG_READS_BOX)
                look(command, &below, &hidden[place]);
            else
                hidden[place].count = 0;
        }
    }
}

static uint32_t group_of(uint32_t *group, uint32_t place)
{
    while (group[place] != place) {
        group[place] = group[group[place]];
        place = group[place];
    }
    return place;
}

void spicemig_split(const struct spicemig_command *commands, size_t count, uint32_t *group, size_t places,
                    uint32_t place, uint8_t *mine)
{
    for (size_t each = 0; each < places; each++)
        group[each] = (uint32_t)each;
    for (size_t index = 0; index < count; index++)
        for (unsigned which = 0; which < SPICEMIG_READS; which++)
            if (commands[index].reads[which] != SPICEMIG_NO_PLACE)
                group[group_of(group, commands[index].reads[which])] = group_of(group, commands[index].place);
    const uint32_t wanted = group_of(group, place);
    for (size_t index = 0; index < count; index++)
        mine[index] = group_of(group, commands[index].place) == wanted;
}
