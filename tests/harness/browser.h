/* A page in a headless browser, as a person would see it. */
#ifndef HARNESS_BROWSER_H
#define HARNESS_BROWSER_H

/* The path of the installed browser; NULL: none is (tools/deps.sh browser). */
const char *browser_program(void);
/* The document once it is laid out, on a screen as narrow as a phone's, and its scripts have run; the caller frees. */
char *browser_show(const char *page);

#endif
