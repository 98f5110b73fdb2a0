/* SPDX-License-Identifier: Apache-2.0 */

#include "exec_regions_tree.h"

#include <sys/stat.h>

#include "exec_regions.h"

size_t tree_file_size = 10;

int setup_tree(void **state)
{
    struct exec_fixture *f;

    (void)setup_exec(state);
    f = *state;
    (void)make_dir(f, ROOT, "d");
    (void)make_dir(f, ROOT, "e");
    (void)make_dir(f, ROOT, "o");
    assert_int_equal(create(f, D, "f"), 0);
    assert_int_equal(create_sized(f, ROOT, "i", tree_file_size), 0);
    assert_int_equal(create_sized(f, ROOT, "j", 3 * tree_file_size), 0);
    assert_int_equal(create_sized(f, O, "g", 2 * tree_file_size), 0);
    assert_string_equal(tree(f), TREE);
    return 0;
}

/* Whoever has taken it where: a file is what it was. */
static void check_file(struct exec_fixture *f, uint64_t dir, const char *name,
                       struct attr attr)
{
    const uint64_t sizes[] = {0, tree_file_size, 3 * tree_file_size,
                              2 * tree_file_size};
    uint64_t size = sizes[attr.ino - FIRST_INO];
    const char *bytes;

    assert_int_equal(attr.size, size);
    assert_int_equal(
        run_read_again(f, &(struct command){.op = COMMAND_READ,
                                            .dir = dir,
                                            .name = slice_of(name),
                                            .ino = attr.ino,
                                            .size = WRITE_SIZE_MAX}),
        0);
    assert_int_equal(f->result.data.size, size);
    bytes = f->result.data.data;
    for (uint64_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], 'a' + (int)((attr.ino - 1) % 26));
}

void check_contents(struct exec_fixture *f)
{
    static const uint64_t dirs[] = {ROOT, D, E, O};
    static const char *const names[] = {"d", "e", "f", "g", "i", "j", "n"};

    for (size_t i = 0; i < ARRAY_SIZE(dirs) * ARRAY_SIZE(names); i++) {
        uint64_t dir = dirs[i % ARRAY_SIZE(dirs)];
        const char *name = names[i / ARRAY_SIZE(dirs)];

        if (lookup(f, dir, name) == 0 && S_ISREG(f->result.attr.mode))
            check_file(f, dir, name, f->result.attr);
    }
}

void cut_everything(struct exec_fixture *f)
{
    cut_region(f, ROOT, "e");
    cut_region(f, ROOT, "f");
    cut_region(f, ROOT, "j");
    cut_region(f, ROOT, "k");
    cut_region(f, ROOT, "o");
    cut_region(f, D, "");
    cut_region(f, D, "g");
    cut_region(f, E, "");
    cut_region(f, E, "c");
    cut_region(f, E, "k");
    cut_region(f, O, "");
    cut_region(f, O, "h");
    cut_region(f, O + 1, "");
}
