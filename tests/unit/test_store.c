/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder store keeps what it is given, believes nothing that it finds, and is offline without its
 * marker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "isrfs/base/io.h"
#include "tests/unit/store_bench.h"

static int open_as(struct fixture *f, const char *path, const char *uuid, bool read_only)
{
    struct folder_config config = config_of(f);
    struct store *store = NULL;
    config.path = path;
    config.uuid = uuid;
    config.read_only = read_only;
    int r = folder_open(&config, &store);
    store_free(store);
    return r;
}

static void a_folder_without_a_marker_is_offline_and_stays_untouched(void **state)
{
    struct fixture *f = *state;
    char path[200];
    snprintf(path, sizeof path, "%s/empty", f->root);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(open_as(f, path, NULL, false), -EHOSTDOWN);
    assert_int_equal(names_in(path), 0);
    snprintf(path, sizeof path, "%s/nowhere", f->root);
    assert_int_equal(open_as(f, path, NULL, false), -EHOSTDOWN);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_store_with_another_uuid_is_offline(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_as(f, f->path, f->uuid, false), 0);
    assert_int_equal(open_as(f, f->path, NULL, false), 0);
    assert_int_equal(open_as(f, f->path, "00000000000000000000000000000000", false), -EHOSTDOWN);
    assert_string_equal(folder_uuid(f->store), f->uuid);
}

static void a_damaged_marker_is_offline(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        "",
        "FORMAT:=1\n",
        "FORMAT:=2\nUUID:=0123456789abcdef0123456789abcdef\nFANOUT:=2\n",
        "FORMAT:=1\nUUID:=0123456789abcdef0123456789abcde\nFANOUT:=2\n",
        "FORMAT:=1\nUUID:=0123456789ABCDEF0123456789ABCDEF\nFANOUT:=2\n",
        "FORMAT:=1\nUUID:=0123456789abcdef0123456789abcdef\nFANOUT:=3\n",
        "FORMAT:=1\nUUID:=0123456789abcdef0123456789abcdef\nFANOUT:=2\nMORE:=1\n",
        "FORMAT:=1\nFORMAT:=1\nUUID:=0123456789abcdef0123456789abcdef\nFANOUT:=2\n",
    };
    char marker[200];
    snprintf(marker, sizeof marker, "%s/isrfs-store", f->path);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text(marker, bad[i], strlen(bad[i]));
        assert_int_equal(open_as(f, f->path, NULL, false), -EHOSTDOWN);
    }
    write_text(marker, "FORMAT:=1\nUUID:=0123456789abcdef0123456789abcdef\nFANOUT:=2/2\n", 61);
    assert_int_equal(open_as(f, f->path, NULL, false), 0);
    assert_int_equal(unlink(marker), 0);
    assert_int_equal(mkfifo(marker, 0644), 0);
    assert_int_equal(open_as(f, f->path, NULL, false), -EHOSTDOWN);
}

static void a_store_is_made_only_in_an_empty_or_missing_folder(void **state)
{
    struct fixture *f = *state;
    char path[200], file[210], uuid[STORE_UUID_HEX + 1] = "";
    assert_int_equal(folder_create(f->path, FOLDER_FANOUT_2, uuid), -EEXIST);
    assert_string_equal(uuid, f->uuid);
    snprintf(path, sizeof path, "%s/mine", f->root);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(file, sizeof file, "%s/thesis", path);
    write_text(file, "x", 1);
    assert_int_equal(folder_create(path, FOLDER_FANOUT_2, uuid), -ENOTEMPTY);
    assert_int_equal(names_in(path), 1);
    assert_int_equal(folder_create(file, FOLDER_FANOUT_2, uuid), -ENOTDIR);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(folder_create(path, FOLDER_FANOUT_2, uuid), 0);
    assert_int_equal(open_as(f, path, uuid, false), 0);
    snprintf(path, sizeof path, "%s/no/parent", f->root);
    assert_int_equal(folder_create(path, FOLDER_FANOUT_2, uuid), -ENOENT);
}

static void a_read_only_store_is_read_and_refuses_every_write(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1), b = sample_of(f, 2);
    assert_int_equal(put(f->store, &a), 0);
    struct folder_config config = config_of(f);
    config.read_only = true;
    struct store *store;
    assert_int_equal(folder_open(&config, &store), 0);
    assert_int_equal(get(store, &a), 0);
    assert_int_equal(put(store, &b), -EROFS);
    assert_int_equal(store_remove(store, &a.id), -EROFS);
    assert_int_equal(store_barrier(store), -EROFS);
    assert_int_equal(store_put_record(store, "versions/u/1", "x", 1), -EROFS);
    assert_int_equal(store_remove_record(store, "versions/u/1"), -EROFS);
    assert_int_equal(store_has(store, &b.id), 0);
    store_free(store);
}

