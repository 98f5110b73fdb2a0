/* SPDX-License-Identifier: Apache-2.0 */

/* The operations of the mount, by the kernel's names. session.c puts them
 * into libfuse's table. All run on the reader thread, and each replies exactly
 * once, itself or through its done function. */

#ifndef GROVEFS_FS_OPS_H
#define GROVEFS_FS_OPS_H

#include "fs/op.h"

/* ops_name.c */
void op_lookup(fuse_req_t req, fuse_ino_t dir, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t count);
void op_forget_multi(fuse_req_t req, size_t count,
                     struct fuse_forget_data *forgets);
void op_create(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode,
               struct fuse_file_info *file);
void op_mknod(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode,
              dev_t device);
void op_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t dir,
                const char *name);
void op_readlink(fuse_req_t req, fuse_ino_t id);
void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t dir, const char *name);

/* ops_move.c */
void op_unlink(fuse_req_t req, fuse_ino_t dir, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t dir, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t dir, const char *name,
               fuse_ino_t to_dir, const char *to_name, unsigned flags);

/* ops_attr.c */
void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file);
void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set,
                struct fuse_file_info *file);
void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t offset,
                  off_t size, struct fuse_file_info *file);
void op_statfs(fuse_req_t req, fuse_ino_t id);
void op_ioctl(fuse_req_t req, fuse_ino_t id, unsigned command, void *argument,
              struct fuse_file_info *file, unsigned flags, const void *in,
              size_t in_size, size_t out_size);

/* ops_data.c */
void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file);
void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
             struct fuse_file_info *file);
void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file);

/* ops_write.c */
void op_write(fuse_req_t req, fuse_ino_t id, const char *data, size_t size,
              off_t offset, struct fuse_file_info *file);
void op_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file);
void op_fsync(fuse_req_t req, fuse_ino_t id, int data_only,
              struct fuse_file_info *file);

/* Carries out the staged truncations that must not wait any longer (see
 * handle_stage_due()), then does `next`; replies with the error otherwise. */
void op_truncate_first(struct op *op, bool others, op_step *next);

/* ops_dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file);
void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                struct fuse_file_info *file);
void op_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file);
void op_fsyncdir(fuse_req_t req, fuse_ino_t id, int data_only,
                 struct fuse_file_info *file);

/* ops_xattr.c */
void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name,
                 const char *value, size_t size, int flags);
void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name);

/* The handle behind a descriptor. */
static inline struct handle *op_handle(const struct fuse_file_info *file)
{
    return (struct handle *)(uintptr_t)file->fh;
}

#endif
