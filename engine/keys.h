/* SPDX-License-Identifier: Apache-2.0 */

/* Where records lie in state/ and log/. Numbers are big endian, so that keys
 * sort as numbers do.
 *
 * A *user key* is nsid (8 bytes) + name; regions are ranges of user keys. In
 * state/ everything has a class byte in front:
 *
 *   'c' 'd' nsid                 a directory of the catalog
 *   'c' 'f'                      the floor of tombstones
 *   'c' 'g' region               the last goal that was set for a region
 *   'c' 'i'                      the next namespace id
 *   'c' 'm' region               which region has taken it over: it is gone
 *   'c' 'n' node                 a node
 *   'c' 'o' nsid since           whom the end of that life left out
 *   'c' 'p' nsid name            the directory of that name in directory nsid:
 *                                its nsid
 *   'c' 'r'                      the next region id
 *   'c' 's' name                 a setting of the cluster
 *   'c' 't' node boot sequence   a decision about a transaction
 *   'd' user key                 an entry
 *   'd' user key \0 number       a 64 KiB chunk of its content; 4-byte number
 *   'e' 'd' user key             an eventual entry that could not be read here
 *   'e' 'h'                      how far eventual changes are applied here
 *   'e' 'n' nsid                 count, times and digest of an eventual
 *                                namespace
 *   'e' 'p' node                 what was pulled from a node
 *   'e' 'q'                      how many changes are in quarantine, and the
 *                                last number there
 *   'g' region                   the tombstone of a replica that was here
 *   'i' sequence                 the eventual entry that was changed here then:
 *                                its user key
 *   'm' region node              a sender: boot number, lowest sequence
 *   'm' region node sequence     a remembered result
 *   'n' user key                 a region's part of a namespace; the name is ""
 *                                unless the region begins inside the namespace
 *   'q' number                   a change in quarantine: quarantine.h
 *   'r' region                   a region's descriptor
 *   's' region                   a region's applied marker
 *   'u' time user key            a name that was removed in an eventual
 *                                namespace, at that time; empty
 *   'v' user key                 an eventual entry, also one that is removed
 *   'w' user key                 its content, unless that is inline
 *   'x' user key                 there is an intent at this user key
 *   'x' user key \0              a transaction has marked the part of a
 *                                namespace that has this key of class 'n'
 *
 * In log/:
 *
 *   'D' region                   this node's replica is damaged
 *   'E' sequence                 an eventual change that was accepted here
 *   'F'                          the fence that this node has told others of
 *   'H' region                   hard state
 *   'I'                          identity of the store
 *   'L' region index             a log entry
 *   'P' region                   the Raft id of a replica without state yet
 *   'S'                          what this node has promised of its stamps
 *   'T' region                   where the log starts: (index, term) before its
 *                                first entry */

#ifndef GROVEFS_ENGINE_KEYS_H
#define GROVEFS_ENGINE_KEYS_H

#include <stdint.h>

#include "engine/engine.h"
#include "engine/kv.h"

enum {
    KEY_NSID_SIZE = 8,
    KEY_CHUNK_SUFFIX_SIZE = 5,
    KEY_SIZE_MAX = 1 + KEY_NSID_SIZE + NAME_SIZE_MAX + KEY_CHUNK_SUFFIX_SIZE,
    CHUNK_SIZE = 64 * 1024,
    CHUNK_BASE_OTHER = 1 << 30, /* beside 0; see content.h */
    INLINE_SIZE_MAX = CHUNK_SIZE
};

/* A key in the caller's memory. */
struct key {
    uint8_t data[KEY_SIZE_MAX + 16];
    size_t size;
};

static inline struct slice key_slice(const struct key *key)
{
    return (struct slice){key->data, key->size};
}

/* Big-endian numbers at any address. */
void be32_put(uint8_t *to, uint32_t number);
uint32_t be32_get(const uint8_t *from);
void be64_put(uint8_t *to, uint64_t number);
uint64_t be64_get(const uint8_t *from);

/* `class` is one of 'd', 'n', 'v', 'w', 'x'. An empty name gives the place
 * before the namespace's first entry. */
struct key key_user(char class, uint64_t nsid, struct slice name);
/* The first key behind an entry and all its chunks. */
struct key key_behind_entry(uint64_t nsid, struct slice name);
/* The first key of class `class` behind the namespace. */
struct key key_behind_namespace(char class, uint64_t nsid);
struct key key_chunk(uint64_t nsid, struct slice name, uint32_t number);

