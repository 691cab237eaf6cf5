/* Geohashes and distances. Server process.
 *
 * Scores, distances and even the order of cells are what Redis's are: clients compare the digits. */
#include "server/data/geohash.h"

#include <math.h>

#define STEPS_MAX       26 /* bits of either coordinate */
#define EARTH_RADIUS_M  6372797.560856
#define MERCATOR_MAX_M  20037726.37
#define TEXT_LATITUDE   90.0 /* geohash.org has the whole of it */
#define TEXT_CHARACTERS 11

static double radians(double degrees)
{
    return degrees * (M_PI / 180);
}

static double degrees(double radians)
{
    return radians / (M_PI / 180);
}

bool geo_point_valid(struct geo_point p)
{
    return fabs(p.longitude) <= GEO_LONGITUDE_MAX && fabs(p.latitude) <= GEO_LATITUDE_MAX;
}

/* --- bits --- */

/* The bits of a number, each followed from above by a free one. */
static uint64_t spread(uint32_t number)
{
    uint64_t x = number;
    x = (x | x << 16) & 0x0000ffff0000ffff;
    x = (x | x << 8) & 0x00ff00ff00ff00ff;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x << 2) & 0x3333333333333333;
    return (x | x << 1) & 0x5555555555555555;
}

static uint32_t gather(uint64_t x)
{
    x &= 0x5555555555555555;
    x = (x | x >> 1) & 0x3333333333333333;
    x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x >> 4) & 0x00ff00ff00ff00ff;
    x = (x | x >> 8) & 0x0000ffff0000ffff;
    return (uint32_t)(x | x >> 16);
}

/* --- the grid: each coordinate's range cut in two `steps` times --- */

struct cell {
    uint32_t column, row; /* from the west, from the south */
    unsigned steps;
};

static uint32_t cut(double value, double most, unsigned steps)
{
    return (uint32_t)((value + most) / (2 * most) * (double)(1ULL << steps));
}

static double edge(uint32_t number, double most, unsigned steps)
{
    return -most + (number / (double)(1ULL << steps)) * (2 * most);
}

static struct cell cell_of(struct geo_point p, double latitude_max, unsigned steps)
{
    return (struct cell){cut(p.longitude, GEO_LONGITUDE_MAX, steps), cut(p.latitude, latitude_max, steps), steps};
}

static uint64_t cell_bits(struct cell c)
{
    return spread(c.row) | spread(c.column) << 1;
}

uint64_t geo_encode(struct geo_point p)
{
    return cell_bits(cell_of(p, GEO_LATITUDE_MAX, STEPS_MAX));
}

static double clamp(double value, double most)
{
    return value > most ? most : value < -most ? -most : value;
}

static double middle(uint32_t number, double most)
{
    double low = edge(number, most, STEPS_MAX), high = -most + ((number + 1.0) / (1ULL << STEPS_MAX)) * (2 * most);
    return clamp((low + high) / 2, most);
}

/* A score need not have been made here: what is no geohash gives some point. */
struct geo_point geo_decode(double score)
{
    bool whole = score > (double)INT64_MIN && score < -(double)INT64_MIN;
    uint64_t bits = whole ? (uint64_t)(int64_t)score : 0;
    return (struct geo_point){middle(gather(bits >> 1), GEO_LONGITUDE_MAX), middle(gather(bits), GEO_LATITUDE_MAX)};
}

void geo_text(struct geo_point p, char out[12])
{
    static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t bits = cell_bits(cell_of(p, TEXT_LATITUDE, STEPS_MAX));
    for (int i = 0; i < TEXT_CHARACTERS; i++) {
        int shift = 2 * STEPS_MAX - 5 * (i + 1); /* the last character has no bits of its own */
        out[i] = alphabet[shift >= 0 ? bits >> shift & 31 : 0];
    }
    out[TEXT_CHARACTERS] = 0;
}

/* --- distances --- */

static double distance_of_latitudes_m(double a, double b)
{
    return EARTH_RADIUS_M * fabs(radians(b) - radians(a));
}

double geo_distance_m(struct geo_point a, struct geo_point b)
{
    double v = sin((radians(b.longitude) - radians(a.longitude)) / 2);
    if (v == 0) return distance_of_latitudes_m(a.latitude, b.latitude);
    double from = radians(a.latitude), to = radians(b.latitude);
    double u = sin((to - from) / 2);
    return 2 * EARTH_RADIUS_M * asin(sqrt(u * u + cos(from) * cos(to) * v * v));
}

