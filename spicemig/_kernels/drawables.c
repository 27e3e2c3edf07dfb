// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/drawables.c: see drawables.h. */
#include "drawables.h"

#include <string.h>

#include "records.h"

#define BASE_BYTES 21 /* of a body: surface id, box, type of clip */
#define PLACE_OFFSET 8 /* of surface id and box in a record */
#define RECT_BYTES 16
#define POINT_BYTES 8 /* x and y */
#define POINTER_BYTES 4
#define CLIP_RECTS 1

/* the drawings that are not in records.h */
enum more_drawings { DRAW_TRANSPARENT = 312, DRAW_ALPHA_BLEND = 313 };

static int is_inside(const struct spicemig_row *inner, const struct spicemig_row *outer)
{
    return outer->top <= inner->top && outer->left <= inner->left && outer->bottom >= inner->bottom &&
           outer->right >= inner->right;
}

static int reads(const struct spicemig_row *row, uint32_t surface)
{
    if (row->flags & SPICEMIG_ROW_READS_ANY)
        return 1;
    for (size_t index = 0; index < row->reads_count && index < SPICEMIG_ROW_READS; index++)
        if (row->reads[index] == surface)
            return 1;
    return 0;
}

/* Whether it moves a part of its surface that lies outside of a box on it. */
static int reads_elsewhere(const struct spicemig_row *row, const struct spicemig_row *box)
{
    const int64_t bottom = (int64_t)row->from_top + row->bottom - row->top;
    const int64_t right = (int64_t)row->from_left + row->right - row->left;

    return (row->flags & SPICEMIG_ROW_MOVES) && (bottom <= box->top || row->from_top >= box->bottom ||
                                                 right <= box->left || row->from_left >= box->right);
}

size_t spicemig_covered(const uint8_t *rows, size_t count, const struct spicemig_row *cover, int whole,
                        uint32_t *found)
{
    size_t some = 0;

    for (size_t index = count; index-- > 0;) {
        struct spicemig_row row;
        memcpy(&row, rows + index * sizeof row, sizeof row);
        const int own = row.surface == cover->surface;
        if (!own && row.reads_count == 0 && !(row.flags & SPICEMIG_ROW_READS_ANY))
            continue;
        const int hidden = own && (row.flags & SPICEMIG_ROW_DRAWS) && (whole || is_inside(&row, cover));
        /* one that reads its own surface, but is covered, keeps nothing: nobody sees what it reads */
        if (!hidden && reads(&row, cover->surface) && (whole || !reads_elsewhere(&row, cover)))
            break;
        if (hidden)
            found[some++] = (uint32_t)index;
    }
    return some;
}

int spicemig_drawable_read(const uint8_t *records, size_t bytes, size_t offset, struct spicemig_drawable *read)
{
    struct spicemig_record record;

    if (!spicemig_record_at(records, bytes, offset, &record) || record.body_bytes < BASE_BYTES)
        return 0;
    read->record = records + offset;
    read->number = record.number;
    read->effect = record.effect;
    read->relocations = record.relocations;
    read->surface = record.surface;
    read->top = record.box.top;
    read->left = record.box.left;
    read->bottom = record.box.bottom;
    read->right = record.box.right;
    read->body = record.body;
    read->body_bytes = record.body_bytes;
    const unsigned clip = read->body[BASE_BYTES - 1];
    read->clipped = clip != 0;
    read->behind_base = BASE_BYTES;
    if (clip == CLIP_RECTS) {
        if (read->body_bytes < BASE_BYTES + 4)
            return 0;
        const size_t rects = spicemig_u32_at(read->body + BASE_BYTES);
        if (rects > (read->body_bytes - BASE_BYTES - 4) / RECT_BYTES)
            return 0;
        read->behind_base += 4 + rects * RECT_BYTES;
    }
    for (size_t which = 0; which < read->relocations; which++) {
        uint32_t pointer, image;
        spicemig_drawable_relocation(read, which, &pointer, &image);
        if (pointer > read->body_bytes || read->body_bytes - pointer < POINTER_BYTES)
            return 0;
    }
    return 1;
}

