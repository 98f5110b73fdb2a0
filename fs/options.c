/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { TEXT, PATH, NUMBER, COUNT, SECONDS, INTERVAL, SIZE, LEVEL };

struct row {
    const char *name;
    enum kind kind;
    size_t member; /* of struct options */
    const char *value;
    const char *help;
};

#define MEMBER(name) offsetof(struct options, name)

static const struct row rows[] = {
    /* clang-format off */
    {"data",       PATH,    MEMBER(data),           "DIR",       "where the store lies (/var/lib/grovefs)"},
    {"listen",     TEXT,    MEMBER(listen),         "HOST:PORT", "address for the other nodes (127.0.0.1:7420)"},
    {"advertise",  TEXT,    MEMBER(advertise),      "HOST:PORT", "address that the others use (that of listen)"},
    {"peers",      TEXT,    MEMBER(peers),          "LIST",      "first members: 1@HOST:PORT+2@HOST:PORT+..."},
    {"join",       TEXT,    MEMBER(join),           "LIST",      "any members of a cluster to join: HOST:PORT+..."},
    {"id",         NUMBER,  MEMBER(id),             "NUMBER",    "this node in the list of peers"},
    {"config",     PATH,    MEMBER(config),         "FILE",      "more options, one `name = value` a line"},
    {"op_timeout", SECONDS, MEMBER(op_timeout_ms),  "SECONDS",   "until a request without a majority fails (10)"},
    {"value_max",  SIZE,    MEMBER(value_size_max), "BYTES",     "greatest file, with K, M or G (64M)"},
    {"log_keep",   NUMBER,  MEMBER(log_keep),       "ENTRIES",   "applied log entries kept for lagging nodes (10000)"},
    {"check_interval", INTERVAL, MEMBER(check_interval_ms), "SECONDS", "between consistency checks, 0 for none (3600)"},
    {"workers",    COUNT,   MEMBER(workers),        "NUMBER",    "threads that apply, 1 to 8; 0: half of the cores, at most 4 (0)"},
    {"log_level",  LEVEL,   MEMBER(log_level),      "LEVEL",     "debug, info, warn or error (info)"},
    /* clang-format on */
};

/* mount(8) passes these on; they say something to others than us. */
static const char *const ignored[] = {
    "defaults", "auto",  "noauto",  "user",   "nouser", "users",
    "owner",    "group", "_netdev", "nofail", "rw",     "default_permissions",
};

static const char *const ignored_prefixes[] = {"x-", "comment=", "subtype="};

/* ---- values ---- */

static bool parse_number(const char *text, uint64_t *ret_number,
                         const char **ret_rest)
{
    char *rest;
    unsigned long long number;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    number = strtoull(text, &rest, 10);
    if (errno != 0)
        return false;
    *ret_number = number;
    *ret_rest = rest;
    return true;
}

static bool parse_size(const char *text, uint64_t *ret_size)
{
    static const char suffixes[] = "KMG";
    const char *rest;
    const char *suffix;
    uint64_t size;
    unsigned shift = 0;

    if (!parse_number(text, &size, &rest))
        return false;
    if (rest[0] != '\0') {
        suffix = strchr(suffixes, toupper((unsigned char)rest[0]));
        if (suffix == NULL || rest[1] != '\0')
            return false;
        shift = 10 * ((unsigned)(suffix - suffixes) + 1);
    }
    if (size == 0 || size > (UINT64_C(1) << 40) >> shift)
        return false;
    *ret_size = size << shift;
    return true;
}

/* At least a millisecond, at most a day. */
static bool parse_seconds(const char *text, uint64_t *ret_ms)
{
    char *rest;
    double seconds;

    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return false;
    seconds = strtod(text, &rest);
    if (rest[0] != '\0' || !(seconds >= 0.001) || seconds > 86400)
        return false;
    *ret_ms = (uint64_t)(seconds * 1000 + 0.5);
    return true;
}

/* The same, or 0 for never. */
static bool parse_interval(const char *text, uint64_t *ret_ms)
{
    if (strcmp(text, "0") != 0)
        return parse_seconds(text, ret_ms);
    *ret_ms = ENGINE_NEVER;
    return true;
}

