/* SPDX-License-Identifier: Apache-2.0 */

/* A few nodes with eventual entries over stores in memory, and what they pull
 * from each other. All have the directory DIR, which is eventual. Node ids
 * count from 1; what is sent waits in one queue. */

#ifndef GROVEFS_TESTS_ENGINE_PULL_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_PULL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/eventual.h"
#include "engine/pull.h"
#include "engine/wire_eventual.h"
#include "fake_env.h"

enum { PULL_NODES = 3, DIR = 7, SINCE = 5, FENCE = 20 };
enum { MANY = 20, LARGE = 200 * 1024 }; /* put_many(), large() */

struct cluster;

struct node {
    uint64_t id;
    struct cluster *cluster;
    struct fake_env fake;
    struct kv *log;
    struct kv *state;
    struct modes *modes;
    struct eventual *eventual;
    struct pulls *pulls;
    struct node_config config; /* its boot number alone */
    bool holds_log;            /* what is written there is not synced */
    bool holds_state;          /* it is not flushed, though that is asked for */
    unsigned questions;        /* that it has sent */
    unsigned answers;
    unsigned flushes; /* that were asked for */
    unsigned warnings;
    char warning[256]; /* the last one */
};

struct sent {
    uint64_t from;
    uint64_t to;
    struct env_packet packet;
    struct buf *payload;
    STAILQ_ENTRY(sent) link;
};

struct cluster {
    struct node nodes[PULL_NODES];
    size_t count; /* of nodes that belong to it */
    bool cut[PULL_NODES][PULL_NODES];
    STAILQ_HEAD(, sent) queue;
    /* What a test does to a packet: false drops it. NULL: nothing. */
    bool (*filter)(struct cluster *c, const struct sent *sent);
    struct sent kept; /* a test's */
};

/* With `count` nodes, which are connected and whole. */
struct cluster *cluster_new(size_t count);
/* As they are founded: they are not. */
struct cluster *cluster_founded(size_t count);
void cluster_free(struct cluster *c);
struct node *node_of(struct cluster *c, uint64_t id);

/* Delivers and runs all, until there is nothing left to do. */
void settle(struct cluster *c);
/* Time passes, in ticks. */
void pass(struct cluster *c, unsigned ms);
void cut(struct cluster *c, uint64_t a, uint64_t b);
void connect_again(struct cluster *c, uint64_t a, uint64_t b);

/* The node starts anew; `lost`: its state/ is empty, but for the catalog. */
void start_again(struct node *node, bool lost);

/* Writes a file of DIR as a whole. */
void put_file(struct node *node, const char *name, struct slice content);
void put_text_file(struct node *node, const char *name, const char *text);
/* Fails the test unless the file has this content; NULL: there is none. */
void expect_file(struct node *node, const char *name, const char *text);
void apply_fence(struct node *node);
/* DIR is not eventual any more. */
void apply_strong(struct node *node, uint64_t version);
/* It is about to begin a life, `version`. */
void apply_filling(struct node *node, uint64_t version);
/* Node `id` has another state, with that version of the catalog. */
void apply_state(struct node *node, uint64_t id, enum node_state state,
                 uint64_t version);
struct eventual_counts counts_of(const struct node *node);
struct pull_lag lag_of(struct node *node, uint64_t other);

/* Files of DIR that are named after `prefix`. */
void put_many(struct node *node, const char *prefix);
/* A content of which few fit into an answer. */
struct slice large(void);

/* Filters. This one lets nothing through. */
bool drop_all(struct cluster *c, const struct sent *sent);
/* Of the answers to node 2 only the first one, which it also keeps. */
bool keep_one_answer(struct cluster *c, const struct sent *sent);
/* Keeps a packet, in c->kept. */
void keep(struct cluster *c, const struct sent *sent);
void deliver_kept(struct cluster *c);

#endif