static void a_folder_that_may_not_be_written_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chmod(f->root, 0755), 0);
    assert_int_equal(chmod(f->path, 0555), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* root may write anywhere: be somebody else */
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(9);
        _exit(open_as(f, f->path, NULL, false) != -EACCES      ? 1
              : open_as(f, f->path, NULL, true /* read */) < 0 ? 2
                                                               : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(f->path, 0755), 0);
}

static void objects_come_back_from_where_the_fan_out_says(void **state)
{
    struct fixture *f = *state;
    static const enum folder_fanout fanouts[] = {FOLDER_FANOUT_2, FOLDER_FANOUT_2_1,
                                                 FOLDER_FANOUT_2_2};
    for (int i = 0; i < 3; i++) {
        char path[400];
        snprintf(f->path, sizeof f->path, "%s/fan%d", f->root, i);
        assert_int_equal(folder_create(f->path, fanouts[i], f->uuid), 0);
        reopen(f);
        struct sample a = sample_of(f, 1);
        assert_int_equal(store_has(f->store, &a.id), 0);
        assert_int_equal(get(f->store, &a), -ENOENT);
        assert_int_equal(put(f->store, &a), 0);
        assert_int_equal(store_has(f->store, &a.id), 1);
        assert_int_equal(get(f->store, &a), 0);
        assert_int_equal(store_barrier(f->store), 0);
        assert_int_equal(access(path_of(f, "chunks", &a, i, path), R_OK), 0);
        *strrchr(path, '/') = '\0';
        assert_int_equal(names_in(path), 1);
        reopen(f);
        assert_int_equal(get(f->store, &a), 0);
        assert_int_equal(store_remove(f->store, &a.id), 0);
        assert_int_equal(store_remove(f->store, &a.id), 0);
        assert_int_equal(get(f->store, &a), -ENOENT);
        assert_int_equal(store_barrier(f->store), 0);
    }
}

static void the_fan_out_grows_with_the_store(void **state)
{
    (void)state;
    assert_int_equal(folder_fanout_for(0), FOLDER_FANOUT_2);
    assert_int_equal(folder_fanout_for(64ull << 30), FOLDER_FANOUT_2);
    assert_int_equal(folder_fanout_for((64ull << 30) + 1), FOLDER_FANOUT_2_1);
    assert_int_equal(folder_fanout_for(1ull << 40), FOLDER_FANOUT_2_1);
    assert_int_equal(folder_fanout_for((1ull << 40) + 1), FOLDER_FANOUT_2_2);
}

static void a_good_object_is_kept_and_a_torn_one_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    char path[400];
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(store_barrier(f->store), 0);
    path_of(f, "chunks", &a, 0, path);
    ino_t inode = inode_of(path);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(inode_of(path), inode);
    assert_int_equal(store_barrier(f->store), 0);
    static const size_t sizes[] = {0, 1, OBJECT_SIZE - 1, OBJECT_SIZE, OBJECT_SIZE + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t torn[OBJECT_SIZE + 1] = {0};
        memcpy(torn, a.bytes, OBJECT_SIZE / 2);
        write_text(path, torn, sizes[i]);
        assert_int_equal(get(f->store, &a), -EBADMSG);
        assert_int_equal(store_has(f->store, &a.id), 1);
        assert_int_equal(put(f->store, &a), 0);
        assert_int_equal(get(f->store, &a), 0);
        assert_int_equal(store_barrier(f->store), 0);
    }
    assert_true(f->counters.objects_damaged >= 5);
}

static void a_swapped_object_is_never_given(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1), b = sample_of(f, 2);
    char from[400], to[400];
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(put(f->store, &b), 0);
    assert_int_equal(rename(path_of(f, "chunks", &a, 0, from), path_of(f, "chunks", &b, 0, to)), 0);
    assert_int_equal(get(f->store, &a), -ENOENT);
    assert_int_equal(get(f->store, &b), -EBADMSG);
}

static void plant_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char folder[400];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(folder), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", strrchr(path, '/') + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fchdir(here), 0);
    close(here);
    close(fd);
}

static void what_is_no_file_is_refused_without_hanging_and_replaced(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    char path[400], good[200];
    snprintf(good, sizeof good, "%s/good", f->root);
    write_text(good, a.bytes, sizeof a.bytes);
    for (int kind = 0; kind < 4; kind++) {
        assert_int_equal(put(f->store, &a), 0);
        assert_int_equal(store_barrier(f->store), 0);
        assert_int_equal(unlink(path_of(f, "chunks", &a, 0, path)), 0);
        if (kind == 0)
            assert_int_equal(symlink(good, path), 0);
        else if (kind == 1)
            assert_int_equal(mkfifo(path, 0666), 0);
        else if (kind == 2)
            plant_socket(path);
        else
            assert_int_equal(symlink("/dev/zero", path), 0);
        assert_int_equal(get(f->store, &a), -EBADMSG);
        assert_int_equal(store_has(f->store, &a.id), 0);
    }
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(get(f->store, &a), 0);
}

