/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/members.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/command.h"
#include "engine/keys.h"
#include "engine/leave.h"
#include "engine/members_plan.h"
#include "engine/reporter.h"
#include "engine/router.h"
#include "engine/settings.h"
#include "engine/status.h"
#include "engine/wire.h"

enum {
    JOIN_MS = 4000, /* less than the one who asks waits for the answer */
    APPLICANTS_MAX = 64
};

static const uint64_t second_ns = 1000000000;

/* A store that waits for its id. */
struct applicant {
    struct members *members;
    uint64_t from;
    uint64_t token;
    struct router_call call;
    TAILQ_ENTRY(applicant) link;
};

/* Since when region 0's leader has missed a node, from when it took office. */
struct missed {
    uint64_t id; /* 0: free */
    uint64_t since_ns;
};

struct members {
    struct node *node;
    TAILQ_HEAD(, applicant) applicants;
    size_t applicant_count;
    struct missed missed[MEMBERS_NODES_MAX];
    struct settings settings; /* when it last looked */
};

struct members *members_new(struct node *node)
{
    struct members *members = mem_zalloc(sizeof *members);

    members->node = node;
    TAILQ_INIT(&members->applicants);
    return members;
}

static void forget_applicant(struct applicant *applicant)
{
    struct members *members = applicant->members;

    router_cancel(node_router(members->node), &applicant->call);
    TAILQ_REMOVE(&members->applicants, applicant, link);
    members->applicant_count--;
    free(applicant);
}

void members_stop(struct members *members)
{
    struct applicant *applicant;

    while ((applicant = TAILQ_FIRST(&members->applicants)) != NULL)
        forget_applicant(applicant);
}

void members_free(struct members *members)
{
    if (members == NULL)
        return;
    assert(TAILQ_EMPTY(&members->applicants));
    free(members);
}

