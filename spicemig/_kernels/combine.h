// SPDX-License-Identifier: LGPL-2.1-or-later
/* spicemig/_kernels/combine.h: rows of pixels combined by the operators of X Render and PDF. */
#ifndef SPICEMIG_COMBINE_H
#define SPICEMIG_COMBINE_H

#include <stddef.h>
#include <stdint.h>

/* Operators have pixman's numbers. */
#define SPICEMIG_OPERATORS 0x3f

/* A pixel whose parts are fractions of 1. */
struct spicemig_colour {
    float alpha, red, green, blue;
};

/*
 * Combine count pixels of src with those of dst: four bytes each, blue, green, red,
 * alpha, the colours multiplied by alpha. mask may be NULL; of its pixels the alpha
 * counts, or, by_parts, each part for that part of the source.
 */
typedef void spicemig_combine(uint8_t *restrict dst, const uint8_t *restrict src, const uint8_t *restrict mask,
                              int by_parts, size_t count);

/* The same with fractions and a mask, which may be NULL. */
typedef void spicemig_combine_fractions(struct spicemig_colour *restrict dst,
                                        const struct spicemig_colour *restrict src,
                                        const struct spicemig_colour *restrict mask, size_t count);

/* How an operator is calculated: with bytes, or with fractions if it divides. */
struct spicemig_operator {
    spicemig_combine *combine;
    spicemig_combine_fractions *combine_fractions, *combine_parts_fractions;
};

/*
 * The operator of this number; all NULL if there is none, or if it leaves dst as it
 * is. An operator has either the function for bytes or both for fractions. They
 * round as pixman does. Reference: devices/raster/reference_composite.py, equal
 * bit by bit.
 */
struct spicemig_operator spicemig_operator_of(unsigned number);

/* Those with fractions; combine_fractions.c. */
struct spicemig_operator spicemig_operator_of_fractions(unsigned number);

#endif
