/* SPDX-License-Identifier: Apache-2.0 */

/* The tree that tests of transactions over several regions begin with. */

#ifndef GROVEFS_TESTS_ENGINE_EXEC_REGIONS_TREE_H
#define GROVEFS_TESTS_ENGINE_EXEC_REGIONS_TREE_H

#include "exec_fixture.h"

#define ROOT NSID_ROOT

/* As tree() shows it. */
#define TREE "d/=101 d/f=104 e/=102 i=105 j=106 o/=103 o/g=107"

enum { D = 101, E = 102, O = 103, FIRST_INO = 104 };

/* Of the least file with content, of which the others have twice and three
 * times as much: that lies in their entries, or in chunks. */
extern size_t tree_file_size;

int setup_tree(void **state);
/* Each name, and each half of a directory, in a region of its own. */
void cut_everything(struct exec_fixture *f);
/* Whoever has taken a file where: it is what it was. */
void check_contents(struct exec_fixture *f);

#endif
