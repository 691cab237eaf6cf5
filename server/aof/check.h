/* redis-check-aof. */
#ifndef SLIPSTREAM_AOF_CHECK_H
#define SLIPSTREAM_AOF_CHECK_H

int aof_check_main(int argc, char **argv); /* its main() */

#endif
