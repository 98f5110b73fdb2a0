/* SPDX-License-Identifier: Apache-2.0 */

/* Parsing of conf changes. */

#include "tests/raft/conf_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"

static char message[128];

static const char *complain(const char *what, const char *token)
{
    (void)snprintf(message, sizeof message, "%s %s", what, token);
    return message;
}

static const char *parse_operation(const char *token,
                                   struct raft_conf_change *change)
{
    static const char letters[] = "vrul"; /* By enum raft_conf_change_type. */
    const char *letter = strchr(letters, token[0]);
    char *end;
    uint64_t peer;

    if (strlen(token) < 2)
        return complain("unknown token", token);
    if (letter == NULL)
        return complain("unknown input:", token);
    peer = strtoull(token + 1, &end, 10);
    if (*end != '\0' || !isdigit((unsigned char)token[1]) ||
        change->count == RAFT_CONF_CHANGES_MAX)
        return complain("unknown input:", token);
    change->change[change->count].type =
        (enum raft_conf_change_type)(letter - letters);
    change->change[change->count].peer = peer;
    change->count++;
    return NULL;
}

const char *conf_text_parse(const char *text, struct raft_conf_change *ret)
{
    struct raft_conf_change change = {.count = 0};
    char *copy = mem_strdup(text);
    const char *why = NULL;
    char *rest = copy;

    for (char *token = strsep(&rest, " "); token != NULL && *copy != '\0';
         token = strsep(&rest, " ")) {
        why = parse_operation(token, &change);
        if (why != NULL)
            break;
    }
    free(copy);
    if (why == NULL)
        *ret = change;
    return why;
}

const char *conf_text_parse_transition(const char *text,
                                       enum raft_conf_transition *ret)
{
    static const char *const names[RAFT_TRANSITIONS] = {"auto", "implicit",
                                                        "explicit"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], text) == 0) {
            *ret = (enum raft_conf_transition)i;
            return NULL;
        }
    return complain("unknown transition", text);
}
