// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/drawing.c: records become commands of the rasteriser's log. */
#include "drawing.h"

#include <string.h>

#include "convert.h"
#include "rop.h"

enum ropd {
    INVERS_SRC = 1 << 0,
    INVERS_BRUSH = 1 << 1,
    INVERS_DEST = 1 << 2,
    OP_PUT = 1 << 3,
    OP_OR = 1 << 4,
    OP_AND = 1 << 5,
    OP_XOR = 1 << 6,
    OP_BLACKNESS = 1 << 7,
    OP_WHITENESS = 1 << 8,
    OP_INVERS = 1 << 9,
    INVERS_RES = 1 << 10,
};

enum brush_type { BRUSH_NONE = 0, BRUSH_SOLID = 1, BRUSH_PATTERN = 2 };
enum clip_type { CLIP_NONE = 0, CLIP_RECTS = 1 };

#define HIGH_BITS_SET 2       /* ImageFlags */
#define FORMAT_XRGB32 32      /* SurfaceFormat: those that keep four bytes as they are */
#define FORMAT_ARGB32 96
#define INVERS 5              /* as tables of rop.h */
#define RECTS_LIMIT 64        /* more are joined first, by others */

struct brush {
    unsigned type;
    uint32_t color;
    const struct spicemig_drawn_image *pattern;
};

/* All of a drawing that decides how it is drawn. */
struct drawing {
    const struct spicemig_record *record;
    const struct spicemig_drawn_image *images;
    const struct spicemig_shown *surfaces;
    uint32_t place;
    struct spicemig_reader reader;
    struct spicemig_draw_base base;
    const struct spicemig_drawn_image *source;
    uint32_t source_number;
    struct spicemig_box area;
    struct brush brush;
    unsigned rop;
    int masked;
};

unsigned spicemig_truth_table(unsigned descriptor, unsigned inverted_source)
{
    static const struct {
        unsigned flag, table; /* of two operations in one descriptor the first counts */
    } operations[] = {{OP_PUT, 12}, {OP_OR, 14}, {OP_AND, 8}, {OP_XOR, 6}};
    static const struct {
        unsigned flag, table; /* these are what they are, whatever is inverted */
    } constants[] = {{OP_BLACKNESS, 0}, {OP_WHITENESS, 15}, {OP_INVERS, INVERS}};

    for (size_t which = 0; which < sizeof operations / sizeof operations[0]; which++) {
        if (!(descriptor & operations[which].flag))
            continue;
        unsigned table = operations[which].table;
        if (descriptor & inverted_source)
            table = (table >> 2 | table << 2) & 15;
        if (descriptor & INVERS_DEST)
            table = (table >> 1 & 5) | (table << 1 & 10);
        return descriptor & INVERS_RES ? table ^ 15 : table;
    }
    for (size_t which = 0; which < sizeof constants / sizeof constants[0]; which++)
        if (descriptor & constants[which].flag)
            return constants[which].table;
    return SPICEMIG_ROP_PUT;
}

/* Whether the result of this table is the same for both values of its last input. */
static int forgets(unsigned table)
{
    return ((table ^ table >> 1) & 0x55) == 0;
}

/* The image of the pointer that comes next; is_null if there is none. NULL also for what is no image. */
static const struct spicemig_drawn_image *take_image(struct drawing *drawing, uint32_t *number, int *is_null)
{
    const struct spicemig_record *record = drawing->record;
    const size_t here = record->body_bytes - drawing->reader.left;

    *is_null = spicemig_take_u32(&drawing->reader) == 0;
    for (unsigned which = 0; which < record->relocations; which++)
        if (spicemig_relocation_offset(record, which) == here) {
            *number = spicemig_relocation_image(record, which);
            *is_null = 0;
            return &drawing->images[*number];
        }
    return NULL;
}

static void take_source(struct drawing *drawing)
{
    int is_null;

    drawing->source = take_image(drawing, &drawing->source_number, &is_null);
    drawing->area = spicemig_take_rect(&drawing->reader);
}

