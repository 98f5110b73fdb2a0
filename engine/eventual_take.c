/* SPDX-License-Identifier: Apache-2.0 */

/* What of eventual.h happens on region 0's owner to changes that were accepted
 * before: by other nodes, and by this one where they come from the journal.
 * What comes together is written together. */

#include <assert.h>
#include <xxhash.h>

#include "engine/eventual_damage.h"
#include "engine/eventual_impl.h"
#include "engine/keys.h"

bool eventual_is_outlived(const struct eventual *eventual,
                          const struct eventual_record *record)
{
    struct modes *modes = eventual->config.modes;
    struct mode mode = modes_find(modes, record->dir);

    return record->since <= modes_version(modes) && mode.since != record->since;
}

bool eventual_is_sound(const struct eventual_record *record)
{
    return record->dir != 0 && record->name.size > 0 &&
           record->name.size <= NAME_SIZE_MAX && record->origin != 0 &&
           record->since != 0;
}

/* ---- what is taken together ---- */

static uint64_t hash_of(const struct eventual_record *record)
{
    return XXH3_64bits_withSeed(record->name.data, record->name.size,
                                record->dir);
}

/* What was known of a name is looked up in state/. */
static bool has_name(const struct eventual_intake *intake, uint64_t hash)
{
    for (size_t i = 0; i < intake->count; i++)
        if (intake->hashes[i] == hash)
            return true;
    return false;
}

static bool has_room(const struct eventual_tally *tally, uint64_t nsid)
{
    if (tally->count < ARRAY_SIZE(tally->of))
        return true;
    for (size_t i = 0; i < tally->count; i++)
        if (tally->of[i].nsid == nsid)
            return true;
    return false;
}

int eventual_make_room(struct eventual *eventual,
                       struct eventual_intake *intake,
                       const struct eventual_record *record)
{
    if (intake->count < ARRAY_SIZE(intake->hashes) &&
        has_room(&intake->tally, record->dir) &&
        !has_name(intake, hash_of(record)))
        return 0;
    return eventual_write_taken(eventual, intake);
}

int eventual_write_taken(struct eventual *eventual,
                         struct eventual_intake *intake)
{
    int rc = 0;

    if (intake->count > 0)
        rc = eventual_write(eventual, &intake->tally, &eventual->head);
    intake->count = 0;
    intake->tally.count = 0;
    return rc;
}

/* ---- what was known already ---- */

static int get_known(const struct eventual *eventual,
                     const struct eventual_record *record, bool content,
                     struct eventual_record *ret)
{
    return eventual_get(eventual->config.env->state, NULL, record->dir,
                        record->name, content, ret);
}

/* Rule 2 of eventual_damage.h. Of what cannot be read, and is noted, nothing is
 * known (dir 0); where that is the content alone, the same version may take
 * its place: `*ret_is_lost`. */
static int look_at_damaged(struct eventual *eventual,
                           const struct eventual_record *record, int rc,
                           bool *ret_is_lost)
{
    struct key content = key_user('w', record->dir, record->name);
    struct eventual_record whole = {0};

    if (!eventual_is_noted(eventual, record->dir, record->name)) {
        if (rc == 0)
            return 0;
        rc = eventual_note_damage(eventual, record->dir, record->name);
        return rc == 0 ? ERR_UNAVAILABLE : rc;
    }
    if (rc == ERR_CORRUPT && !eventual_is_large(record))
        kv_batch_delete(eventual->batch, key_slice(&content));
    if (rc == 0)
        rc = get_known(eventual, record, true, &whole);
    eventual_release(&whole);
    *ret_is_lost = rc == ERR_CORRUPT;
    return rc == ERR_CORRUPT ? 0 : rc;
}

/* `*ret` with dir 0: there is nothing. What is noted of damage stands behind
 * all that was taken before. */
static int find_known(struct eventual *eventual, struct eventual_intake *intake,
                      const struct eventual_record *record,
                      struct eventual_record *ret, bool *ret_is_lost)
{
    int rc = get_known(eventual, record, false, ret);
    int write_rc;

    *ret_is_lost = false;
    if (rc != ERR_CORRUPT && (rc != 0 || !eventual->head.damaged))
        return rc == ERR_NOT_FOUND ? 0 : rc;
    write_rc = eventual_write_taken(eventual, intake);
    return write_rc != 0 ? write_rc
                         : look_at_damaged(eventual, record, rc, ret_is_lost);
}

/* What cannot be read, and is replaced, may have had any digest. */
static int store_taken(struct eventual *eventual, struct eventual_tally *tally,
                       const struct eventual_record *record,
                       const struct eventual_record *old, bool is_lost)
{
    struct eventual_namespace *count;
    int rc = eventual_store(eventual, tally, record, old);

    if (rc != 0 || old != NULL || !is_lost)
        return rc;
    rc = eventual_tally_find(eventual, tally, record->dir, &count);
    if (rc == 0)
        count->has_digest = false;
    return rc;
}

static void count_taken(struct eventual *eventual,
                        struct eventual_intake *intake,
                        const struct eventual_record *record)
{
    struct eventual_head *head = &eventual->head;

    assert(intake->count < ARRAY_SIZE(intake->hashes));
    intake->hashes[intake->count++] = hash_of(record);
    if (head->sequence < record->local)
        head->sequence = record->local;
    if (head->hlc < record->hlc)
        head->hlc = record->hlc;
}

static int take_newer(struct eventual *eventual, struct eventual_intake *intake,
                      const struct eventual_record *record,
                      const struct eventual_record *old, bool is_lost)
{
    int rc = store_taken(eventual, &intake->tally, record, old, is_lost);

    if (rc == 0)
        count_taken(eventual, intake, record);
    return rc;
}

int eventual_take(struct eventual *eventual, struct eventual_intake *intake,
                  const struct eventual_record *record,
                  struct eventual_taken *ret)
{
    struct eventual_record old = {0};
    bool is_lost;
    int rc = find_known(eventual, intake, record, &old, &is_lost);
    bool is_new = old.dir == 0;

    if (rc == 0) {
        ret->is_newer =
            is_new || eventual_compare(record, &old) >= (is_lost ? 0 : 1);
        ret->is_conflict = !is_new && eventual_is_conflict(record, &old);
        if (ret->is_newer)
            rc = take_newer(eventual, intake, record, is_new ? NULL : &old,
                            is_lost);
    }
    eventual_release(&old);
    return rc;
}
