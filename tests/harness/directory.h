/* Cleaning up. */
#ifndef HARNESS_DIRECTORY_H
#define HARNESS_DIRECTORY_H

void directory_remove(const char *path); /* with all that is in it; what cannot be removed stays */

#endif
