/* SPDX-License-Identifier: Apache-2.0 */

/* Reading of scenario files. */

#include "tests/raft/directive.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"
#include "tests/raft/out.h"

void directive_fail(const struct directive *d, const char *why)
{
    fprintf(stderr, "%s:%u: %s\n", d->file, d->line, why);
    exit(2);
}

/* ---- Arguments -------------------------------------------------------- */

/* Where the value that starts after '(' ends: at the matching ')'. */
static char *closing(const struct directive *d, char *from)
{
    int depth = 1;

    for (char *c = from; *c != '\0'; c++) {
        if (*c == '(')
            depth++;
        else if (*c == ')' && --depth == 0)
            return c;
    }
    directive_fail(d, "a parenthesis is not closed");
}

static void add_value(struct directive *d, struct directive_arg *arg,
                      char *value)
{
    if (arg->value_count == DIRECTIVE_VALUES_MAX)
        directive_fail(d, "too many values");
    arg->value[arg->value_count++] = mem_strdup(value);
}

/* Splits at commas outside of parentheses; blanks after a comma go. */
static void split_values(struct directive *d, struct directive_arg *arg,
                         char *list)
{
    char *start = list;
    int depth = 0;

    for (char *c = list;; c++) {
        bool end = *c == '\0';

        depth += *c == '(';
        depth -= *c == ')';
        if (!end && (*c != ',' || depth > 0))
            continue;
        *c = '\0';
        add_value(d, arg, start);
        if (end)
            return;
        while (c[1] == ' ')
            c++;
        start = c + 1;
    }
}

/* Reads one argument and returns what follows it. */
static char *parse_arg(struct directive *d, char *text)
{
    struct directive_arg *arg = &d->arg[d->arg_count];
    char *end = text + strcspn(text, " =");
    char separator = *end;
    char *value = end + 1;

    if (d->arg_count++ == DIRECTIVE_ARGS_MAX)
        directive_fail(d, "too many arguments");
    *arg = (struct directive_arg){.value_count = 0};
    *end = '\0';
    arg->key = mem_strdup(text);
    if (separator != '=')
        return separator == '\0' ? end : value;

    if (*value == '(') {
        end = closing(d, value + 1);
        *end = '\0';
        split_values(d, arg, value + 1);
        return end + 1;
    }
    end = value + strcspn(value, " ");
    separator = *end;
    *end = '\0';
    add_value(d, arg, value);
    return separator == '\0' ? end : end + 1;
}

static void parse_command(struct directive *d, char *text)
{
    char *end = text + strcspn(text, " ");
    bool more = *end != '\0';

    *end = '\0';
    d->command = mem_strdup(text);
    if (!more)
        return;
    for (text = end + 1; *text != '\0';) {
        if (*text == ' ')
            text++;
        else
            text = parse_arg(d, text);
    }
}

/* ---- Lines ------------------------------------------------------------ */

static char *trim(char *text)
{
    size_t size;

    while (isspace((unsigned char)*text))
        text++;
    size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        size--;
    text[size] = '\0';
    return text;
}

/* The next line without its end, to be freed; NULL at the end. */
static char *read_line(struct directive_reader *reader)
{
    char *line = NULL;
    size_t size = 0;

    if (getline(&line, &size, reader->in) < 0) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\n")] = '\0';
    reader->line++;
    return line;
}

static char *read_input(struct directive_reader *reader, struct directive *d)
{
    struct out input = {.used = 0};
    char *line;
    char *trimmed;

    while ((line = read_line(reader)) != NULL && strcmp(line, "----") != 0) {
        out_add(&input, "%s\n", line);
        free(line);
    }
    if (line == NULL)
        directive_fail(d, "---- is missing");
    free(line);
    trimmed = mem_strdup(trim(out_text(&input)));
    out_release(&input);
    return trimmed;
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " \t\r")] == '\0';
}

