/* One line of INFO. Server process; its sections are written by core/ and repl/ alike. */
#ifndef SLIPSTREAM_BASE_INFO_FIELD_H
#define SLIPSTREAM_BASE_INFO_FIELD_H

#include "server/base/outq.h"

/* "name:value", and the line end that is not part of `format`. What is longer than a line may be is cut. */
void info_field(struct outq *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
