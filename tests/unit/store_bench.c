/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each test has a store of its own in a fresh folder, and its disk works until it says otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

#include "isrfs/base/io.h"
#include "tests/unit/store_bench.h"

atomic_int write_error, fsync_error, syncfs_error;
atomic_uint fsync_calls, fsync_dir_calls, syncfs_calls;

int __real_io_write(int fd, const void *data, size_t size);
int __real_io_fsync(int fd);
int __real_io_fsync_dir(int dirfd, const char *path);
int __real_io_syncfs(int fd);
int __wrap_io_write(int fd, const void *data, size_t size);
int __wrap_io_fsync(int fd);
int __wrap_io_fsync_dir(int dirfd, const char *path);
int __wrap_io_syncfs(int fd);

int __wrap_io_write(int fd, const void *data, size_t size)
{
    int error = write_error;
    if (error == 0)
        return __real_io_write(fd, data, size);
    __real_io_write(fd, data, size / 2);
    return error;
}

int __wrap_io_fsync(int fd)
{
    fsync_calls++;
    return fsync_error ? fsync_error : __real_io_fsync(fd);
}

int __wrap_io_fsync_dir(int dirfd, const char *path)
{
    fsync_dir_calls++;
    return __real_io_fsync_dir(dirfd, path);
}

int __wrap_io_syncfs(int fd)
{
    syncfs_calls++;
    return syncfs_error ? syncfs_error : __real_io_syncfs(fd);
}

struct folder_config config_of(struct fixture *f)
{
    return (struct folder_config){
        .path = f->path,
        .uuid = f->uuid,
        .codec = f->codec,
        .counters = &f->counters,
        .pool = f->pool,
    };
}

void reopen(struct fixture *f)
{
    struct folder_config config = config_of(f);
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(folder_open(&config, &f->store), 0);
}

int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->root, sizeof f->root, "%s/isrfs-store-XXXXXX",
             tmp && strlen(tmp) < 30 ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->path, sizeof f->path, "%s/home of Zoë's VM", f->root);
    f->codec = codec_new(&(struct codec_settings){CODEC_STORED, 0, CODEC_PAD_NONE});
    f->pool = pool_new(2, 16);
    assert_non_null(f->codec);
    assert_non_null(f->pool);
    assert_int_equal(folder_create(f->path, FOLDER_FANOUT_2, f->uuid), 0);
    *state = f;
    reopen(f);
    write_error = fsync_error = syncfs_error = 0;
    fsync_calls = fsync_dir_calls = syncfs_calls = 0;
    alarm(60);
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;
    write_error = fsync_error = syncfs_error = 0;
    store_free(f->store);
    codec_free(f->codec);
    pool_free(f->pool);
    io_remove_tree(AT_FDCWD, f->root);
    free(f);
    return 0;
}

struct sample sample_of(struct fixture *f, uint32_t number)
{
    struct sample s;
    for (size_t i = 0; i < sizeof s.bytes; i++)
        s.bytes[i] = (uint8_t)(i * 7 + i / 256 + number);
    put_u32(s.bytes, number);
    assert_int_equal(codec_digest(f->codec, s.bytes, sizeof s.bytes, &s.id), 0);
    return s;
}

int put(struct store *store, const struct sample *s)
{
    return store_put(store, &s->id, s->bytes, sizeof s->bytes);
}

int get(struct store *store, const struct sample *s)
{
    CLEANUP_BUFFER struct buffer out = {0};
    int r = store_get(store, &s->id, &out);
    if (r == 0) {
        assert_int_equal(out.size, sizeof s->bytes);
        assert_memory_equal(out.data, s->bytes, sizeof s->bytes);
    } else {
        assert_int_equal(out.size, 0);
    }
    return r;
}

const char *path_of(struct fixture *f, const char *top, const struct sample *s, int digits,
                    char out[400])
{
    char hex[65];
    object_id_to_hex(&s->id, hex);
    snprintf(out, 400, "%s/%s/%.2s/%.*s%s%s", f->path, top, hex, digits, hex + 2, digits ? "/" : "",
             hex);
    return out;
}

void write_text(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

ino_t inode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_ino;
}

static int count_name(void *ctx, const char *name)
{
    (void)name;
    ++*(unsigned *)ctx;
    return 0;
}

unsigned names_in(const char *path)
{
    unsigned count = 0;
    assert_int_equal(io_each_name(AT_FDCWD, path, count_name, &count), 0);
    return count;
}
