/* What the server has to say when it crashes: the command that ran, its client, INFO. */
#ifndef SLIPSTREAM_CORE_PROCESS_CRASH_REPORT_H
#define SLIPSTREAM_CORE_PROCESS_CRASH_REPORT_H

struct core;

/* Once, when every part is there. Follows crash-log-enabled and use-exit-on-panic. */
void crash_report_start(struct core *core);
void crash_report_follow_settings(const struct core *core);

#endif
