/* Limits of control groups, as a machine and a container show them. */
#include "server/base/machine_memory.h"

#include <criterion/criterion.h>
#include <ftw.h>
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

TestSuite(machine_memory, .init = set_up, .fini = tear_down, .timeout = 60);

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

Test(machine_memory, the_lowest_of_the_groups_above)
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

Test(machine_memory, in_a_container_the_mounted_group_counts)
{
    make_file("memory.max", "4000\n");
    cr_expect_eq(limit_of("0::/\n"), 4000);
    cr_expect_eq(limit_of("0::/../other/pod\n"), 4000);
    cr_expect_eq(limit_of("0::/kubepods/pod1/container2\n"), 4000);
}

Test(machine_memory, the_first_version)
{
    make_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
    make_file("memory/docker/x/memory.limit_in_bytes", "5000\n");
    cr_expect_eq(limit_of("5:cpu,cpuacct:/docker/x\n4:hugetlb,memory:/docker/x\n0::/\n"), 5000);
    cr_expect_eq(limit_of("4:memory:/\n"), 9223372036854771712u);
}

Test(machine_memory, what_cannot_be_read_is_no_limit)
{
    cr_expect_eq(control_group_memory_bytes(mount, "/nonexistent"), UINT64_MAX);
    cr_expect_eq(limit_of(""), UINT64_MAX);
    cr_expect_eq(limit_of("0:\nnonsense\n:::\n4:memory\n"), UINT64_MAX);
    make_file("memory.max", "12 apples");
    cr_expect_eq(limit_of("0::/"), UINT64_MAX);
}

Test(machine_memory, there_is_some)
{
    cr_expect_gt(machine_memory_bytes(), 1 << 20);
}
