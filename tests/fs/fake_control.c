/* SPDX-License-Identifier: Apache-2.0 */

/* Orders, one a line, each answered by one line (`trace` by many):
 *
 *   fault KIND NAME error=CODE delay=MS hang late count=N
 *   clear          no faults any more
 *   later 0|1      answer nothing inline
 *   ready          the cluster has been reached
 *   objects N      there are N regions, and N nodes
 *   events N       N more of them have come
 *   fatal          call on_fatal()
 *   trace          the requests since the last `trace`
 *   unlink|write|rename|fill ...   what another node does, see tree_order() */

#include "tests/fs/fake_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ERR_NAME_ROW(name, number, text) {#name, ERR_##name},
static const struct {
    const char *name;
    int code;
} codes[] = {ERR_CODES(ERR_NAME_ROW)};

static int code_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (strcmp(codes[i].name, name) == 0)
            return codes[i].code;
    return ERR_IO;
}

static void add_fault(struct engine *engine, char *rest)
{
    struct fault *fault = &engine->faults[engine->fault_count++];
    char *word;
    char *save = NULL;

    *fault = (struct fault){.status = 0};
    word = strtok_r(rest, " ", &save);
    (void)snprintf(fault->kind, sizeof fault->kind, "%s", word);
    word = strtok_r(NULL, " ", &save);
    (void)snprintf(fault->name, sizeof fault->name, "%s", word);
    while ((word = strtok_r(NULL, " ", &save)) != NULL) {
        if (strncmp(word, "error=", 6) == 0)
            fault->status = code_of(word + 6);
        else if (strncmp(word, "delay=", 6) == 0)
            fault->delay_ms = (unsigned)atoi(word + 6);
        else if (strncmp(word, "count=", 6) == 0)
            fault->count_left = (unsigned)atoi(word + 6);
        else if (strcmp(word, "hang") == 0)
            fault->hang = true;
        else if (strcmp(word, "late") == 0)
            fault->late = true;
    }
}

static void send_trace(struct engine *engine, FILE *out)
{
    (void)fflush(engine->trace_out);
    (void)fwrite(engine->trace, 1, engine->trace_size, out);
    (void)fclose(engine->trace_out);
    free(engine->trace);
    engine->trace_out = open_memstream(&engine->trace, &engine->trace_size);
}

static void obey(struct engine *engine, char *line, FILE *out)
{
    char *rest = strchr(line, ' ');
    char *path;
    int rc = 0;

    if (rest != NULL)
        *rest++ = '\0';
    pthread_mutex_lock(&engine->lock);
    if (strcmp(line, "fault") == 0) {
        add_fault(engine, rest);
    } else if (strcmp(line, "clear") == 0) {
        engine->fault_count = 0;
    } else if (strcmp(line, "later") == 0) {
        engine->answer_later = atoi(rest) != 0;
    } else if (strcmp(line, "ready") == 0) {
        engine->ready = true;
    } else if (strcmp(line, "events") == 0) {
        engine->event_count += (unsigned)atoi(rest);
        pthread_cond_signal(&engine->wake);
    } else if (strcmp(line, "objects") == 0) {
        engine->object_count = (unsigned)atoi(rest);
    } else if (strcmp(line, "trace") == 0) {
        send_trace(engine, out);
    } else if (strcmp(line, "fatal") == 0) {
        engine->config.on_fatal(engine->config.on_fatal_context, "test");
    } else {
        path = rest;
        rest = strchr(path, ' ');
        if (rest != NULL)
            *rest++ = '\0';
        rc = tree_order(engine, line, path, rest);
    }
    pthread_mutex_unlock(&engine->lock);
    fprintf(out, "%s\n", rc == 0 ? "ok" : err_text(rc));
}

static void *serve_control(void *context)
{
    struct engine *engine = context;
    char *line = NULL;
    size_t size = 0;
    FILE *stream;
    ssize_t got;
    int fd;

    while ((fd = accept(engine->control_fd, NULL, NULL)) >= 0) {
        stream = fdopen(fd, "r+");
        got = getline(&line, &size, stream);
        if (got > 0) {
            line[strcspn(line, "\n")] = '\0';
            (void)fseek(stream, 0, SEEK_CUR);
            obey(engine, line, stream);
        }
        (void)fclose(stream);
    }
    free(line);
    return NULL;
}

int control_start(struct engine *engine)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.90s/CTL",
                   engine->data_dir);
    (void)unlink(address.sun_path);
    engine->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (engine->control_fd < 0 ||
        bind(engine->control_fd, (struct sockaddr *)&address, sizeof address) !=
            0 ||
        listen(engine->control_fd, 8) != 0)
        return -errno;
    return -pthread_create(&engine->control, NULL, serve_control, engine);
}

void control_stop(struct engine *engine)
{
    (void)shutdown(engine->control_fd, SHUT_RDWR);
    (void)pthread_join(engine->control, NULL);
    (void)close(engine->control_fd);
}
