/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which paths lie on local file systems, and where paths lead, by a list of mounts alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "isrfs/store/remote_mounts.h"
#include "tests/unit/remote_bench.h"

static bool need(const char *list, const char *path)
{
    FILE *in = fmemopen((void *)(uintptr_t)list, strlen(list), "r");
    assert_non_null(in);
    bool r = remote_mounts_need(in, path);
    fclose(in);
    return r;
}

static void the_list_of_mounts_says_what_is_local(void **state)
{
    (void)state;
    const char *list = "20 1 0:1 / / rw - ext4 /dev/a rw\n"
                       "21 20 0:2 / /net rw shared:1 master:2 - nfs4 server:/ rw\n"
                       "22 21 0:3 / /net/disk rw - xfs /dev/b rw\n"
                       "23 20 0:4 / /with\\040space rw - fuse.sshfs host: rw\n"
                       "24 20 0:5 / /stack rw - ext4 /dev/c rw\n"
                       "25 24 0:6 / /stack rw - fuse.x x rw\n"
                       "26 20 0:7 / /hidden/below rw - ext4 /dev/d rw\n"
                       "27 20 0:8 / /hidden rw - fuse x rw\n";
    assert_false(need(list, "/"));
    assert_false(need(list, "/no/such"));
    assert_false(need(list, "/network"));
    assert_true(need(list, "/net"));
    assert_true(need(list, "/net/deep/../er"));
    assert_true(need(list, "//net//"));
    assert_true(need(list, "/net/disk")); /* reached through it */
    assert_true(need(list, "/with space/home"));
    assert_true(need(list, "/stack"));
    assert_true(need(list, "/hidden/below"));
    assert_false(need(list, "/no/../such"));
    assert_true(need(list, "relative"));
    assert_true(need("nonsense\n", "/"));
}

static void a_link_is_followed_to_where_it_leads(void **state)
{
    struct fixture *f = *state;
    char path[200], away[200];
    snprintf(path, sizeof path, "%s/link", f->root);
    snprintf(away, sizeof away, "%s/away", f->root);
    assert_int_equal(symlink("away/x", path), 0);
    CLEANUP_FREE char *list = NULL;
    assert_true(
        asprintf(&list, "20 1 0:1 / / rw - ext4 a rw\n21 20 0:2 / %s rw - nfs b rw\n", away) > 0);
    assert_true(need(list, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(f->path, path), 0);
    assert_false(need(list, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(path, path), 0);
    assert_true(need(list, path)); /* in a circle */
}

static void resolves_to(const char *list, const char *path, const char *wanted)
{
    FILE *in = fmemopen((void *)(uintptr_t)list, strlen(list), "r");
    assert_non_null(in);
    CLEANUP_FREE char *found = NULL;
    assert_int_equal(remote_mounts_resolve(in, path, &found), 0);
    assert_string_equal(found, wanted);
    fclose(in);
}

static void a_path_is_resolved_without_asking_what_is_not_local(void **state)
{
    struct fixture *f = *state;
    char link[200], path[300], away[200], wanted[300], *none = NULL;
    snprintf(link, sizeof link, "%s/link", f->root);
    snprintf(away, sizeof away, "%s/away", f->root);
    assert_int_equal(symlink("./away", link), 0);
    CLEANUP_FREE char *list = NULL;
    assert_true(
        asprintf(&list, "20 1 0:1 / / rw - ext4 a rw\n21 20 0:2 / %s rw - nfs b rw\n", away) > 0);
    snprintf(path, sizeof path, "%s//x/./y/../z/", link);
    snprintf(wanted, sizeof wanted, "%s/x/z", away);
    resolves_to(list, path, wanted);
    resolves_to(list, "/..//.", "/");
    /* beyond, a link is as good as any name */
    assert_int_equal(mkdir(away, 0700), 0);
    snprintf(path, sizeof path, "%s/link", away);
    assert_int_equal(symlink("elsewhere", path), 0);
    resolves_to(list, path, path);
    resolves_to("nonsense\n", link, link);
    assert_int_equal(remote_mounts_resolve(NULL, "relative", &none), -EINVAL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(away), 0);
    assert_int_equal(unlink(link), 0);
}

/* Where the list of mounts has no line for "/" (a chroot that is no mount), that counts as not
 * known. Any folder of a file system may be what is mounted there. */
static void the_machine_s_own_list_is_read(void **state)
{
    static const char *const local[] = {"ext2",  "ext3", "ext4",  "xfs",
                                        "btrfs", "f2fs", "tmpfs", "overlay"};
    (void)state;
    CLEANUP_FCLOSE FILE *list = fopen("/proc/self/mountinfo", "re");
    char line[4096], place[4096], type[32];
    bool is_local = false;
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        const char *rest = strstr(line, " - ");
        if (sscanf(line, "%*s %*s %*s %*s %4095s", place) != 1 || strcmp(place, "/") != 0 ||
            !rest || sscanf(rest, " - %31s", type) != 1)
            continue;
        is_local = false; /* the last one lies on top */
        for (size_t i = 0; i < sizeof local / sizeof *local; i++)
            is_local |= strcmp(type, local[i]) == 0;
    }
    assert_int_equal(remote_is_needed("/"), !is_local);
    assert_true(remote_is_needed("/proc/self")); /* procfs is no place for a store */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_of_mounts_says_what_is_local),
        TEST(a_link_is_followed_to_where_it_leads),
        TEST(a_path_is_resolved_without_asking_what_is_not_local),
        cmocka_unit_test(the_machine_s_own_list_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
