/* Positions on the earth as numbers, and which of them lie near one another. Pure; server process.
 *
 * A position's geohash has 52 bits: 26 of the latitude, within Web Mercator's limits, and 26 of the longitude, in turn
 * from the top, the longitude first. It is exact as a double, so it serves as the score of a sorted set, and all that
 * lies in one cell of the grid is one range of scores. */
#ifndef SLIPSTREAM_DATA_GEOHASH_H
#define SLIPSTREAM_DATA_GEOHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEO_LONGITUDE_MAX 180.0
#define GEO_LATITUDE_MAX  85.05112878

struct geo_point {
    double longitude, latitude; /* degrees */
};

bool geo_point_valid(struct geo_point p);
uint64_t geo_encode(struct geo_point p);
struct geo_point geo_decode(double score); /* the middle of what has this geohash */
/* The eleven characters that geohash.org understands, and a zero. */
void geo_text(struct geo_point p, char out[12]);

double geo_distance_m(struct geo_point a, struct geo_point b); /* along a great circle */

/* A circle, or a box that lies along the parallels. */
struct geo_shape {
    struct geo_point centre;
    bool is_box;
    double radius_m;
    double width_m, height_m;
};

bool geo_shape_contains(const struct geo_shape *shape, struct geo_point p, double *distance_m);

/* Scores from least on and below bound. */
struct geo_range {
    uint64_t least, bound;
};

#define GEO_CELLS_MAX 9

/* The cells of the grid that cover the shape, the one around its centre first; returns how many. */
size_t geo_cover(const struct geo_shape *shape, struct geo_range out[GEO_CELLS_MAX]);

#endif
