/* SPDX-License-Identifier: Apache-2.0 */

/* How many snapshot streams a node sends at once, and how fast: rules 5 and 6
 * of snapshot.h. */

#include "engine/snapshot_send_impl.h"

/* ---- turns ---- */

/* What has been sent waits for the other node's disk only. */
static bool takes_turn(const struct sending *s)
{
    return s->begun && !s->ended && !s->all_sent;
}

bool sending_has_turn(const struct sending *waiting)
{
    const struct sending *s;
    size_t count = 0;
    size_t to_one = 0;

    TAILQ_FOREACH (s, &waiting->snapshots->sendings, link)
        if (takes_turn(s)) {
            count++;
            to_one += s->to_node == waiting->to_node;
        }
    return waiting->region == REGION_PLACEMENT ||
           (count < SNAPSHOT_SENDING_MAX &&
            to_one < SNAPSHOT_SENDING_TO_ONE_MAX);
}

size_t sendings_running(const struct snapshots *snapshots)
{
    const struct sending *s;
    size_t count = 0;

    TAILQ_FOREACH (s, &snapshots->sendings, link)
        count += s->begun && !s->ended;
    return count;
}

/* ---- pace ---- */

static const uint64_t second_ns = 1000000000;

/* What was not used for a while is lost. */
void sendings_pay(struct snapshots *snapshots, size_t bytes)
{
    uint64_t now_ns = env_mono_ns(snapshots->env);

    if (snapshots->paid_ns < now_ns)
        snapshots->paid_ns = now_ns;
    snapshots->paid_ns += bytes * second_ns / SNAPSHOT_BYTES_PER_S;
}

bool sendings_may_read(struct snapshots *snapshots)
{
    uint64_t burst_ns = SNAPSHOT_BURST_BYTES * second_ns / SNAPSHOT_BYTES_PER_S;
    uint64_t now_ns = env_mono_ns(snapshots->env);

    if (snapshots->paid_ns <= now_ns + burst_ns)
        return true;
    env_timer_start(snapshots->env, &snapshots->pace,
                    snapshots->paid_ns - burst_ns - now_ns);
    return false;
}
