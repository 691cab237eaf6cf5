/* slipstream-bench compare OLD.json NEW.json [PERCENT]: what has become slower. */
#ifndef PROGRAM_COMPARE_H
#define PROGRAM_COMPARE_H

/* The words after `compare`. What the program ends with: 1 if something is worse by more than PERCENT (5 unless said),
 * 2 if a file is no report. */
int compare_run(int argc, char **argv);

#endif