bool geo_shape_contains(const struct geo_shape *shape, struct geo_point p, double *distance_m)
{
    if (shape->is_box) {
        if (distance_of_latitudes_m(p.latitude, shape->centre.latitude) > shape->height_m / 2) return false;
        struct geo_point below = {shape->centre.longitude, p.latitude};
        if (geo_distance_m(p, below) > shape->width_m / 2) return false;
    }
    *distance_m = geo_distance_m(shape->centre, p);
    return shape->is_box || *distance_m <= shape->radius_m;
}

/* --- covering a shape --- */

struct box {
    double west, east, south, north;
};

static struct box box_of_cell(struct cell c)
{
    return (struct box){
        .west = edge(c.column, GEO_LONGITUDE_MAX, c.steps),
        .east = edge(c.column + 1, GEO_LONGITUDE_MAX, c.steps),
        .south = edge(c.row, GEO_LATITUDE_MAX, c.steps),
        .north = edge(c.row + 1, GEO_LATITUDE_MAX, c.steps),
    };
}

/* Around the shape; a degree of longitude is shorter on the side of the pole. */
static struct box box_of_shape(const struct geo_shape *s)
{
    double half_height = s->is_box ? s->height_m / 2 : s->radius_m,
           half_width = s->is_box ? s->width_m / 2 : s->radius_m;
    struct geo_point c = s->centre;
    double up = degrees(half_height / EARTH_RADIUS_M);
    double polar = c.latitude < 0 ? c.latitude - up : c.latitude + up;
    double sideways = degrees(half_width / EARTH_RADIUS_M / cos(radians(polar)));
    return (struct box){c.longitude - sideways, c.longitude + sideways, c.latitude - up, c.latitude + up};
}

/* So many cuts that a cell is about as large as the circle; towards the poles cells are narrow. */
static unsigned steps_for(double radius_m, double latitude)
{
    if (radius_m == 0) return STEPS_MAX;
    int steps = 1;
    for (; radius_m < MERCATOR_MAX_M; radius_m *= 2) steps++;
    steps -= 2;
    if (fabs(latitude) > 66) steps--;
    if (fabs(latitude) > 80) steps--;
    return steps < 1 ? 1 : steps > STEPS_MAX ? STEPS_MAX : (unsigned)steps;
}

/* Beyond the edge of the grid it goes on at the other side. A coordinate that is not moved stays as it is: that of the
 * very edge is one more than the grid has. */
static uint32_t move(uint32_t number, int by, unsigned steps)
{
    return by ? (number + (uint32_t)by) & ((1u << steps) - 1) : number;
}

static struct cell neighbour(struct cell c, int east, int north)
{
    return (struct cell){move(c.column, east, c.steps), move(c.row, north, c.steps), c.steps};
}

/* Do the four neighbours reach as far as the shape does? */
static bool reaches(struct cell c, const struct box *wanted)
{
    return box_of_cell(neighbour(c, 0, 1)).north >= wanted->north &&
           box_of_cell(neighbour(c, 0, -1)).south <= wanted->south &&
           box_of_cell(neighbour(c, 1, 0)).east >= wanted->east &&
           box_of_cell(neighbour(c, -1, 0)).west <= wanted->west;
}

static struct geo_range range_of(struct cell c)
{
    unsigned below = 2 * (STEPS_MAX - c.steps);
    uint64_t bits = cell_bits(c);
    return (struct geo_range){bits << below, (bits + 1) << below};
}

size_t geo_cover(const struct geo_shape *shape, struct geo_range out[GEO_CELLS_MAX])
{
    static const struct {
        int east, north;
    } around[GEO_CELLS_MAX] = {{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
    struct box wanted = box_of_shape(shape);
    double radius_m =
        shape->is_box ? sqrt(shape->width_m / 2 * (shape->width_m / 2) + shape->height_m / 2 * (shape->height_m / 2))
                      : shape->radius_m;
    struct cell centre = cell_of(shape->centre, GEO_LATITUDE_MAX, steps_for(radius_m, shape->centre.latitude));
    if (centre.steps > 1 && !reaches(centre, &wanted))
        centre = cell_of(shape->centre, GEO_LATITUDE_MAX, centre.steps - 1);
    struct box own = box_of_cell(centre);
    bool may_skip = centre.steps >= 2;
    size_t count = 0;
    for (size_t i = 0; i < GEO_CELLS_MAX; i++) {
        int east = around[i].east, north = around[i].north;
        bool beyond = (north < 0 && own.south < wanted.south) || (north > 0 && own.north > wanted.north) ||
                      (east < 0 && own.west < wanted.west) || (east > 0 && own.east > wanted.east);
        if (may_skip && beyond) continue;
        struct geo_range range = range_of(neighbour(centre, east, north));
        if (count && out[count - 1].least == range.least) continue; /* a grid of two: the neighbours meet */
        out[count++] = range;
    }
    return count;
}