static void a_folder_or_a_huge_file_in_place_of_an_object_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1), b = sample_of(f, 2);
    char path[400];
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(put(f->store, &b), 0);
    assert_int_equal(truncate(path_of(f, "chunks", &a, 0, path), (off_t)1 << 40), 0);
    assert_int_equal(get(f->store, &a), -EBADMSG);
    assert_int_equal(unlink(path_of(f, "chunks", &b, 0, path)), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(get(f->store, &b), -EBADMSG);
    reopen(f); /* which forgets what was put */
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(get(f->store, &a), 0);
    assert_true(put(f->store, &b) < 0);
}

static void nothing_is_written_through_a_symlink(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    char chunks[200], elsewhere[200];
    snprintf(chunks, sizeof chunks, "%s/chunks", f->path);
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", f->root);
    assert_int_equal(mkdir(elsewhere, 0755), 0);
    assert_int_equal(symlink(elsewhere, chunks), 0);
    assert_true(put(f->store, &a) < 0);
    assert_int_equal(names_in(elsewhere), 0);
}

static void what_garbage_collection_set_aside_is_still_read(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    char from[400], to[400], folder[400];
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(store_barrier(f->store), 0);
    path_of(f, "chunks", &a, 0, from);
    path_of(f, "quarantine", &a, 0, to);
    snprintf(folder, sizeof folder, "%s", to);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(io_mkdir_parents(AT_FDCWD, folder, 0755), 0);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(get(f->store, &a), 0);
    assert_int_equal(store_has(f->store, &a.id), 0);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(store_has(f->store, &a.id), 1);
}

static void a_full_disk_is_reported_and_leaves_no_temporary_file(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    char path[400];
    write_error = -ENOSPC;
    assert_int_equal(put(f->store, &a), -ENOSPC);
    assert_int_equal(store_put_record(f->store, "versions/u/1", "x", 1), -ENOSPC);
    write_error = 0;
    path_of(f, "chunks", &a, 0, path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(names_in(path), 0);
    snprintf(path, sizeof path, "%s/versions/u", f->path);
    assert_int_equal(names_in(path), 0);
    assert_int_equal(get(f->store, &a), -ENOENT);
    assert_int_equal(store_barrier(f->store), 0);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(get(f->store, &a), 0);
}

static void holes_and_impossible_sizes_are_refused(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    struct object_id hole = {{0}};
    CLEANUP_BUFFER struct buffer out = {0};
    assert_int_equal(store_get(f->store, &hole, &out), -EINVAL);
    assert_int_equal(store_has(f->store, &hole), -EINVAL);
    assert_int_equal(store_put(f->store, &hole, a.bytes, 100), -EINVAL);
    assert_int_equal(store_put(f->store, &a.id, a.bytes, 0), -EINVAL);
    assert_int_equal(store_put(f->store, &a.id, a.bytes, OBJECT_SIZE_MAX + 1), -EINVAL);
}

struct putter {
    pthread_t thread;
    struct store *store;
    const struct sample *samples;
    int result;
};

static void *put_all(void *arg)
{
    struct putter *p = arg;
    for (int i = 0; i < 20 && p->result == 0; i++)
        p->result = put(p->store, &p->samples[i]);
    if (p->result == 0)
        p->result = store_barrier(p->store);
    return NULL;
}

static void many_threads_put_the_same_objects(void **state)
{
    struct fixture *f = *state;
    struct sample *samples = calloc(20, sizeof *samples);
    struct putter putters[8] = {0};
    for (uint32_t i = 0; i < 20; i++)
        samples[i] = sample_of(f, i);
    for (int i = 0; i < 8; i++) {
        putters[i] = (struct putter){.store = f->store, .samples = samples};
        assert_int_equal(pthread_create(&putters[i].thread, NULL, put_all, &putters[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(putters[i].thread, NULL);
        assert_int_equal(putters[i].result, 0);
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(get(f->store, &samples[i]), 0);
    free(samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_folder_without_a_marker_is_offline_and_stays_untouched),
        TEST(a_store_with_another_uuid_is_offline),
        TEST(a_damaged_marker_is_offline),
        TEST(a_store_is_made_only_in_an_empty_or_missing_folder),
        TEST(a_read_only_store_is_read_and_refuses_every_write),
        TEST(a_folder_that_may_not_be_written_is_refused_at_once),
        TEST(objects_come_back_from_where_the_fan_out_says),
        TEST(the_fan_out_grows_with_the_store),
        TEST(a_good_object_is_kept_and_a_torn_one_is_replaced),
        TEST(a_swapped_object_is_never_given),
        TEST(what_is_no_file_is_refused_without_hanging_and_replaced),
        TEST(a_folder_or_a_huge_file_in_place_of_an_object_is_refused),
        TEST(nothing_is_written_through_a_symlink),
        TEST(what_garbage_collection_set_aside_is_still_read),
        TEST(a_full_disk_is_reported_and_leaves_no_temporary_file),
        TEST(holes_and_impossible_sizes_are_refused),
        TEST(many_threads_put_the_same_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
