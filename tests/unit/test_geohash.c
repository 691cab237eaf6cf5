/* Positions as numbers: round trips, known answers, and that a cover leaves nothing of its shape out. */
#include <criterion/criterion.h>
#include <math.h>

#include "server/base/random.h"
#include "server/data/geohash.h"

TestSuite(geohash, .timeout = 60);

static const struct geo_point palermo = {13.361389, 38.115556}, catania = {15.087269, 37.502669};

static double between(struct random_state *random, double least, double most)
{
    return least + (most - least) * ((double)(random_u64(random) >> 11) / 0x1p53);
}

static struct geo_point any_point(struct random_state *random)
{
    return (struct geo_point){between(random, -GEO_LONGITUDE_MAX, GEO_LONGITUDE_MAX),
                              between(random, -GEO_LATITUDE_MAX, GEO_LATITUDE_MAX)};
}

Test(geohash, known_answers)
{
    char text[12];
    cr_assert_eq(geo_encode(palermo), 3479099956230698);
    cr_assert_eq(geo_encode(catania), 3479447370796909);
    geo_text(geo_decode(3479099956230698), text);
    cr_assert_str_eq(text, "sqc8b49rny0");
    double distance_m = geo_distance_m(geo_decode(3479099956230698), geo_decode(3479447370796909));
    cr_assert_lt(fabs(distance_m - 166274.1516), 0.0001);
}

Test(geohash, a_point_comes_back_to_within_a_cell)
{
    struct random_state random;
    random_seed(&random, 1);
    for (int i = 0; i < 100000; i++) {
        struct geo_point p = any_point(&random), back = geo_decode((double)geo_encode(p));
        cr_assert_leq(fabs(p.longitude - back.longitude), 360 / 0x1p26);
        cr_assert_leq(fabs(p.latitude - back.latitude), 2 * GEO_LATITUDE_MAX / 0x1p26);
        cr_assert_eq(geo_encode(back), geo_encode(p));
    }
}

Test(geohash, any_score_gives_a_point)
{
    static const double scores[] = {-1, 0, 0.5, 0x1p52, 0x1p53, 1e300, -1e300, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) cr_assert(geo_point_valid(geo_decode(scores[i])));
}

Test(geohash, distances_are_symmetric)
{
    struct random_state random;
    random_seed(&random, 2);
    for (int i = 0; i < 10000; i++) {
        struct geo_point a = any_point(&random), b = any_point(&random);
        double there = geo_distance_m(a, b), back = geo_distance_m(b, a);
        cr_assert_leq(fabs(there - back), 1e-6 * there);
        cr_assert_eq(geo_distance_m(a, a), 0);
    }
}

static bool is_covered(const struct geo_range *cells, size_t count, struct geo_point p)
{
    uint64_t score = geo_encode(p);
    for (size_t i = 0; i < count; i++)
        if (score >= cells[i].least && score < cells[i].bound) return true;
    return false;
}

/* Points near the centre, as seen on a map; whichever lies in the shape has to lie in the cover. */
static void expect_cover(const struct geo_shape *shape, double reach_degrees, struct random_state *random)
{
    struct geo_range cells[GEO_CELLS_MAX];
    size_t count = geo_cover(shape, cells);
    cr_assert(count >= 1 && count <= GEO_CELLS_MAX);
    for (int i = 0; i < 200; i++) {
        struct geo_point p = {shape->centre.longitude + between(random, -reach_degrees, reach_degrees),
                              shape->centre.latitude + between(random, -reach_degrees, reach_degrees)};
        double distance_m;
        if (!geo_point_valid(p) || !geo_shape_contains(shape, p, &distance_m)) continue;
        cr_assert(is_covered(cells, count, p), "%f %f around %f %f", p.longitude, p.latitude, shape->centre.longitude,
                  shape->centre.latitude);
    }
}

Test(geohash, a_cover_leaves_nothing_out)
{
    struct random_state random;
    random_seed(&random, 3);
    for (int i = 0; i < 2000; i++) {
        double size_m = pow(10, between(&random, 0, 5.5)), reach = 3 * size_m / 111000;
        struct geo_point centre = {between(&random, -170, 170), between(&random, -60, 60)};
        struct geo_shape circle = {.centre = centre, .radius_m = size_m};
        struct geo_shape box = {
            .centre = centre, .is_box = true, .width_m = size_m, .height_m = size_m * between(&random, 0.1, 3)};
        expect_cover(&circle, reach, &random);
        expect_cover(&box, reach, &random);
    }
}