static void take_brush(struct drawing *drawing)
{
    uint32_t number;
    int is_null;

    drawing->brush.type = spicemig_take_u8(&drawing->reader);
    if (drawing->brush.type == BRUSH_SOLID)
        drawing->brush.color = spicemig_take_u32(&drawing->reader);
    if (drawing->brush.type == BRUSH_PATTERN) {
        drawing->brush.pattern = take_image(drawing, &number, &is_null);
        spicemig_take(&drawing->reader, 8); /* its place */
    }
}

static void take_mask(struct drawing *drawing)
{
    uint32_t number;
    int is_null;

    spicemig_take(&drawing->reader, 1 + 8); /* flags and place */
    drawing->masked = take_image(drawing, &number, &is_null) != NULL || !is_null;
}

/* Whether an image can be drawn here, and is not what the surface itself shows; then its size. */
static int size_of(const struct drawing *drawing, const struct spicemig_drawn_image *image, uint32_t *width,
                   uint32_t *height)
{
    if (image == NULL)
        return 0;
    if (image->place != SPICEMIG_NO_PLACE) {
        *width = drawing->surfaces[image->place].width;
        *height = drawing->surfaces[image->place].height;
        return image->place != drawing->place;
    }
    *width = image->width;
    *height = image->height;
    if (image->width == 0 || image->width > SPICEMIG_LARGEST_SIDE || image->height == 0 ||
        image->height > SPICEMIG_LARGEST_SIDE)
        return 0;
    const uint64_t row_bytes = spicemig_row_bytes(image->format, image->width);
    return row_bytes != 0 && image->stride >= row_bytes &&
           (uint64_t)(image->height - 1) * image->stride + row_bytes <= image->bytes;
}

/* Whether a brush can paint everywhere. */
static int paints(const struct drawing *drawing)
{
    uint32_t width, height;

    if (drawing->brush.type == BRUSH_PATTERN)
        return size_of(drawing, drawing->brush.pattern, &width, &height);
    return drawing->brush.type == BRUSH_SOLID || drawing->brush.type == BRUSH_NONE;
}

/* Whether the area of the image has all its pixels. */
static int fits(const struct drawing *drawing)
{
    uint32_t width, height;

    if (!size_of(drawing, drawing->source, &width, &height) || spicemig_box_is_empty(drawing->area))
        return 0;
    return spicemig_box_covers((struct spicemig_box){0, 0, (int32_t)width, (int32_t)height}, drawing->area);
}

/* Read the message; whether it leaves nothing of what was in its box. */
static int read(struct drawing *drawing)
{
    struct spicemig_reader *reader = &drawing->reader;
    int opaque = 0;
    unsigned rop;

    drawing->base = spicemig_take_draw_base(reader);
    switch (drawing->record->number) {
    case SPICEMIG_COPY_BITS:
        drawing->area.left = (int32_t)spicemig_take_u32(reader);
        drawing->area.top = (int32_t)spicemig_take_u32(reader);
        return 0;
    case SPICEMIG_DRAW_FILL:
        take_brush(drawing);
        drawing->rop = spicemig_truth_table(spicemig_take_u16(reader), INVERS_BRUSH);
        opaque = forgets(drawing->rop) && paints(drawing);
        break;
    case SPICEMIG_DRAW_COPY:
    case SPICEMIG_DRAW_BLEND:
        take_source(drawing);
        drawing->rop = spicemig_truth_table(spicemig_take_u16(reader), INVERS_SRC);
        spicemig_take(reader, 1); /* scale_mode */
        opaque = forgets(drawing->rop) && fits(drawing);
        break;
    case SPICEMIG_DRAW_OPAQUE:
        take_source(drawing);
        take_brush(drawing);
        spicemig_take(reader, 2 + 1); /* rop_descriptor and scale_mode */
        opaque = fits(drawing) && paints(drawing);
        break;
    case SPICEMIG_DRAW_ROP3:
        take_source(drawing);
        take_brush(drawing);
        rop = spicemig_take_u8(reader);
        spicemig_take(reader, 1); /* scale_mode */
        opaque = forgets(rop) && fits(drawing) && paints(drawing);
        break;
    case SPICEMIG_DRAW_BLACKNESS:
    case SPICEMIG_DRAW_WHITENESS:
        opaque = 1;
        break;
    case SPICEMIG_DRAW_INVERS:
        break;
    default:
        return 0;
    }
    take_mask(drawing);
    return opaque && !drawing->masked && !reader->is_short && drawing->base.clip_type == CLIP_NONE;
}

