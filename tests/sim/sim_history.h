/* SPDX-License-Identifier: Apache-2.0 */

/* What clients did and what they were told: one record for each operation,
 * with the times of call and return. The input of sim_check.h.
 *
 * Each operation has a tag, unique in the run, which it leaves wherever it
 * can: a created file or directory carries it as uid, a value as its content,
 * an extended attribute as its value, a command in the log as `set.uid`; what
 * SETATTR sets is the gid, to its tag. Content is a sequence of pieces, one for
 * each write or append: {tag, size of the piece, filling}. */

#ifndef GROVEFS_TESTS_SIM_SIM_HISTORY_H
#define GROVEFS_TESTS_SIM_SIM_HISTORY_H

#include "engine/engine.h"
#include "tests/sim/sim_loop.h"

enum sim_outcome {
    SIM_OP_OK,
    SIM_OP_REFUSED, /* for what was there: `status` says what it saw */
    SIM_OP_FAILED,  /* surely without effect, and saw nothing */
    SIM_OP_UNKNOWN
};

struct sim_op {
    uint32_t tag; /* its place in the history, from 1 */
    uint32_t client;
    enum request_kind kind;
    unsigned flags;
    uint64_t dir; /* namespace ids */
    uint64_t to_dir;
    uint8_t name; /* number of the name, see sim_name() */
    uint8_t to_name;
    uint8_t behind; /* READDIR: only names behind that one; or SIM_NAMES_MAX */
    uint8_t limit;  /* out: an empty page says nothing of names from there on */
    uint64_t ino;   /* of the handle */
    uint32_t piece_size; /* of what is written; 0: nothing */
    uint64_t call_ns;
    uint64_t return_ns; /* UINT64_MAX: never */
    enum sim_outcome outcome;
    int status;
    /* What came back. */
    uint64_t ret_ino;
    uint64_t ret_size;
    uint64_t ret_offset;
    uint64_t content;   /* READ: folded pieces; READDIR: sum of its names */
    uint32_t first_tag; /* READ: of the first piece, 0 if there is none */
    uint32_t gid;
    uint32_t xattr; /* GETXATTR */
    uint32_t entry_count;
    bool at_end;
    bool created;
    bool malformed; /* READ: not a sequence of whole pieces */
};

struct sim_history {
    struct sim_op *ops;
    size_t count;
    size_t count_max;
};

enum { SIM_NAMES_MAX = 8, SIM_PIECE_HEADER = 8, SIM_VALUE_MAX = 200 * 1024 };

/* "a", "b", ... */
const char *sim_name(uint8_t number);
/* The number, or SIM_NAMES_MAX for a name that is none of ours. */
uint8_t sim_name_number(const char *name, size_t size);

struct sim_op *sim_history_add(struct sim_history *history);
void sim_history_close(struct sim_history *history);

/* The bytes of a piece; and how content is folded from pieces. */
struct buf *sim_piece(uint32_t tag, uint32_t size);
uint64_t sim_fold_piece(uint64_t content, uint32_t tag);
/* False when the bytes are not whole, undamaged pieces. `ret_first` is the tag
 * of the first one, or 0. */
bool sim_fold_content(const uint8_t *data, size_t size, uint64_t *ret,
                      uint32_t *ret_first);
/* What one name adds to a listing's sum. */
uint64_t sim_fold_name(uint8_t name, uint64_t ino);

/* One line for people. */
void sim_op_print(const struct sim_op *op, char *text, size_t size);

#endif