void spicemig_drawable_relocation(const struct spicemig_drawable *drawable, size_t which, uint32_t *pointer,
                                  uint32_t *image)
{
    const uint8_t *const at =
        drawable->record + SPICEMIG_RECORD_HEADER_BYTES + which * SPICEMIG_RELOCATION_BYTES;

    *pointer = spicemig_u32_at(at);
    *image = spicemig_u32_at(at + 4);
}

void spicemig_drawable_row(const struct spicemig_drawable *drawable, struct spicemig_row *row)
{
    memset(row, 0, sizeof *row);
    row->flags = SPICEMIG_ROW_DRAWS;
    if (drawable->effect == SPICEMIG_EFFECT_OPAQUE && !drawable->clipped)
        row->flags |= SPICEMIG_ROW_COVERS;
    row->surface = drawable->surface;
    row->top = drawable->top;
    row->left = drawable->left;
    row->bottom = drawable->bottom;
    row->right = drawable->right;
    if (drawable->number == SPICEMIG_COPY_BITS) {
        spicemig_row_reads(row, drawable->surface);
        if (!drawable->clipped && drawable->relocations == 0 &&
            drawable->body_bytes >= BASE_BYTES + POINT_BYTES) {
            row->flags |= SPICEMIG_ROW_MOVES;
            row->from_left = spicemig_i32_at(drawable->body + BASE_BYTES);
            row->from_top = spicemig_i32_at(drawable->body + BASE_BYTES + 4);
        }
    }
}

void spicemig_row_reads(struct spicemig_row *row, uint32_t surface)
{
    if (surface == row->surface)
        row->flags &= (uint8_t)~SPICEMIG_ROW_COVERS;
    for (size_t index = 0; index < row->reads_count; index++)
        if (row->reads[index] == surface)
            return;
    if (row->reads_count == SPICEMIG_ROW_READS)
        row->flags |= SPICEMIG_ROW_READS_ANY;
    else
        row->reads[row->reads_count++] = surface;
}

/* The offset in the body of the pointer to the image of which an area is drawn; 0 for other drawings. */
static size_t source_offset(const struct spicemig_drawable *drawable)
{
    switch (drawable->number) {
    case SPICEMIG_DRAW_OPAQUE:
    case SPICEMIG_DRAW_COPY:
    case SPICEMIG_DRAW_BLEND:
    case DRAW_TRANSPARENT:
        return drawable->behind_base;
    case DRAW_ALPHA_BLEND:
        return drawable->behind_base + 2;
    default:
        return 0;
    }
}

enum spicemig_kind spicemig_drawable_kind(const struct spicemig_drawable *drawable)
{
    uint32_t pointer, image;
    uint8_t place[BASE_BYTES - 1];

    /* what is culled must be what is drawn */
    memcpy(place, drawable->record + PLACE_OFFSET, sizeof place);
    if (memcmp(place, drawable->body, sizeof place) != 0 || drawable->body[BASE_BYTES - 1] > CLIP_RECTS)
        return SPICEMIG_UNUSUAL;
    if (drawable->relocations == 0)
        switch (drawable->number) {
        case SPICEMIG_COPY_BITS:
        case SPICEMIG_DRAW_FILL:
        case SPICEMIG_DRAW_BLACKNESS:
        case SPICEMIG_DRAW_WHITENESS:
        case SPICEMIG_DRAW_INVERS:
            return SPICEMIG_NO_IMAGE;
        default:
            return SPICEMIG_UNUSUAL;
        }
    const size_t source = source_offset(drawable);
    if (drawable->relocations != 1 || source == 0 ||
        drawable->body_bytes < source + POINTER_BYTES + RECT_BYTES)
        return SPICEMIG_UNUSUAL;
    spicemig_drawable_relocation(drawable, 0, &pointer, &image);
    return pointer == source ? SPICEMIG_ONE_IMAGE : SPICEMIG_UNUSUAL;
}

int spicemig_drawable_inside(const struct spicemig_drawable *drawable, uint32_t width, uint32_t height)
{
    const uint8_t *const area = drawable->body + source_offset(drawable) + POINTER_BYTES;
    const int32_t top = spicemig_i32_at(area), left = spicemig_i32_at(area + 4);
    const int32_t bottom = spicemig_i32_at(area + 8), right = spicemig_i32_at(area + 12);

    return 0 <= top && top < bottom && (uint32_t)bottom <= height && 0 <= left && left < right &&
           (uint32_t)right <= width;
}
