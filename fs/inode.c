/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/inode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A place as a hash key: the namespace id's bytes, the name, \0. */
static size_t place_size(const char *name)
{
    return sizeof(uint64_t) + strlen(name) + 1;
}

static void place_write(char *place, uint64_t dir, const char *name)
{
    memcpy(place, &dir, sizeof dir);
    memcpy(place + sizeof dir, name, strlen(name) + 1);
}

static uint64_t place_dir(const char *place)
{
    uint64_t dir;

    memcpy(&dir, place, sizeof dir);
    return dir;
}

static const char *place_name(const char *place)
{
    return place + sizeof(uint64_t);
}

uint64_t inode_id_of_ino(uint64_t ino)
{
    return ino == ino_of_nsid(NSID_ROOT) ? INODE_ID_ROOT : ino;
}

uint64_t inode_nsid(uint64_t id)
{
    if (id == INODE_ID_ROOT)
        return NSID_ROOT;
    return (id & INO_DIR_BIT) != 0 ? nsid_of_ino(id) : 0;
}

static struct inode *find_id(const struct inode_table *table, uint64_t id)
{
    struct inode *inode;

    HASH_FIND(by_id, table->by_id, &id, sizeof id, inode);
    return inode;
}

static struct inode *find_place(const struct inode_table *table, uint64_t dir,
                                const char *name)
{
    char place[sizeof(uint64_t) + NAME_SIZE_MAX + 1];
    struct inode *inode;

    assert(strlen(name) <= NAME_SIZE_MAX);
    place_write(place, dir, name);
    HASH_FIND(by_place, table->by_place, place, place_size(name), inode);
    return inode;
}

static void unindex(struct inode_table *table, struct inode *inode)
{
    if (inode->indexed)
        HASH_DELETE(by_place, table->by_place, inode);
    inode->indexed = false;
}

/* Puts the inode at a place. One that was there loses the index entry but
 * still believes to be there, which the engine will deny. */
static void place_at(struct inode_table *table, struct inode *inode,
                     uint64_t dir, const char *name)
{
    struct inode *before = find_place(table, dir, name);

    if (before == inode)
        return;
    if (before != NULL)
        unindex(table, before);
    unindex(table, inode);
    free(inode->place);
    inode->place = mem_zalloc(place_size(name));
    place_write(inode->place, dir, name);
    HASH_ADD_KEYPTR(by_place, table->by_place, inode->place, place_size(name),
                    inode);
    inode->indexed = true;
}

static struct inode *inode_new(struct inode_table *table, uint64_t id,
                               uint64_t ino)
{
    struct inode *inode = mem_zalloc(sizeof *inode);

    inode->id = id;
    inode->ino = ino;
    TAILQ_INIT(&inode->handles);
    TAILQ_INIT(&inode->waiting);
    HASH_ADD(by_id, table->by_id, id, sizeof inode->id, inode);
    return inode;
}

static void inode_free(struct inode_table *table, struct inode *inode)
{
    assert(TAILQ_EMPTY(&inode->handles));
    assert(TAILQ_EMPTY(&inode->waiting));
    unindex(table, inode);
    HASH_DELETE(by_id, table->by_id, inode);
    buf_unref(inode->last_content);
    free(inode->place);
    free(inode);
}

static void free_unused(struct inode_table *table, struct inode *inode)
{
    if (inode->lookup_count == 0 && inode->ref_count == 0)
        inode_free(table, inode);
}

void inode_table_init(struct inode_table *table)
{
    struct inode *root;

    *table = (struct inode_table){.second_id = INODE_ID_ROOT};
    (void)pthread_mutex_init(&table->lock, NULL); /* Cannot fail on Linux. */
    root = inode_new(table, INODE_ID_ROOT, ino_of_nsid(NSID_ROOT));
    root->lookup_count = 1;
    root->attr.mode = 0755;
    place_at(table, root, NSID_ROOT, "");
}

