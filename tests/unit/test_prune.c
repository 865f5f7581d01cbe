/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which versions the rules keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "isrfs/sync/prune.h"

#define DAY   86400u
#define COUNT 40u

/* One version every six hours from Monday, 2026-06-01 00:00 UTC. */
static void make(struct lockclient_version versions[COUNT])
{
    for (unsigned i = 0; i < COUNT; i++)
        versions[i] =
            (struct lockclient_version){.number = i + 1, .time = 1780272000u + i * DAY / 4};
}

static size_t kept(const struct prune_rules *rules, uint64_t needed,
                   enum prune_reason reasons[COUNT])
{
    struct lockclient_version versions[COUNT];
    make(versions);
    prune_choose(&(struct lockclient_history){versions, COUNT}, rules, needed, reasons);
    size_t count = 0;
    for (unsigned i = 0; i < COUNT; i++)
        count += reasons[i] != PRUNE_FORGET;
    return count;
}

static void test_the_newest_always_stays(void **state)
{
    (void)state;
    enum prune_reason reasons[COUNT];
    assert_int_equal(kept(&(struct prune_rules){0}, 0, reasons), 1);
    assert_int_equal(reasons[COUNT - 1], PRUNE_NEWEST);
}

static void test_what_a_check_out_works_from_stays(void **state)
{
    (void)state;
    enum prune_reason reasons[COUNT];
    assert_int_equal(kept(&(struct prune_rules){.last = 1}, COUNT - 1, reasons), 2);
    assert_int_equal(reasons[COUNT - 2], PRUNE_IN_USE);
}

static void test_each_rule_counts_for_itself(void **state)
{
    (void)state;
    enum prune_reason reasons[COUNT];
    /* 40 versions are ten days, two weeks, one month: the last of each day is 4, 8, ... */
    assert_int_equal(kept(&(struct prune_rules){.last = 3}, 0, reasons), 3);
    assert_int_equal(kept(&(struct prune_rules){.daily = 3}, 0, reasons), 3);
    assert_int_equal(reasons[31], PRUNE_DAILY);
    assert_int_equal(reasons[32], PRUNE_FORGET);
    assert_int_equal(reasons[35], PRUNE_DAILY);
    assert_int_equal(kept(&(struct prune_rules){.daily = 100}, 0, reasons), 10);
    assert_int_equal(kept(&(struct prune_rules){.weekly = 100}, 0, reasons), 2);
    assert_int_equal(reasons[27], PRUNE_WEEKLY); /* Sunday evening */
    assert_int_equal(kept(&(struct prune_rules){.monthly = 100}, 0, reasons), 1);
    assert_int_equal(
        kept(&(struct prune_rules){.last = 2, .daily = 2, .weekly = 2, .monthly = 2}, 0, reasons),
        4);
}

static void test_a_clock_that_was_wrong_keeps_rather_more(void **state)
{
    (void)state;
    struct lockclient_version versions[4];
    for (unsigned i = 0; i < 4; i++)
        versions[i] =
            (struct lockclient_version){.number = i + 1, .time = i == 1 ? UINT64_MAX : 1780272000u};
    enum prune_reason reasons[4];
    prune_choose(&(struct lockclient_history){versions, 4}, &(struct prune_rules){.daily = 9}, 0,
                 reasons);
    assert_int_equal(reasons[0], PRUNE_DAILY);
    assert_int_equal(reasons[1], PRUNE_DAILY);
    assert_int_equal(reasons[2], PRUNE_FORGET);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_always_stays),
        cmocka_unit_test(test_what_a_check_out_works_from_stays),
        cmocka_unit_test(test_each_rule_counts_for_itself),
        cmocka_unit_test(test_a_clock_that_was_wrong_keeps_rather_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