/* Between two lines of dashes blank lines may occur, else one ends it. */
static char *read_expected(struct directive_reader *reader)
{
    struct out expected = {.used = 0};
    char *line = read_line(reader);
    bool fenced = line != NULL && strcmp(line, "----") == 0;
    bool dashes = false;

    if (fenced) {
        free(line);
        line = read_line(reader);
    }
    for (; line != NULL; line = read_line(reader)) {
        bool is_dashes = strcmp(line, "----") == 0;

        if (fenced ? (dashes && is_dashes) : is_blank(line))
            break;
        if (dashes)
            out_add(&expected, "----\n");
        dashes = fenced && is_dashes;
        if (!dashes)
            out_add(&expected, "%s\n", line);
        free(line);
    }
    free(line);
    return out_take(&expected);
}

/* Adds the lines that a backslash at the end joins. */
static void join_continued(struct directive_reader *reader, struct out *text)
{
    while (text->used > 0 && text->data[text->used - 1] == '\\') {
        char *line = read_line(reader);

        text->used--;
        out_add(text, " %s", line == NULL ? "" : trim(line));
        free(line);
    }
}

/* The next command line, trimmed and joined; false at the end. */
static bool read_command(struct directive_reader *reader, struct out *ret)
{
    char *line;

    while ((line = read_line(reader)) != NULL) {
        char *text = trim(line);
        bool skip = *text == '#' || *text == '\0';

        if (!skip)
            out_add(ret, "%s", text);
        free(line);
        if (!skip) {
            join_continued(reader, ret);
            return true;
        }
    }
    return false;
}

bool directive_read(struct directive_reader *reader, struct directive *ret)
{
    struct out text = {.used = 0};

    memset(ret, 0, sizeof *ret);
    if (!read_command(reader, &text))
        return false;

    ret->file = reader->file;
    ret->line = reader->line;
    parse_command(ret, out_text(&text));
    out_release(&text);
    ret->input = read_input(reader, ret);
    ret->expected = read_expected(reader);
    return true;
}

void directive_release(struct directive *d)
{
    for (size_t i = 0; i < d->arg_count; i++) {
        free(d->arg[i].key);
        for (size_t j = 0; j < d->arg[i].value_count; j++)
            free(d->arg[i].value[j]);
    }
    free(d->command);
    free(d->input);
    free(d->expected);
    memset(d, 0, sizeof *d);
}

/* ---- Access ----------------------------------------------------------- */

const struct directive_arg *directive_arg(const struct directive *d,
                                          const char *key)
{
    for (size_t i = 0; i < d->arg_count; i++)
        if (strcmp(d->arg[i].key, key) == 0)
            return &d->arg[i];
    return NULL;
}

const char *directive_text(const struct directive *d, const char *key,
                           const char *otherwise)
{
    const struct directive_arg *arg = directive_arg(d, key);

    if (arg == NULL)
        return otherwise;
    if (arg->value_count != 1)
        directive_fail(d, "an argument needs exactly one value");
    return arg->value[0];
}

uint64_t directive_number(const struct directive *d, const char *key,
                          uint64_t otherwise)
{
    const char *text = directive_text(d, key, NULL);

    return text == NULL ? otherwise : directive_parse_number(d, text);
}

bool directive_bool(const struct directive *d, const char *key, bool otherwise)
{
    const char *text = directive_text(d, key, NULL);

    return text == NULL ? otherwise : directive_parse_bool(d, text);
}

size_t directive_bare(const struct directive *d, const char **ret, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < d->arg_count; i++)
        if (d->arg[i].value_count == 0 && count < max)
            ret[count++] = d->arg[i].key;
    return count;
}

uint64_t directive_parse_number(const struct directive *d, const char *text)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    while (*end == ' ')
        end++;
    if (!isdigit((unsigned char)*text) || *end != '\0' || errno != 0)
        directive_fail(d, "not a number");
    return number;
}

bool directive_parse_bool(const struct directive *d, const char *text)
{
    static const char *const words[][6] = {
        {"0", "f", "F", "FALSE", "false", "False"},
        {"1", "t", "T", "TRUE", "true", "True"},
    };

    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 6; j++)
            if (strcmp(text, words[i][j]) == 0)
                return i == 1;
    directive_fail(d, "not a boolean");
}