void inode_table_close(struct inode_table *table)
{
    struct inode *inode;
    struct inode *next;

    HASH_ITER (by_id, table->by_id, inode, next) {
        assert(inode->ref_count == 0);
        inode_free(table, inode);
    }
    (void)pthread_mutex_destroy(&table->lock);
}

void inode_table_check(struct inode_table *table)
{
    struct inode *inode;
    struct inode *next;
    unsigned indexed_count = 0;

    pthread_mutex_lock(&table->lock);
    HASH_ITER (by_id, table->by_id, inode, next) {
        const char *name = place_name(inode->place);

        assert(inode->lookup_count > 0 || inode->ref_count > 0);
        assert(!inode->indexed ||
               find_place(table, place_dir(inode->place), name) == inode);
        assert(TAILQ_EMPTY(&inode->waiting) || inode->busy_count > 0);
        indexed_count += inode->indexed;
    }
    assert(indexed_count == HASH_CNT(by_place, table->by_place));
    pthread_mutex_unlock(&table->lock);
}

struct inode *inode_get(struct inode_table *table, uint64_t id)
{
    struct inode *inode;

    pthread_mutex_lock(&table->lock);
    inode = find_id(table, id);
    if (inode != NULL)
        inode->ref_count++;
    pthread_mutex_unlock(&table->lock);
    return inode;
}

struct inode *inode_find(struct inode_table *table, uint64_t dir,
                         const char *name)
{
    struct inode *inode;

    pthread_mutex_lock(&table->lock);
    inode = find_place(table, dir, name);
    if (inode != NULL)
        inode->ref_count++;
    pthread_mutex_unlock(&table->lock);
    return inode;
}

struct inode *inode_ref(struct inode_table *table, struct inode *inode)
{
    pthread_mutex_lock(&table->lock);
    inode->ref_count++;
    pthread_mutex_unlock(&table->lock);
    return inode;
}

void inode_unref(struct inode_table *table, struct inode *inode)
{
    if (inode == NULL)
        return;

    pthread_mutex_lock(&table->lock);
    assert(inode->ref_count > 0);
    inode->ref_count--;
    free_unused(table, inode);
    pthread_mutex_unlock(&table->lock);
}

/* Answers can overtake each other; the greatest version is the newest. A
 * directory's attributes are joined from several places, so there the last
 * one counts. */
static void saw(struct inode *inode, const struct attr *attr)
{
    if (inode_nsid(inode->id) != 0 || attr->version >= inode->attr.version)
        inode->attr = *attr;
}

static uint64_t next_second_id(struct inode_table *table)
{
    table->second_id++;
    assert(table->second_id < INO_FILE_MIN);
    return table->second_id;
}

/* The inode that stands for `ino` at this place. A directory has one place: the
 * kernel itself sees to it. */
static struct inode *find_or_make(struct inode_table *table, uint64_t dir,
                                  const char *name, uint64_t ino)
{
    const uint64_t id = inode_id_of_ino(ino);
    struct inode *inode = find_place(table, dir, name);

    if (inode != NULL && inode->ino == ino)
        return inode;
    inode = find_id(table, id);
    if (inode == NULL)
        return inode_new(table, id, ino);
    if (inode_nsid(id) != 0 || inode->lookup_count == 0)
        return inode;
    return inode_new(table, next_second_id(table), ino);
}

uint64_t inode_remember(struct inode_table *table, uint64_t dir,
                        const char *name, const struct attr *attr)
{
    struct inode *inode;
    uint64_t id;

    pthread_mutex_lock(&table->lock);
    inode = find_or_make(table, dir, name, attr->ino);
    if (inode->id != INODE_ID_ROOT)
        place_at(table, inode, dir, name);
    inode->gone = false;
    saw(inode, attr);
    inode->lookup_count++;
    id = inode->id;
    pthread_mutex_unlock(&table->lock);
    return id;
}

