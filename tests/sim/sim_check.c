/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_seen.h"

enum { TRIES_MAX = 400000, CONTEXT_OPS = 40 };

/* A call, or a return, in the order of time. */
struct event {
    struct event *prev;
    struct event *next;
    struct event *match; /* of a call: its return, or NULL */
    const struct sim_op *op;
    uint64_t at_ns;
    uint64_t until_ns; /* not behind a call that is later; for optional ones */
    uint64_t new_ino;
    bool is_call;
};

/* One placed operation, to be taken back. */
struct placed {
    struct event *call;
    struct sim_tree *before;
    uint64_t set;
    uint64_t latest_ns;
};

struct search {
    struct event head;
    struct event *events;
    size_t event_count;
    size_t sure_count; /* operations that must be placed */
    size_t sure_done;
    uint64_t set;       /* hash of the placed operations */
    uint64_t latest_ns; /* the latest call of them */
    struct sim_tree tree;
    struct placed *stack;
    size_t depth;
    uint64_t *memo; /* open addressing; 0: free */
    size_t memo_size;
    size_t memo_count;
    uint64_t tries;
    /* The deepest point, for the report. */
    size_t best_done;
    const struct sim_op *best_op;
    struct sim_tree best_tree;
};

/* ---- the events ---- */

static struct sim_tag tag_of(const struct sim_op *op,
                             const struct sim_watch *watch)
{
    if (watch != NULL)
        return sim_watch_tag(watch, op->tag);
    return (struct sim_tag){.committed = true,
                            .begun_ns = op->call_ns,
                            .last_ns = UINT64_MAX,
                            .ino = op->ret_ino};
}

static bool is_wanted(const struct sim_op *op, const struct sim_tag *tag)
{
    if (op->outcome != SIM_OP_UNKNOWN)
        return op->outcome != SIM_OP_FAILED;
    if (tag->committed)
        sim_seen(SEEN_OP_UNKNOWN_COMMITTED);
    return tag->committed;
}

static int by_time(const void *a, const void *b)
{
    const struct event *x = *(struct event *const *)a;
    const struct event *y = *(struct event *const *)b;

    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    if (x->is_call != y->is_call)
        return x->is_call ? -1 : 1;
    return x->op->tag < y->op->tag ? -1 : x->op->tag > y->op->tag;
}

static struct event *add_event(struct search *s, const struct sim_op *op,
                               uint64_t at_ns, bool is_call)
{
    struct event *event = &s->events[s->event_count++];

    *event = (struct event){.op = op, .at_ns = at_ns, .is_call = is_call};
    return event;
}

static void link_events(struct search *s)
{
    struct event **sorted = mem_zalloc((s->event_count + 1) * sizeof *sorted);
    struct event *last = &s->head;

    for (size_t i = 0; i < s->event_count; i++)
        sorted[i] = &s->events[i];
    qsort(sorted, s->event_count, sizeof *sorted, by_time);
    for (size_t i = 0; i < s->event_count; i++) {
        last->next = sorted[i];
        sorted[i]->prev = last;
        last = sorted[i];
    }
    last->next = NULL;
    free(sorted);
}

static void make_events(struct search *s, const struct sim_history *history,
                        const struct sim_watch *watch)
{
    s->events = mem_zalloc((2 * history->count + 1) * sizeof *s->events);
    for (size_t i = 0; i < history->count; i++) {
        const struct sim_op *op = &history->ops[i];
        struct sim_tag tag = tag_of(op, watch);
        struct event *call;

        if (!is_wanted(op, &tag))
            continue;
        call = add_event(s, op, op->call_ns, true);
        call->new_ino = tag.ino;
        call->until_ns = tag.unpublished > 0 ? UINT64_MAX : tag.last_ns;
        if (op->kind >= REQUEST_CREATE && tag.committed &&
            tag.begun_ns > op->call_ns && tag.begun_ns <= op->return_ns)
            call->at_ns = tag.begun_ns;
        if (op->outcome == SIM_OP_UNKNOWN)
            continue;
        call->match = add_event(s, op, op->return_ns, false);
        s->sure_count++;
    }
    link_events(s);
}

/* ---- taking out and putting back ---- */

static void take_out(struct event *call)
{
    call->prev->next = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    if (call->match == NULL)
        return;
    call->match->prev->next = call->match->next;
    if (call->match->next != NULL)
        call->match->next->prev = call->match->prev;
}

static void put_back(struct event *call)
{
    if (call->match != NULL) {
        call->match->prev->next = call->match;
        if (call->match->next != NULL)
            call->match->next->prev = call->match;
    }
    call->prev->next = call;
    if (call->next != NULL)
        call->next->prev = call;
}

/* ---- what was tried ---- */

static void grow_memo(struct search *s);