int members_find(struct node *node, uint64_t id, struct node_record *ret)
{
    struct key key = key_node(id);
    struct kv_value value = {0};
    int rc = kv_get(node_env(node)->state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = node_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

/* ---- joining ---- */

static void answer(struct applicant *applicant, int status, uint64_t id)
{
    struct node *node = applicant->members->node;
    struct join_answer joined = {.status = status, .token = applicant->token};
    struct buf *header;

    if (status == 0) {
        joined.cluster_id = node_config(node)->identity.cluster_id;
        joined.node = id;
        node_log_event(node, LOG_INFO, "node %" PRIu64 " joins the cluster",
                       id);
    }
    header = join_answer_encode(&joined);
    node_send(node, applicant->from, ENV_CHANNEL_RAFT, WIRE_JOINED, header,
              NULL);
    buf_unref(header);
}

static void allotted(struct router_call *call, int status,
                     const struct result *result, uint64_t index)
{
    struct applicant *applicant = container_of(call, struct applicant, call);

    (void)index;
    if (status != ERR_CANCELED) /* Else somebody else may be asked. */
        answer(applicant, status, status == 0 ? result->first_id : 0);
    forget_applicant(applicant);
}

/* A store that has heard nothing asks again: it gets the answer to what is
 * under way. */
static bool is_waiting(struct members *members, uint64_t from, uint64_t token)
{
    struct applicant *applicant;

    TAILQ_FOREACH (applicant, &members->applicants, link)
        if (applicant->token == token) {
            applicant->from = from;
            return true;
        }
    return false;
}

void members_on_join(struct members *members, uint64_t from,
                     const struct env_packet *packet)
{
    struct env *env = node_env(members->node);
    struct command command = {.op = COMMAND_NODE_JOIN};
    struct join_request request;
    struct applicant *applicant;

    if (join_request_decode(&request, buf_slice(packet->header)) != 0 ||
        is_waiting(members, from, request.token) ||
        members->applicant_count == APPLICANTS_MAX)
        return;
    applicant = mem_zalloc(sizeof *applicant);
    applicant->members = members;
    applicant->from = from;
    applicant->token = request.token;
    TAILQ_INSERT_TAIL(&members->applicants, applicant, link);
    members->applicant_count++;
    command.token = request.token;
    command.target_node = request.node;
    command.address = slice_of(request.address);
    applicant->call.kind = CALL_PROPOSE;
    applicant->call.region = REGION_PLACEMENT;
    applicant->call.deadline_ns =
        env_mono_ns(env) + (uint64_t)JOIN_MS * 1000000;
    applicant->call.done = allotted;
    router_call(node_router(members->node), &applicant->call, &command);
}

/* ---- removed nodes ---- */

/* One that is still connected: it may not have heard of it. */
static void tell_removed(struct members *members,
                         const struct node_record *record)
{
    struct node *node = members->node;
    struct join_answer gone = {.status = ERR_NOT_PERMITTED,
                               .token = record->token};
    struct buf *header;

    if (record->state != NODE_REMOVED || !node_link_up(node, record->id))
        return;
    header = join_answer_encode(&gone);
    node_send(node, record->id, ENV_CHANNEL_RAFT, WIRE_JOINED, header, NULL);
    buf_unref(header);
}

static void tell_all_removed(struct members *members)
{
    struct key lower = key_node(0);
    struct key upper = key_node(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(node_env(members->node)->state, NULL,
                                       key_slice(&lower), key_slice(&upper));

    for (kv_iter_seek(iter, key_slice(&lower)); kv_iter_valid(iter);
         kv_iter_next(iter)) {
        struct node_record record = {0};

        if (node_decode(&record, kv_iter_value(iter)) == 0)
            tell_removed(members, &record);
    }
    kv_iter_free(iter);
}

/* A founder's record has no token. */
void members_on_joined(struct members *members, const struct env_packet *packet)
{
    const struct identity *identity = &node_config(members->node)->identity;
    struct join_answer gone;

    if (join_answer_decode(&gone, buf_slice(packet->header)) == 0 &&
        gone.status == ERR_NOT_PERMITTED &&
        (gone.token == 0 || gone.token == identity->token))
        node_on_removed(members->node);
}

static bool was_removed(struct node *node)
{
    struct node_record self;

    return members_find(node, node_id(node), &self) == 0 &&
           self.state == NODE_REMOVED;
}

/* ---- region 0's members: what its leader sees ---- */

/* `id` 0: of one that is free. MEMBERS_NODES_MAX: there is none. */
static size_t missed_place(const struct members *members, uint64_t id)
{
    size_t place = 0;

    while (place < MEMBERS_NODES_MAX && members->missed[place].id != id)
        place++;
    return place;
}

static void forget_missed(struct members *members, uint64_t id)
{
    size_t place = missed_place(members, id);

    if (place < MEMBERS_NODES_MAX)
        members->missed[place].id = 0;
}

bool members_is_lost(const struct members *members, uint64_t id)
{
    size_t place = missed_place(members, id);
    uint64_t now_ns = env_mono_ns(node_env(members->node));

    return id != 0 && place < MEMBERS_NODES_MAX &&
           now_ns - members->missed[place].since_ns >=
               members->settings.value[SETTING_DOWN_AFTER] * second_ns;
}

/* Whether it is reached or not counts from here on. */
static void note_missed(struct members *members, uint64_t id, bool up)
{
    size_t place = missed_place(members, id);

    if (up) {
        forget_missed(members, id);
    } else if (place == MEMBERS_NODES_MAX) {
        place = missed_place(members, 0);
        assert(place < MEMBERS_NODES_MAX); /* As many as nodes in a view. */
        members->missed[place] =
            (struct missed){id, env_mono_ns(node_env(members->node))};
    }
}

/* One without a replica tells nothing of itself yet. */
static bool is_up(const struct members *members, const struct region *region,
                  uint64_t id)
{
    const struct node *node = members->node;

    if (id == node_id(node))
        return true;
    if (region_find_node(region, id) == NULL)
        return node_link_up(node, id);
    return status_board_find(node_status_board(node), id) != NULL;
}

static bool has_caught_up(const struct members *members,
                          const struct peer *placement, uint64_t id)
{
    const struct region_peer *replica =
        region_find_node(peer_region(placement), id);

    return replica != NULL &&
           (reporter_peer_flags(members->node, placement, replica) &
            PEER_FLAG_CAUGHT_UP) != 0;
}

static void add_node(struct members *members, const struct peer *placement,
                     const struct node_record *record,
                     struct members_view *view)
{
    bool up = is_up(members, view->region, record->id);

    if (record->state == NODE_REMOVED &&
        region_find_node(view->region, record->id) == NULL) {
        forget_missed(members, record->id);
        return;
    }
    assert(view->node_count < MEMBERS_NODES_MAX);
    leave_prepare(members->node, record);
    note_missed(members, record->id, up);
    view->nodes[view->node_count++] = (struct member_node){
        .id = record->id,
        .state = record->state,
        .up = up,
        .lost = members_is_lost(members, record->id),
        .caught_up = has_caught_up(members, placement, record->id),
    };
}

/* A replica of a node that is not in the catalog: something is wrong here. */
static bool is_whole(const struct members_view *view)
{
    for (size_t i = 0; i < view->region->peer_count; i++)
        if (members_view_find(view, view->region->peers[i].node) == NULL)
            return false;
    return true;
}

static int read_nodes(struct members *members, const struct peer *placement,
                      struct members_view *view)
{
    struct key lower = key_node(0);
    struct key upper = key_node(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(node_env(members->node)->state, NULL,
                                       key_slice(&lower), key_slice(&upper));
    int rc = 0;

    for (kv_iter_seek(iter, key_slice(&lower)); rc == 0 && kv_iter_valid(iter);
         kv_iter_next(iter)) {
        struct node_record record = {0};

        rc = node_decode(&record, kv_iter_value(iter));
        if (rc == 0)
            add_node(members, placement, &record, view);
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* False: what this node knows is damaged, and nothing is to be decided from
 * it. */
static bool look(struct members *members, struct peer *placement,
                 struct members_view *ret)
{
    int rc;

    ret->region = peer_region(placement);
    ret->leader = node_id(members->node);
    ret->node_count = 0;
    rc = settings_read(node_env(members->node)->state, &members->settings);
    if (rc == 0)
        rc = read_nodes(members, placement, ret);
    if (rc != 0 && !peer_was_just_mended(placement))
        (void)peer_found_damage(placement, "a record of a node or of a "
                                           "setting is damaged");
    return rc == 0 && is_whole(ret);
}

/* ---- and what it does ---- */

static const char *text_of(const struct peer_step *step)
{
    switch (step->type) {
    case RAFT_ADD_VOTER:
        return "is to vote";
    case RAFT_ADD_LEARNER:
        return step->node != 0 ? "is to get a replica" : "is to vote no more";
    default:
        return "is to lose its replica";
    }
}

static void log_steps(struct members *members, const struct peer *placement,
                      const struct peer_change *change)
{
    for (size_t i = 0; i < change->count; i++) {
        const struct peer_step *step = &change->steps[i];
        uint64_t node =
            step->node != 0 ? step->node : peer_node_of(placement, step->peer);

        node_log_event(members->node, LOG_INFO, "region 0: node %" PRIu64 " %s",
                       node, text_of(step));
    }
}

static void carry_out(struct members *members, struct peer *placement,
                      const struct members_step *step)
{
    switch (step->kind) {
    case MEMBERS_NOTHING:
        return;
    case MEMBERS_TRANSFER:
        (void)peer_transfer(placement, step->node); /* Else next second. */
        return;
    case MEMBERS_CHANGE:
        if (peer_propose_change(placement, &step->change) == 0)
            log_steps(members, placement, &step->change);
        return;
    }
}

void members_tick(struct members *members)
{
    struct peer *placement = node_peer(members->node, REGION_PLACEMENT);
    struct members_view view;
    struct members_step step;

    if (was_removed(members->node)) {
        node_on_removed(members->node);
        return;
    }
    tell_all_removed(members);
    if (placement == NULL || !peer_is_serving(placement)) {
        memset(members->missed, 0, sizeof members->missed);
        return;
    }
    if (!look(members, placement, &view))
        return;
    members_plan(&view, &step);
    carry_out(members, placement, &step);
}