static bool parse_level(const char *text, enum log_level *ret_level)
{
    for (int level = 0; level < LOG_LEVELS; level++)
        if (strcmp(text, log_level_name((enum log_level)level)) == 0) {
            *ret_level = (enum log_level)level;
            return true;
        }
    return false;
}

/* The daemon changes its folder, so paths are made absolute. */
static char *absolute(const char *path)
{
    char *folder;
    char *full;

    if (path[0] == '/')
        return mem_strdup(path);
    folder = getcwd(NULL, 0);
    if (folder == NULL || asprintf(&full, "%s/%s", folder, path) < 0)
        full = mem_strdup(path);
    free(folder);
    return full;
}

static void set_text(char **text, char *value)
{
    free(*text);
    *text = value;
}

static bool set_value(struct options *options, const struct row *row,
                      const char *value)
{
    void *member = (char *)options + row->member;
    const char *rest;

    if (value[0] == '\0')
        return false;
    switch (row->kind) {
    case TEXT:
        set_text(member, mem_strdup(value));
        return true;
    case PATH:
        set_text(member, absolute(value));
        return true;
    case NUMBER:
        return parse_number(value, member, &rest) && rest[0] == '\0' &&
               *(uint64_t *)member > 0;
    case COUNT:
        return parse_number(value, member, &rest) && rest[0] == '\0';
    case SECONDS:
        return parse_seconds(value, member);
    case INTERVAL:
        return parse_interval(value, member);
    case SIZE:
        return parse_size(value, member);
    case LEVEL:
        return parse_level(value, member);
    }
    assert(false && "kind");
    return false;
}

/* The row that `text` = NAME[=VALUE] belongs to, or NULL. */
static const struct row *find_row(const char *text)
{
    const size_t size = strcspn(text, "=");

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strlen(rows[i].name) == size &&
            memcmp(rows[i].name, text, size) == 0)
            return &rows[i];
    return NULL;
}

static unsigned row_bit(const struct row *row)
{
    return 1U << (row - rows);
}

/* ---- the command line ---- */

static bool is_ignored(const char *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        if (strcmp(text, ignored[i]) == 0)
            return true;
    for (size_t i = 0; i < ARRAY_SIZE(ignored_prefixes); i++)
        if (strncmp(text, ignored_prefixes[i], strlen(ignored_prefixes[i])) ==
            0)
            return true;
    return false;
}

/* Returns what fuse_opt wants: 1 keep for libfuse, 0 ours, -1 error. */
static int on_option(struct options *options, const char *text)
{
    const struct row *row = find_row(text);
    const char *value = strchr(text, '=');

    if (row == NULL) {
        if (strncmp(text, "fsname=", strlen("fsname=")) == 0)
            options->has_fsname = true;
        if (strcmp(text, "allow_other") == 0)
            options->has_allow_other = true;
        return is_ignored(text) ? 0 : 1;
    }
    options->given |= row_bit(row);
    if (value != NULL && set_value(options, row, value + 1))
        return 0;
    (void)err_set(options->error, ERR_INVALID, "option '%s': expected %s=%s",
                  text, row->name, row->value);
    return -1;
}

/* `grovefs MOUNTPOINT`, or `grovefs SOURCE MOUNTPOINT` when mount(8) calls. */
static int on_text(struct options *options, const char *text)
{
    if (++options->texts_count > 2) {
        (void)err_set(options->error, ERR_INVALID, "too many arguments: '%s'",
                      text);
        return -1;
    }
    set_text(&options->mountpoint, mem_strdup(text));
    return 0;
}

enum key { KEY_FOREGROUND, KEY_HELP, KEY_VERSION };

static int on_argument(void *data, const char *text, int key,
                       struct fuse_args *args)
{
    struct options *options = data;

    (void)args;
    switch (key) {
    case FUSE_OPT_KEY_OPT:
        if (text[0] != '-')
            return on_option(options, text);
        (void)err_set(options->error, ERR_INVALID,
                      "unknown option '%s', see grovefs --help", text);
        return -1;
    case FUSE_OPT_KEY_NONOPT:
        return on_text(options, text);
    case KEY_FOREGROUND:
        options->foreground = true;
        return 0;
    case KEY_HELP:
        options->action = OPTIONS_HELP;
        return 0;
    case KEY_VERSION:
        options->action = OPTIONS_VERSION;
        return 0;
    default:
        return 1;
    }
}