/* What of the box can be drawn on: it lies on the surface, and in the box around the clip. */
static struct spicemig_box drawn_box(const struct drawing *drawing)
{
    const struct spicemig_shown *surface = &drawing->surfaces[drawing->place];
    const struct spicemig_draw_base *base = &drawing->base;
    const struct spicemig_box whole = {0, 0, (int32_t)surface->width, (int32_t)surface->height};
    struct spicemig_box box = spicemig_box_within(base->box, whole);

    if (base->clip_type != CLIP_RECTS || drawing->reader.is_short)
        return box;
    struct spicemig_box around = {INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};
    for (uint32_t which = 0; which < base->rects_count; which++) {
        const struct spicemig_box rect = spicemig_rect_at(base->rects + (size_t)which * 16);
        if (spicemig_box_is_empty(rect))
            continue;
        around.left = rect.left < around.left ? rect.left : around.left;
        around.top = rect.top < around.top ? rect.top : around.top;
        around.right = rect.right > around.right ? rect.right : around.right;
        around.bottom = rect.bottom > around.bottom ? rect.bottom : around.bottom;
    }
    return spicemig_box_within(box, around);
}

/* From the box to what is drawn there; 0 if that is too far away, or a place without pixels. */
static int set_distance(const struct drawing *drawing, struct spicemig_command *command)
{
    const int64_t dx = (int64_t)drawing->area.left - drawing->base.box.left;
    const int64_t dy = (int64_t)drawing->area.top - drawing->base.box.top;

    if (dx < -SPICEMIG_FARTHEST || dx > SPICEMIG_FARTHEST || dy < -SPICEMIG_FARTHEST || dy > SPICEMIG_FARTHEST)
        return 0;
    command->dx = (int32_t)dx;
    command->dy = (int32_t)dy;
    return 1;
}

static int is_scaled(const struct drawing *drawing)
{
    const struct spicemig_box *area = &drawing->area, *box = &drawing->base.box;

    return (int64_t)area->right - area->left != (int64_t)box->right - box->left ||
           (int64_t)area->bottom - area->top != (int64_t)box->bottom - box->top;
}

static int is_plain(uint32_t format)
{
    return format == FORMAT_XRGB32 || format == FORMAT_ARGB32;
}

static void plan_move(const struct drawing *drawing, struct spicemig_command *command)
{
    if (!set_distance(drawing, command))
        return;
    command->flags |= SPICEMIG_READS_BOX;
    if (drawing->base.clip_type == CLIP_RECTS && drawing->base.rects_count != 1)
        return;
    const struct spicemig_shown *surface = &drawing->surfaces[drawing->place];
    const struct spicemig_box box = command->box;
    command->operation = SPICEMIG_MOVE;
    if (box.left + command->dx >= 0 && box.top + command->dy >= 0 &&
        (int64_t)box.right + command->dx <= surface->width &&
        (int64_t)box.bottom + command->dy <= surface->height)
        command->flags |= SPICEMIG_COVERS;
}

static void plan_fill(const struct drawing *drawing, struct spicemig_command *command, uint32_t value,
                      unsigned rop)
{
    if (!is_plain(drawing->surfaces[drawing->place].format))
        return;
    command->operation = SPICEMIG_FILL;
    command->value = value;
    command->rop = (uint8_t)rop;
}

