/* SPDX-License-Identifier: Apache-2.0 */

/* Error codes of the whole program, and error messages made for people.
 *
 * A function that can fail returns 0 or one of the negative codes below. Where
 * a person will read the result it also takes a `struct err *`: the callee
 * sets the text, every caller on the way up may prefix it, and nobody logs
 * and returns. errno exists only at the two edges: err_from_errno() right
 * after a system call, err_errno() in fs/ when the kernel is answered. */

#ifndef GROVEFS_RAFT_BASE_ERR_H
#define GROVEFS_RAFT_BASE_ERR_H

/* Rows: name, errno, text. Codes are numbered from -1 downwards in this
 * order and travel between nodes: append only. */
#define ERR_CODES(X)                                                           \
    X(NOT_LEADER, EHOSTUNREACH, "this replica does not lead the region")       \
    X(EPOCH, EHOSTUNREACH, "the region has changed meanwhile")                 \
    X(NO_QUORUM, EHOSTUNREACH, "no majority could be reached")                 \
    X(UNKNOWN_OUTCOME, ETIMEDOUT, "not confirmed in time, may be applied")     \
    X(READ_ONLY, EROFS, "read-only")                                           \
    X(INTERRUPTED, EINTR, "interrupted")                                       \
    X(TOO_LARGE, EFBIG, "the value is too large")                              \
    X(NAME_TOO_LONG, ENAMETOOLONG, "the name is too long")                     \
    X(XATTR_TOO_LARGE, E2BIG, "the extended attribute is too large")           \
    X(NO_SPACE, ENOSPC, "no space left")                                       \
    X(QUOTA, EDQUOT, "over quota")                                             \
    X(BUSY, EBUSY, "busy")                                                     \
    X(CROSS_DEVICE, EXDEV, "not atomic across these places")                   \
    X(NOT_PERMITTED, EPERM, "not permitted")                                   \
    X(ACCESS, EACCES, "permission denied")                                     \
    X(STALE, ESTALE, "the file is gone")                                       \
    X(EXISTS, EEXIST, "exists")                                                \
    X(NOT_FOUND, ENOENT, "not found")                                          \
    X(NOT_DIR, ENOTDIR, "not a directory")                                     \
    X(IS_DIR, EISDIR, "is a directory")                                        \
    X(NOT_EMPTY, ENOTEMPTY, "not empty")                                       \
    X(INVALID, EINVAL, "invalid")                                              \
    X(NO_DATA, ENODATA, "no such attribute")                                   \
    X(NOT_SUPPORTED, EOPNOTSUPP, "not supported")                              \
    X(CORRUPT, EIO, "stored data failed its checksum")                         \
    X(IO, EIO, "input/output error")                                           \
    X(NO_MEMORY, ENOMEM, "out of memory")                                      \
    X(CANCELED, ECANCELED, "canceled")                                         \
    X(COMPACTED, EIO, "the log entry was compacted away")                      \
    X(UNAVAILABLE, EIO, "not available yet")                                   \
    X(DROPPED, EHOSTUNREACH, "the proposal was dropped")                       \
    X(LOCKED, EBUSY, "held by a running transaction")                          \
    X(ABORTED, EBUSY, "the transaction was aborted")                           \
    X(VERSION, EPROTO, "unknown format version")                               \
    X(PROTOCOL, EPROTO, "malformed message")                                   \
    X(FOREIGN, EPROTO, "belongs to another cluster or node")                   \
    X(ADDRESS_IN_USE, EADDRINUSE, "the address is in use")                     \
    X(RANGE, ERANGE, "the buffer is too small")

enum err_code {
    ERR__FIRST = 0,
#define ERR_NUMBER(name, number, text) ERR__##name,
    ERR_CODES(ERR_NUMBER)
#undef ERR_NUMBER
        ERR__COUNT
};

enum {
#define ERR_CODE(name, number, text) ERR_##name = -(int)ERR__##name,
    ERR_CODES(ERR_CODE)
#undef ERR_CODE
};

enum { ERR_TEXT_SIZE = 512 };

/* Caller's memory; ERR_INIT or a zeroed struct is an empty message. */
struct err {
    char text[ERR_TEXT_SIZE];
};

#define ERR_INIT                                                               \
    {                                                                          \
        .text = ""                                                             \
    }

/* Replaces the text. `e` may be NULL. Returns `code`. */
int err_set(struct err *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<format>: " in front of the text; an empty text becomes the code's
 * own. `e` may be NULL. Returns `code`. */
int err_prefix(struct err *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The table's text for a code, "success" for 0; never NULL. */
const char *err_text(int code);

/* The positive errno for a code, 0 for 0. */
int err_errno(int code);

/* The code for a positive errno; ERR_IO for those that have none. */
int err_from_errno(int number);

#endif