static bool remember(struct search *s, uint64_t key)
{
    size_t i;

    if (s->memo_count * 2 >= s->memo_size)
        grow_memo(s);
    key = key == 0 ? 1 : key;
    for (i = (size_t)key % s->memo_size; s->memo[i] != 0;
         i = (i + 1) % s->memo_size)
        if (s->memo[i] == key)
            return false;
    s->memo[i] = key;
    s->memo_count++;
    return true;
}

static void grow_memo(struct search *s)
{
    uint64_t *old = s->memo;
    size_t size = s->memo_size;

    s->memo_size = size == 0 ? 4096 : size * 2;
    s->memo = mem_zalloc(s->memo_size * sizeof *s->memo);
    s->memo_count = 0;
    for (size_t i = 0; i < size; i++)
        if (old[i] != 0)
            (void)remember(s, old[i]);
    free(old);
}

/* ---- the search ---- */

static struct sim_tree *tree_copy(const struct sim_tree *tree)
{
    struct sim_tree *copy = malloc(sizeof *copy);

    assert(copy != NULL);
    memcpy(copy->entries, tree->entries, tree->count * sizeof *tree->entries);
    copy->count = tree->count;
    copy->hash = tree->hash;
    return copy;
}

static void tree_set(struct sim_tree *tree, const struct sim_tree *from)
{
    memcpy(tree->entries, from->entries, from->count * sizeof *from->entries);
    tree->count = from->count;
    tree->hash = from->hash;
}

/* Places the operation next, if it fits there and that is new. */
static bool place(struct search *s, struct event *call)
{
    struct sim_tree *before;
    uint64_t set = s->set ^ sim_mix(call->op->tag, 3);

    if (call->match == NULL && s->latest_ns > call->until_ns)
        return false;
    before = tree_copy(&s->tree);
    s->tries++;
    if (!sim_tree_step(&s->tree, call->op, call->new_ino) ||
        !remember(s, sim_mix(set, s->tree.hash))) {
        tree_set(&s->tree, before);
        free(before);
        return false;
    }
    s->stack[s->depth++] = (struct placed){call, before, s->set, s->latest_ns};
    s->set = set;
    if (call->op->call_ns > s->latest_ns)
        s->latest_ns = call->op->call_ns;
    s->sure_done += call->match != NULL;
    take_out(call);
    return true;
}

static struct event *take_back(struct search *s)
{
    struct placed *placed = &s->stack[--s->depth];

    put_back(placed->call);
    s->set = placed->set;
    s->latest_ns = placed->latest_ns;
    s->sure_done -= placed->call->match != NULL;
    tree_set(&s->tree, placed->before);
    free(placed->before);
    return placed->call;
}

static enum sim_verdict run(struct search *s)
{
    struct event *event = s->head.next;

    while (s->sure_done < s->sure_count) {
        if (s->tries > TRIES_MAX)
            return SIM_TOO_HARD;
        if (event != NULL && event->is_call) {
            event = place(s, event) ? s->head.next : event->next;
            continue;
        }
        /* Had to come earlier. */
        if (event != NULL &&
            (s->sure_done > s->best_done || s->best_op == NULL)) {
            s->best_done = s->sure_done;
            s->best_op = event->op;
            tree_set(&s->best_tree, &s->tree);
        }
        if (s->depth == 0)
            return SIM_NOT_LINEARIZABLE;
        event = take_back(s)->next;
    }
    return SIM_LINEARIZABLE;
}

static void report(const struct search *s, const struct sim_history *history)
{
    char text[320];
    const struct sim_op *best = s->best_op;
    size_t first = best->tag > CONTEXT_OPS ? best->tag - CONTEXT_OPS : 0;

    (void)fprintf(stderr, "not linearizable: nothing explains\n");
    sim_op_print(best, text, sizeof text);
    (void)fprintf(stderr, "  %s\nwith the tree\n", text);
    sim_tree_print(&s->best_tree);
    (void)fprintf(stderr, "operations around it:\n");
    for (size_t i = first; i < history->count && i < best->tag + 10; i++) {
        sim_op_print(&history->ops[i], text, sizeof text);
        (void)fprintf(stderr, "  %s\n", text);
    }
}

enum sim_verdict sim_check(const struct sim_history *history,
                           const struct sim_watch *watch)
{
    struct search *s = mem_zalloc(sizeof *s);
    enum sim_verdict verdict;

    make_events(s, history, watch);
    s->stack = mem_zalloc((history->count + 1) * sizeof *s->stack);
    verdict = run(s);
    if (verdict == SIM_NOT_LINEARIZABLE)
        report(s, history);
    while (s->depth > 0)
        free(s->stack[--s->depth].before);
    free(s->stack);
    free(s->events);
    free(s->memo);
    free(s);
    return verdict;
}
