/* INFO's text: one function a section, fields in Redis 7.2's order and format. */
#ifndef SLIPSTREAM_CORE_INFO_INFO_H
#define SLIPSTREAM_CORE_INFO_INFO_H

#include "server/base/info_field.h"

struct core;

/* sections: lowercase names, or none for the default set; "all", "everything", "default" are understood. */
void info_write(struct core *core, struct outq *out, uint32_t count, const struct bytes *sections);
const char *info_section_name(size_t index); /* lowercase; NULL behind the last one */

#endif
