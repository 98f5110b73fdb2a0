/* SPDX-License-Identifier: Apache-2.0 */

/* Names in eventual directories: whose they are, and files that are shown
 * under another one because a directory has theirs. */

#include "engine/eventual_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/catalog.h"
#include "engine/keys.h"

static const char infix[] = "~file-";

enum { INFIX_SIZE = sizeof infix - 1 };

/* ---- names beside a directory's ---- */

struct eventual_shown_name
eventual_show_name(const struct eventual_record *record)
{
    struct eventual_shown_name shown;
    size_t size = record->name.size < EVENTUAL_STEM_MAX ? record->name.size
                                                        : EVENTUAL_STEM_MAX;

    memcpy(shown.data, record->name.data, size);
    (void)snprintf(shown.data + size, sizeof shown.data - size, "%s%016" PRIx64,
                   infix, record->hlc); /* It fits. */
    shown.size = size + EVENTUAL_SUFFIX_SIZE;
    return shown;
}

/* Whose shown name has this stem, of those that are looked for: by inode number
 * unless that is 0. */
struct wanted {
    struct slice stem;
    uint64_t hlc;
    uint64_t ino;
};

static bool parse_digits(const char *digits, uint64_t *ret)
{
    static const char all[] = "0123456789abcdef";
    uint64_t number = 0;

    for (size_t i = 0; i < 16; i++) {
        const char *digit = memchr(all, digits[i], 16);

        if (digit == NULL)
            return false;
        number = number << 4 | (uint64_t)(digit - all);
    }
    *ret = number;
    return true;
}

/* False: it is not the shown name of any file. */
static bool parse_shown(struct slice shown, struct wanted *ret)
{
    const char *text = shown.data;
    size_t size;

    if (shown.size <= EVENTUAL_SUFFIX_SIZE)
        return false;
    size = shown.size - EVENTUAL_SUFFIX_SIZE;
    ret->stem = (struct slice){text, size};
    return memcmp(text + size, infix, INFIX_SIZE) == 0 &&
           parse_digits(text + size + INFIX_SIZE, &ret->hlc);
}

static bool is_wanted(const struct eventual_record *record,
                      const struct wanted *wanted)
{
    if (wanted->ino != 0)
        return record->attr.ino == wanted->ino;
    return record->hlc == wanted->hlc;
}

/* Takes the record under the iterator, if it is one. */
static int take_wanted(struct kv_iter *iter, const struct wanted *wanted,
                       struct eventual_record *ret)
{
    struct eventual_record record = {0};
    int rc = eventual_decode_entry(&record, kv_iter_value(iter));

    if (rc != 0)
        return ERR_CORRUPT;
    if (record.removed || record.name.size <= EVENTUAL_STEM_MAX ||
        !is_wanted(&record, wanted)) {
        eventual_release(&record);
        return ERR_NOT_FOUND;
    }
    *ret = record;
    return 0;
}

static bool begins_with(struct slice name, struct slice stem)
{
    return name.size >= stem.size &&
           memcmp(name.data, stem.data, stem.size) == 0;
}

/* Goes through all files whose names had to be cut to this stem. */
static int find_cut(struct kv *state, const struct kv_snapshot *snapshot,
                    uint64_t dir, const struct wanted *wanted,
                    struct eventual_record *ret)
{
    struct key lower = key_user('v', dir, wanted->stem);
    struct key upper = key_behind_namespace('v', dir);
    struct kv_iter *iter =
        kv_iter_new(state, snapshot, key_slice(&lower), key_slice(&upper));
    int rc = ERR_NOT_FOUND;

    kv_iter_seek(iter, key_slice(&lower));
    while (rc == ERR_NOT_FOUND && kv_iter_valid(iter) &&
           begins_with(kv_iter_key(iter), key_slice(&lower))) {
        rc = take_wanted(iter, wanted, ret);
        kv_iter_next(iter);
    }
    if (rc == ERR_NOT_FOUND && !kv_iter_valid(iter) &&
        kv_iter_status(iter, NULL) != 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* Without content. */
static int find_wanted(struct kv *state, const struct kv_snapshot *snapshot,
                       uint64_t dir, const struct wanted *wanted,
                       struct eventual_record *ret)
{
    struct eventual_record record = {0};
    int rc =
        eventual_get_live(state, snapshot, dir, wanted->stem, false, &record);

    if (rc == 0 && is_wanted(&record, wanted)) {
        *ret = record;
        return 0;
    }
    eventual_release(&record);
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    if (wanted->stem.size < EVENTUAL_STEM_MAX)
        return ERR_NOT_FOUND;
    return find_cut(state, snapshot, dir, wanted, ret);
}

/* The file that is shown so, or was, when it is known by its inode number. */
static int get_beside(struct kv *state, const struct kv_snapshot *snapshot,
                      uint64_t dir, const struct wanted *wanted, bool content,
                      struct eventual_record *ret)
{
    struct eventual_record found = {0};
    uint64_t nsid;
    int rc = find_wanted(state, snapshot, dir, wanted, &found);

    if (rc == 0 && wanted->ino == 0)
        rc = catalog_find(state, snapshot, dir, found.name, &nsid);
    if (rc == 0)
        rc = eventual_get(state, snapshot, dir, found.name, content, ret);
    eventual_release(&found);
    return rc;
}

/* ---- files ---- */

int eventual_get_live(struct kv *state, const struct kv_snapshot *snapshot,
                      uint64_t dir, struct slice name, bool content,
                      struct eventual_record *ret)
{
    struct eventual_record record = {0};
    int rc = eventual_get(state, snapshot, dir, name, content, &record);

    if (rc == 0 && record.removed) {
        eventual_release(&record);
        return ERR_NOT_FOUND;
    }
    if (rc == 0)
        *ret = record;
    return rc;
}

int eventual_get_shown(struct kv *state, const struct kv_snapshot *snapshot,
                       uint64_t dir, struct slice shown, bool content,
                       struct eventual_record *ret)
{
    struct wanted wanted = {.ino = 0};
    int rc = eventual_get_live(state, snapshot, dir, shown, content, ret);

    if (rc != ERR_NOT_FOUND || !parse_shown(shown, &wanted))
        return rc;
    return get_beside(state, snapshot, dir, &wanted, content, ret);
}

int eventual_get_file(struct kv *state, const struct kv_snapshot *snapshot,
                      const struct command *command, bool content,
                      struct eventual_record *ret)
{
    const struct slice name = command->name;
    struct wanted wanted = {.ino = command->ino};
    struct eventual_record record = {0};
    int rc;

    rc = eventual_get_live(state, snapshot, command->dir, name, content,
                           &record);
    if (rc == 0 &&
        (record.attr.ino == command->ino || record.origin != command->node)) {
        record.attr.ino = command->ino;
        *ret = record;
        return 0;
    }
    eventual_release(&record);
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    if (command->ino == 0 || !parse_shown(name, &wanted))
        return ERR_STALE;
    rc = get_beside(state, snapshot, command->dir, &wanted, content, ret);
    return rc == ERR_NOT_FOUND ? ERR_STALE : rc;
}
