/* SPDX-License-Identifier: Apache-2.0 */

/* A list of names: what a reader of the tree should see. There is one. */

#ifndef GROVEFS_TESTS_ENGINE_EXEC_MODEL_H
#define GROVEFS_TESTS_ENGINE_EXEC_MODEL_H

#include "exec_fixture.h"

enum { MODEL_NAMES_MAX = 64, MODEL_LETTERS = 4 };

struct model_name {
    uint64_t dir; /* 0: free */
    const char *name;
    bool is_dir;
    uint64_t id;     /* inode number or namespace id */
    uint64_t domain; /* of a directory that is eventual; else 0 */
};

/* All names that there may be. */
extern const char *const model_letters[MODEL_LETTERS];

void model_clear(void);
/* NULL: there is none. */
struct model_name *model_find(uint64_t dir, const char *name);
/* A directory is eventual if the one that it is in is. */
void model_add(uint64_t dir, const char *name, bool is_dir, uint64_t id);
size_t model_names_used(void);
/* Whether a directory is `ancestor` or lies below it. */
bool model_is_below(uint64_t nsid, uint64_t ancestor);
/* As tree() of exec_fixture.h, which shows nothing of what is in an eventual
 * directory. In static memory. */
const char *model_tree(void);

uint64_t model_pick_dir(struct exec_fixture *f);
const char *model_pick_name(struct exec_fixture *f);

/* What both ends of a rename make of it; a directory may have to be empty
 * beside that. */
int model_rename_rc(const struct model_name *from, const struct model_name *to,
                    unsigned flags);
void model_rename(struct model_name *from, struct model_name *to,
                  const struct command *c, const char *to_name);
/* Whether there is a directory in it. */
bool model_has_dir(uint64_t nsid);
/* What a commit does. */
void model_apply(const struct test_txn *txn);
/* Whether region 0 must refuse it. */
bool model_makes_circle(const struct test_txn *txn);

#endif
