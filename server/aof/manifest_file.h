/* The manifest on the disk: read whole, and replaced whole. */
#ifndef SLIPSTREAM_AOF_MANIFEST_FILE_H
#define SLIPSTREAM_AOF_MANIFEST_FILE_H

#include "server/aof/manifest.h"

#include <limits.h>

/* DIRECTORY/PREFIX.manifest; prefix is appendfilename. 0, or -1 with errno: too long. */
int aof_manifest_path(const char *directory, const char *prefix, char out[PATH_MAX]);
/* DIRECTORY/NAME: where a file of the manifest lies. Same errors. */
int aof_file_path(const char *directory, const char *name, char out[PATH_MAX]);

/* *out is the caller's. -1: with errno where the file could not be read (ENOENT: there is none); with errno 0 where it
 * is no manifest, and *fault says why. */
int aof_manifest_load(const char *path, struct aof_manifest **out, struct aof_manifest_fault *fault);
void aof_manifest_log_fault(const struct aof_manifest_fault *fault); /* Redis's lines */

/* Replaces the manifest of prefix in directory by m, which has files: temp-PREFIX.manifest, fsync, rename, fsync of the
 * directory. 0; -1 with errno (EOVERFLOW: what m would become could not be read again), the step that failed logged:
 * whoever reads finds the old one or the new one, and the temporary file is gone. */
int aof_manifest_store(const struct aof_manifest *m, const char *directory, const char *prefix);

#endif
