/* In which form a follower gets its snapshot, by what it says of itself and by what it went away from. */
#include "repl/snapshot_form.h"

#include <criterion/criterion.h>

#define VERSION(major, minor, patch) ((major) << 16 | (minor) << 8 | (patch))

Test(snapshot_form, who_says_who_it_is_gets_what_it_can_read)
{
    struct follower_hello ours = {.lz4 = true, .version = VERSION(9, 0, 0)}, redis_8 = {.rdb_channel = true},
                          valkey_9 = {.version = VERSION(9, 1, 2)}, valkey_8 = {.version = VERSION(8, 1, 3)};
    cr_assert_eq(snapshot_form(&ours, RDB_FOR_6_2, 0), RDB_FOR_8);
    cr_assert_eq(snapshot_form(&redis_8, RDB_FOR_6_2, 0), RDB_FOR_8);
    cr_assert_eq(snapshot_form(&valkey_9, RDB_FOR_AUTO, 0), RDB_FOR_VALKEY_9);
    cr_assert_eq(snapshot_form(&valkey_8, RDB_FOR_AUTO, 0), RDB_FOR_7_2);
    cr_assert_eq(snapshot_form(&valkey_8, RDB_FOR_AUTO, 10), RDB_FOR_7_2);
}

Test(snapshot_form, who_says_nothing_gets_a_lower_one_when_it_went_away)
{
    struct follower_hello hello = {.eof = true, .psync2 = true};
    cr_assert_eq(snapshot_form(&hello, RDB_FOR_AUTO, 0), RDB_FOR_AUTO);
    cr_assert_eq(snapshot_form(&hello, RDB_FOR_7_2, 0), RDB_FOR_7_2);
    cr_assert_eq(snapshot_form(&hello, RDB_FOR_AUTO, 9), RDB_FOR_AUTO);
    cr_assert_eq(snapshot_form(&hello, RDB_FOR_AUTO, 10), RDB_FOR_6_2);
    cr_assert_eq(snapshot_form(&hello, RDB_FOR_7_2, 11), RDB_FOR_7_0);
    cr_assert_eq(snapshot_form(&hello, RDB_FOR_AUTO, 12), RDB_FOR_7_0);
    cr_assert_eq(snapshot_form(&hello, RDB_FOR_8, 12), RDB_FOR_7_2);
    cr_assert_eq(snapshot_form(&hello, RDB_FOR_VALKEY_9, 80), RDB_FOR_7_2);
    cr_assert_eq(snapshot_form(&hello, RDB_FOR_8, 11), RDB_FOR_7_0);
    cr_assert_eq(snapshot_form(&hello, RDB_FOR_6_2, 12), RDB_FOR_6_2);
}
