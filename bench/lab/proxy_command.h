/* `slipstream-lab proxy`: the proxy by itself, to be put between servers that run already, and told what to do by words
 * on a Unix socket:
 *
 *   pass | heal       everything passes, at full speed
 *   cut | reset | stall | half-open | deaf
 *   slow BYTES        a second, to who connects to the proxy (100k); slow 0: no limit
 *   delay MS [JITTER] each piece so much later
 *   cut-after BYTES   to who connects; then as cut
 *   status            one line: mode, connections, bytes each way
 *
 * A line is a request, a line is the answer: "ok", "error: ...", or what was asked for.
 * `slipstream-lab tell SOCKET WORDS` sends one and prints the answer. */
#ifndef LAB_PROXY_COMMAND_H
#define LAB_PROXY_COMMAND_H

int proxy_command_main(int argc, char **argv); /* argv[1] is "proxy" */
int tell_command_main(int argc, char **argv);  /* "tell" */

#endif
