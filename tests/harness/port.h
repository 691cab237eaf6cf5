/* TCP ports of tests: free now, and not handed to any other test that runs at the same time. */
#ifndef HARNESS_PORT_H
#define HARNESS_PORT_H

/* A free port below the range the kernel takes outgoing connections' ports from; ours until this process ends. */
int port_reserve(void);

#endif