/* The part of a namespace that a region has which begins at `start`. A split
 * inside a namespace leaves the count where it was; the new part begins with 0.
 * So only the sum of all parts' counts means something, and one alone may be
 * negative (modulo 2^64). */
struct key key_namespace(uint64_t nsid, struct slice start);

/* The mark of such a part. It lies in the region's range, too. */
struct key key_namespace_mark(uint64_t nsid, struct slice start);

/* Where a namespace goes on behind a region that ends at `region_end`, as a
 * user key with class 'd'. False: it ends there. */
bool key_next_part(uint64_t nsid, struct slice region_end, struct key *ret);

struct key key_floor(void);
struct key key_directory(uint64_t nsid);
/* A directory by its name in `parent`; the empty name: before all of them. */
struct key key_directory_name(uint64_t parent, struct slice name);
struct key key_goal(uint64_t region);
struct key key_gone_region(uint64_t region);
struct key key_id_allocator(void);
struct key key_region_id_allocator(void);
struct key key_left_out(uint64_t nsid, uint64_t since);
struct key key_node(uint64_t node_id);
struct key key_setting(struct slice name);
struct key key_decision(uint64_t node, uint64_t boot, uint64_t sequence);
struct key key_sender(uint64_t region, uint64_t node);
struct key key_result(uint64_t region, uint64_t node, uint64_t sequence);
struct key key_region(uint64_t region);
struct key key_marker(uint64_t region);
struct key key_tombstone(uint64_t region);

/* The empty name: before all of that namespace. */
struct key key_eventual_damage(uint64_t nsid, struct slice name);
struct key key_eventual_head(void);
struct key key_eventual_namespace(uint64_t nsid);
struct key key_eventual_peer(uint64_t node);
struct key key_eventual_change(uint64_t sequence);
/* The empty name and nsid 0: before all that were removed then. */
struct key key_eventual_removed(uint64_t hlc, uint64_t nsid, struct slice name);

struct key key_quarantine_head(void);
struct key key_quarantined(uint64_t number);

struct key key_damage(uint64_t region);
struct key key_fence(void);
struct key key_promise(void);
struct key key_hard_state(uint64_t region);
struct key key_identity(void);
struct key key_journal(uint64_t sequence);
struct key key_log_entry(uint64_t region, uint64_t index);
struct key key_log_start(uint64_t region);
struct key key_log_peer(uint64_t region);

/* Takes a class 'd' key apart; the name is borrowed from `key`. False for a
 * chunk (or for a key that is none of ours). */
bool key_parse_entry(struct slice key, uint64_t *ret_nsid,
                     struct slice *ret_name);

/* The same for 'n', 'v', 'w' and 'x'. */
bool key_parse_user(struct slice key, char class, uint64_t *ret_nsid,
                    struct slice *ret_name);

/* The name of a key_directory_name(). */
bool key_parse_directory_name(struct slice key, uint64_t *ret_parent,
                              struct slice *ret_name);

/* The numbers of a key_left_out(). */
bool key_parse_left_out(struct slice key, uint64_t *ret_nsid,
                        uint64_t *ret_since);

/* The sequence of a key_eventual_change() or key_journal(), the number of a
 * key_quarantined(). */
bool key_parse_sequence(struct slice key, char class, uint64_t *ret_sequence);

/* What the value of a key_eventual_change() leads to; the name is borrowed. */
bool key_parse_changed(struct slice value, uint64_t *ret_nsid,
                       struct slice *ret_name);

/* The name is borrowed from `key`. */
bool key_parse_eventual_damage(struct slice key, uint64_t *ret_nsid,
                               struct slice *ret_name);

/* The name is borrowed from `key`. */
bool key_parse_removed(struct slice key, uint64_t *ret_hlc, uint64_t *ret_nsid,
                       struct slice *ret_name);

/* The namespace of a key_namespace_mark(). */
bool key_parse_namespace_mark(struct slice key, uint64_t *ret_nsid);

/* The region of a key of class 'r', 'D', 'H' or 'P'. False: it is none. */
bool key_parse_region(struct slice key, uint64_t *ret_region);

static inline struct slice slice_of(const char *text)
{
    size_t size = 0;

    while (text != NULL && text[size] != '\0')
        size++;
    return (struct slice){text, size};
}

bool slice_equal(struct slice a, struct slice b);

#endif