static void plan_copy(const struct drawing *drawing, struct spicemig_command *command)
{
    const struct spicemig_drawn_image *source = drawing->source;

    if (source == NULL || is_scaled(drawing) || spicemig_box_is_empty(drawing->area) ||
        !set_distance(drawing, command))
        return;
    command->rop = (uint8_t)drawing->rop;
    if (source->place != SPICEMIG_NO_PLACE)
        command->flags |= SPICEMIG_READS_BOX;
    if (!is_plain(drawing->surfaces[drawing->place].format))
        return;
    if (source->place == drawing->place) {
        if (drawing->rop == SPICEMIG_ROP_PUT)
            plan_move(drawing, command);
    } else if (source->place != SPICEMIG_NO_PLACE) {
        command->operation = SPICEMIG_COPY_SURFACE;
    } else if (source->format == SPICEMIG_RGBA ||
               (source->format == SPICEMIG_32BIT && !(source->flags & HIGH_BITS_SET))) {
        uint32_t width, height;
        if (!size_of(drawing, source, &width, &height))
            return;
        command->operation = SPICEMIG_COPY;
        command->value = drawing->source_number;
        command->width = width;
        command->height = height;
        command->stride = source->stride;
        command->flags |= source->bottom_up ? SPICEMIG_BOTTOM_UP : 0;
    }
}

/* Surfaces that it reads, each once; its own among them only if it is not merely drawn on. */
static void set_reads(const struct drawing *drawing, struct spicemig_command *command)
{
    const struct spicemig_record *record = drawing->record;
    unsigned count = 0;

    for (unsigned which = 0; which < SPICEMIG_READS; which++)
        command->reads[which] = SPICEMIG_NO_PLACE;
    if (record->number == SPICEMIG_COPY_BITS)
        command->reads[count++] = drawing->place;
    for (unsigned which = 0; which < record->relocations && count < SPICEMIG_READS; which++) {
        const uint32_t place = drawing->images[spicemig_relocation_image(record, which)].place;
        unsigned known = 0;
        while (known < count && command->reads[known] != place)
            known++;
        if (place != SPICEMIG_NO_PLACE && known == count)
            command->reads[count++] = place;
    }
}

static void plan(struct drawing *drawing, struct spicemig_command *command)
{
    if (drawing->masked || drawing->base.clip_type > CLIP_RECTS)
        return;
    switch (drawing->record->number) {
    case SPICEMIG_COPY_BITS:
        plan_move(drawing, command);
        break;
    case SPICEMIG_DRAW_FILL:
        if (drawing->brush.type == BRUSH_SOLID || drawing->brush.type == BRUSH_NONE)
            plan_fill(drawing, command, drawing->brush.color, drawing->rop);
        break;
    case SPICEMIG_DRAW_COPY:
    case SPICEMIG_DRAW_BLEND:
        plan_copy(drawing, command);
        break;
    case SPICEMIG_DRAW_BLACKNESS:
        plan_fill(drawing, command, 0, SPICEMIG_ROP_PUT);
        break;
    case SPICEMIG_DRAW_WHITENESS:
        plan_fill(drawing, command, UINT32_MAX, SPICEMIG_ROP_PUT);
        break;
    case SPICEMIG_DRAW_INVERS:
        plan_fill(drawing, command, 0, INVERS);
        break;
    default:
        break;
    }
    if (drawing->base.rects_count > 1) {
        /* Pixels in two rectangles of a clip are drawn twice here, which must not show. */
        if (command->rop != SPICEMIG_ROP_PUT || drawing->base.rects_count > RECTS_LIMIT)
            command->operation = SPICEMIG_BY_OTHERS;
        command->flags |= SPICEMIG_CLIPPED;
    }
}

int spicemig_command_of(const struct spicemig_record *record, uint32_t place,
                        const struct spicemig_drawn_image *images, const struct spicemig_shown *surfaces,
                        struct spicemig_command *command)
{
    struct drawing drawing = {
        .record = record,
        .images = images,
        .surfaces = surfaces,
        .place = place,
        .reader = {record->body, record->body_bytes, 0},
    };
    const int opaque = read(&drawing);

    memset(command, 0, sizeof *command);
    command->place = place;
    if (drawing.reader.is_short)
        drawing.base.box = record->box;
    command->box = drawn_box(&drawing);
    set_reads(&drawing, command);
    if (opaque)
        command->flags |= SPICEMIG_COVERS;
    if (!drawing.reader.is_short && !spicemig_box_is_empty(command->box))
        plan(&drawing, command);
    return opaque;
}