void inode_forget(struct inode_table *table, uint64_t id, uint64_t count)
{
    struct inode *inode;

    pthread_mutex_lock(&table->lock);
    inode = find_id(table, id);
    if (inode != NULL && id != INODE_ID_ROOT) {
        assert(inode->lookup_count >= count);
        inode->lookup_count -= count;
        free_unused(table, inode);
    }
    pthread_mutex_unlock(&table->lock);
}

void inode_saw(struct inode_table *table, struct inode *inode,
               const struct attr *attr)
{
    pthread_mutex_lock(&table->lock);
    saw(inode, attr);
    pthread_mutex_unlock(&table->lock);
}

/* Versions begin anew when a directory changes its mode. Then an answer of
 * before it looks newer than what is told now, and only the engine knows. */
void inode_told(struct inode_table *table, uint64_t id, const struct attr *attr,
                pid_t pid, uint64_t until_ns)
{
    struct inode *inode;

    pthread_mutex_lock(&table->lock);
    inode = find_id(table, id);
    if (inode != NULL) {
        inode->fresh_for = pid;
        inode->fresh_until_ns =
            inode->attr.version == attr->version ? until_ns : 0;
    }
    pthread_mutex_unlock(&table->lock);
}

bool inode_is_fresh(struct inode_table *table, const struct inode *inode,
                    pid_t pid, uint64_t now_ns, struct attr *ret_attr)
{
    bool fresh;

    pthread_mutex_lock(&table->lock);
    fresh = pid != 0 && inode->fresh_for == pid &&
            now_ns < inode->fresh_until_ns && !inode->gone &&
            inode->busy_count == 0;
    *ret_attr = inode->attr;
    pthread_mutex_unlock(&table->lock);
    return fresh;
}

void inode_place(const struct inode *inode, struct place *ret_place)
{
    const char *name = place_name(inode->place);

    ret_place->dir = place_dir(inode->place);
    memcpy(ret_place->name, name, strlen(name) + 1);
}

struct attr inode_attr(struct inode_table *table, uint64_t id)
{
    struct attr attr = {.ino = 0};
    struct inode *inode;

    pthread_mutex_lock(&table->lock);
    inode = find_id(table, id);
    if (inode != NULL)
        attr = inode->attr;
    pthread_mutex_unlock(&table->lock);
    return attr;
}

uint64_t inode_parent(struct inode_table *table, uint64_t id)
{
    struct inode *inode;
    uint64_t dir = 0;

    pthread_mutex_lock(&table->lock);
    inode = find_id(table, id);
    if (inode != NULL)
        dir = place_dir(inode->place);
    pthread_mutex_unlock(&table->lock);
    return dir;
}

static void removed(struct inode_table *table, uint64_t dir, const char *name)
{
    struct inode *inode = find_place(table, dir, name);

    if (inode == NULL)
        return;
    inode->gone = true;
    unindex(table, inode);
}

void inode_removed(struct inode_table *table, uint64_t dir, const char *name)
{
    pthread_mutex_lock(&table->lock);
    removed(table, dir, name);
    pthread_mutex_unlock(&table->lock);
}

static void moved(struct inode_table *table, struct inode *inode,
                  const struct place *to)
{
    if (inode == NULL)
        return;
    place_at(table, inode, to->dir, to->name);
    inode->move_count++;
    inode->fresh_until_ns = 0;
}

void inode_renamed(struct inode_table *table, const struct place *from,
                   const struct place *to)
{
    pthread_mutex_lock(&table->lock);
    removed(table, to->dir, to->name);
    moved(table, find_place(table, from->dir, from->name), to);
    pthread_mutex_unlock(&table->lock);
}

void inode_exchanged(struct inode_table *table, const struct place *a,
                     const struct place *b)
{
    struct inode *inode_a;
    struct inode *inode_b;

    pthread_mutex_lock(&table->lock);
    inode_a = find_place(table, a->dir, a->name);
    inode_b = find_place(table, b->dir, b->name);
    moved(table, inode_a, b);
    moved(table, inode_b, a);
    pthread_mutex_unlock(&table->lock);
}