/* What FUSE_OPT_KEY() makes, but clang warns of its conversion. */
static const struct fuse_opt switches[] = {
    {"-f", UINT_MAX, KEY_FOREGROUND},     {"-h", UINT_MAX, KEY_HELP},
    {"--help", UINT_MAX, KEY_HELP},       {"-V", UINT_MAX, KEY_VERSION},
    {"--version", UINT_MAX, KEY_VERSION}, FUSE_OPT_END,
};

/* ---- the configuration file ---- */

/* inih calls this for each line; 0 ends it with that line's number. */
static int on_config(void *data, const char *section, const char *name,
                     const char *value)
{
    struct options *options = data;
    const struct row *row = find_row(name);

    if (section[0] != '\0' && strcmp(section, "grovefs") != 0) {
        (void)err_set(options->error, ERR_INVALID, "unknown section [%s]",
                      section);
        return 0;
    }
    if (row == NULL || strcmp(row->name, "config") == 0) {
        (void)err_set(options->error, ERR_INVALID, "unknown option '%s'", name);
        return 0;
    }
    if ((options->given & row_bit(row)) != 0)
        return 1; /* The command line wins. */
    if (set_value(options, row, value))
        return 1;
    (void)err_set(options->error, ERR_INVALID,
                  "option '%s': expected %s, not '%s'", name, row->value,
                  value);
    return 0;
}

static int read_config(struct options *options)
{
    int line;

    if (options->config == NULL)
        return 0;
    line = ini_parse(options->config, on_config, options);
    if (line == 0)
        return 0;
    if (line < 0)
        return err_set(options->error, ERR_INVALID, "cannot read '%s': %s",
                       options->config, strerror(errno));
    if (options->error->text[0] == '\0')
        (void)err_set(options->error, ERR_INVALID, "not `name = value`");
    return err_prefix(options->error, ERR_INVALID, "%s:%d", options->config,
                      line);
}

/* ---- all together ---- */

/* What every grovefs mount has. */
static void add_fixed(struct options *options)
{
    static const char *const fixed[] = {"-odefault_permissions",
                                        "-osubtype=grovefs"};

    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        (void)fuse_opt_add_arg(&options->fuse, fixed[i]);
    if (!options->has_fsname)
        (void)fuse_opt_add_arg(&options->fuse, "-ofsname=grovefs");
    if (!options->has_allow_other && geteuid() == 0)
        (void)fuse_opt_add_arg(&options->fuse, "-oallow_other");
}

int options_parse(struct options *options, int argc, char **argv, struct err *e)
{
    *options = (struct options){
        .log_level = LOG_INFO,
        .fuse = FUSE_ARGS_INIT(argc, argv),
        .error = e,
    };
    static_assert(ARRAY_SIZE(rows) <= 32, "bits of `given`");

    if (fuse_opt_parse(&options->fuse, options, switches, on_argument) != 0)
        return e->text[0] != '\0'
                   ? ERR_INVALID
                   : err_set(e, ERR_INVALID, "wrong options, see --help");
    if (options->action != OPTIONS_RUN)
        return 0;
    if (read_config(options) != 0)
        return ERR_INVALID;
    if (options->mountpoint == NULL)
        return err_set(e, ERR_INVALID,
                       "no mountpoint given, see grovefs --help");
    add_fixed(options);
    return 0;
}

void options_release(struct options *options)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].kind == TEXT || rows[i].kind == PATH)
            set_text((void *)((char *)options + rows[i].member), NULL);
    set_text(&options->mountpoint, NULL);
    fuse_opt_free_args(&options->fuse);
}

void options_print_help(void)
{
    printf("usage: grovefs [-f] [-o option,...] MOUNTPOINT\n"
           "\n"
           "Mounts a replicated key-value store. Without options it is a "
           "one-node store.\n"
           "\n"
           "    -f                     stay in the foreground\n"
           "    -h, --help             print this\n"
           "    -V, --version          print the version\n"
           "\n");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char option[64];

        (void)snprintf(option, sizeof option, "%s=%s", rows[i].name,
                       rows[i].value);
        printf("    -o %-21s %s\n", option, rows[i].help);
    }
    printf("\n"
           "and those of mount.fuse3(8), such as ro, allow_other, fsname=NAME."
           "\n");
}
