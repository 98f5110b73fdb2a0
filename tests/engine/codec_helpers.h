/* SPDX-License-Identifier: Apache-2.0 */

/* What the tests of encodings share: filled-in parts, comparisons that fail
 * the test, and a run of a decoder over damaged bytes. */

#ifndef GROVEFS_TESTS_ENGINE_CODEC_HELPERS_H
#define GROVEFS_TESTS_ENGINE_CODEC_HELPERS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/record.h"

/* A part in which every field has a value, different ones for each seed. */
struct attr filled_attr(uint64_t seed);
struct txn_ref filled_txn(uint64_t seed);

/* `size` times the letter x, in static memory; at most 2 MiB. */
struct slice letters(size_t size);

void assert_slice_equal(struct slice a, struct slice b);
void assert_attr_equal(const struct attr *a, const struct attr *b);
void assert_txn_equal(const struct txn_ref *a, const struct txn_ref *b);

/* The message `b` with one more field behind it, which overrules an earlier
 * one or is added to it. Take `b` and return a new one. */
struct buf *with_bytes(struct buf *b, unsigned field, struct slice value);
struct buf *with_number(struct buf *b, unsigned field, uint64_t value);

/* Decodes and releases again; returns the decoder's code. */
typedef int decoder(struct slice bytes);

/* Drops `b`. */
void assert_decodes_to(int expected, decoder *decode, struct buf *b);

/* Every shorter piece of `b`, and `b` with any one bit changed, is refused as
 * malformed or decodes to something. Drops `b`. */
void assert_damage_is_survived(decoder *decode, struct buf *b);

#endif
