/* SPDX-License-Identifier: Apache-2.0 */

#include "fake_env.h"

#include <assert.h>
#include <stddef.h>

static struct fake_env *fake_of(struct env *env)
{
    return (struct fake_env *)(void *)((char *)env -
                                       offsetof(struct fake_env, env));
}

static uint64_t no_number(struct env *env)
{
    (void)env;
    return 1;
}

static uint64_t now(struct env *env)
{
    return fake_of(env)->now_ns;
}

static uint64_t wall(struct env *env)
{
    return fake_of(env)->now_ns + fake_of(env)->ahead_ns;
}

static void on_post(struct env *env, enum env_owner owner,
                    struct env_task *task)
{
    STAILQ_INSERT_TAIL(&fake_of(env)->tasks[owner], task, link);
}

static void on_timer_start(struct env *env, struct env_timer *timer,
                           uint64_t delay_ns)
{
    struct fake_env *fake = fake_of(env);

    timers_start(&fake->timers, timer, fake->now_ns + delay_ns);
}

static void on_timer_stop(struct env *env, struct env_timer *timer)
{
    timers_stop(&fake_of(env)->timers, timer);
}

static void on_log_write(struct env *env, struct env_log_write *write)
{
    struct fake_env *fake = fake_of(env);

    STAILQ_INSERT_TAIL(&fake->writes, write, link);
    fake->write_count++;
}

static void on_send(struct env *env, uint64_t node_id, enum env_channel channel,
                    const struct env_packet *packet)
{
    (void)env;
    (void)node_id;
    (void)channel;
    (void)packet; /* Lost. */
}

static void on_fatal(struct env *env, const char *reason)
{
    (void)reason;
    fake_of(env)->fatal_count++;
}

static const struct env_ops ops = {.mono_ns = now,
                                   .wall_ns = wall,
                                   .random = no_number,
                                   .post = on_post,
                                   .timer_start = on_timer_start,
                                   .timer_stop = on_timer_stop,
                                   .log_write = on_log_write,
                                   .send = on_send,
                                   .fatal = on_fatal};

void fake_env_init(struct fake_env *fake, struct kv *log, struct kv *state)
{
    *fake = (struct fake_env){
        .env = {.ops = &ops, .log = log, .state = state, .apply_owners = 1}};
    for (size_t i = 0; i < ENV_OWNERS; i++)
        STAILQ_INIT(&fake->tasks[i]);
    STAILQ_INIT(&fake->writes);
    timers_init(&fake->timers);
    fake->now_ns = 1;
}

static bool run_one(struct fake_env *fake, enum env_owner owner)
{
    struct env_task *task = STAILQ_FIRST(&fake->tasks[owner]);

    if (task == NULL || (owner != ENV_WORKER && owner == fake->held))
        return false;
    STAILQ_REMOVE_HEAD(&fake->tasks[owner], link);
    task->run(task);
    return true;
}

void fake_env_run(struct fake_env *fake)
{
    bool any = true;

    while (any) {
        any = false;
        for (enum env_owner owner = ENV_WORKER; owner < ENV_OWNERS; owner++)
            any = run_one(fake, owner) || any;
    }
}

void fake_env_sync(struct fake_env *fake, size_t count)
{
    struct fake_writes synced = STAILQ_HEAD_INITIALIZER(synced);
    struct kv_batch *batch = kv_batch_new(fake->env.log);
    struct env_log_write *write;
    int rc;

    while (count-- > 0 && (write = STAILQ_FIRST(&fake->writes)) != NULL) {
        STAILQ_REMOVE_HEAD(&fake->writes, link);
        fake->write_count--;
        write->fill(write, batch);
        STAILQ_INSERT_TAIL(&synced, write, link);
    }
    rc = kv_write(fake->env.log, batch, KV_SYNCED, NULL);
    assert(rc == 0);
    kv_batch_free(batch);
    while ((write = STAILQ_FIRST(&synced)) != NULL) {
        STAILQ_REMOVE_HEAD(&synced, link);
        write->done(write);
    }
}

void fake_env_pass(struct fake_env *fake, uint64_t ms)
{
    fake->now_ns += ms * 1000000;
    timers_fire(&fake->timers, fake->now_ns);
}

void fake_env_forget(struct fake_env *fake)
{
    struct env_log_write *write;

    while ((write = STAILQ_FIRST(&fake->writes)) != NULL) {
        STAILQ_REMOVE_HEAD(&fake->writes, link);
        write->done(write);
    }
    fake->write_count = 0;
}
