/* Limits of control groups, as a machine and a container show them, and what they leave of the machine. */
#include "server/base/control_group.h"
#include "server/base/machine.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char mount[64];

static void set_up(void)
{
    snprintf(mount, sizeof mount, "/tmp/slipstream-test-groups-XXXXXX");
    cr_assert(mkdtemp(mount));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static void tear_down(void)
{
    nftw(mount, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(control_group, .init = set_up, .fini = tear_down, .timeout = 60);

/* With the folders on its way; returns the whole path. */
static const char *make_file(const char *path, const char *text)
{
    static char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", mount, path);
    for (char *slash = whole + strlen(mount) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(whole, 0700);
    }
    FILE *f = fopen(whole, "w");
    cr_assert(f, "%s", whole);
    fputs(text, f);
    fclose(f);
    return whole;
}

static uint64_t limit_of(const char *membership)
{
    return control_group_memory_bytes(mount, make_file("membership", membership));
}

static uint64_t processors_of(const char *membership)
{
    return control_group_processors(mount, make_file("membership", membership));
}

Test(control_group, the_lowest_of_the_groups_above)
{
    make_file("a/b/memory.max", "3000\n");
    make_file("a/memory.max", "2000\n");
    make_file("memory.max", "max\n");
    cr_expect_eq(limit_of("0::/a/b\n"), 2000);
    cr_expect_eq(limit_of("0::/a/b/c\n"), 2000);
    cr_expect_eq(limit_of("0::/ab\n"), UINT64_MAX);
    make_file("a/b/memory.max", "1000\n");
    cr_expect_eq(limit_of("0::/a/b\n"), 1000);
}

Test(control_group, in_a_container_the_mounted_group_counts)
{
    make_file("memory.max", "4000\n");
    cr_expect_eq(limit_of("0::/\n"), 4000);
    cr_expect_eq(limit_of("0::/../other/pod\n"), 4000);
    cr_expect_eq(limit_of("0::/kubepods/pod1/container2\n"), 4000);
}

Test(control_group, the_first_version)
{
    make_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
    make_file("memory/docker/x/memory.limit_in_bytes", "5000\n");
    cr_expect_eq(limit_of("5:cpu,cpuacct:/docker/x\n4:hugetlb,memory:/docker/x\n0::/\n"), 5000);
    cr_expect_eq(limit_of("4:memory:/\n"), 9223372036854771712u);
}

Test(control_group, what_cannot_be_read_is_no_limit)
{
    cr_expect_eq(control_group_memory_bytes(mount, "/nonexistent"), UINT64_MAX);
    cr_expect_eq(limit_of(""), UINT64_MAX);
    cr_expect_eq(limit_of("0:\nnonsense\n:::\n4:memory\n"), UINT64_MAX);
    make_file("memory.max", "12 apples");
    cr_expect_eq(limit_of("0::/"), UINT64_MAX);
}

Test(control_group, a_share_of_processors_is_rounded_up)
{
    make_file("a/b/cpu.max", "250000 100000\n");
    make_file("a/cpu.max", "max 100000\n");
    cr_expect_eq(processors_of("0::/a/b\n"), 3);
    cr_expect_eq(processors_of("0::/a\n"), UINT64_MAX);
    make_file("cpu.max", "50000 100000\n");
    cr_expect_eq(processors_of("0::/a/b\n"), 1);
    cr_expect_eq(processors_of("0::/a\n"), 1);
}

Test(control_group, the_first_versions_share_of_processors)
{
    make_file("cpu/cpu.cfs_quota_us", "-1\n");
    make_file("cpu/cpu.cfs_period_us", "100000\n");
    make_file("cpu/docker/x/cpu.cfs_quota_us", "400000\n");
    make_file("cpu/docker/x/cpu.cfs_period_us", "200000\n");
    cr_expect_eq(processors_of("4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n"), 2);
    cr_expect_eq(processors_of("2:cpu,cpuacct:/\n"), UINT64_MAX);
}

Test(control_group, a_share_that_cannot_be_read_is_none)
{
    cr_expect_eq(processors_of("0::/\n"), UINT64_MAX);
    const char *bad[] = {"", "\n", "100000\n", "0 100000\n", "100000 0\n", "1 2 3\n", "a b\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        make_file("cpu.max", bad[i]);
        cr_expect_eq(processors_of("0::/\n"), UINT64_MAX, "%s", bad[i]);
    }
}

Test(control_group, who_is_tied_to_one_processor_has_one)
{
    cpu_set_t mine, one;
    cr_assert_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    int first = 0;
    while (!CPU_ISSET(first, &mine)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    cr_expect_eq(machine_processors(), 1);
}

Test(control_group, there_is_some)
{
    cr_expect_geq(machine_processors(), 1);
    cr_expect_gt(machine_memory_bytes(), 1 << 20);
}
