/* What the tools' HTML pages share: one file without any outside asset, readable on a phone, in the dark and on paper.
 * Colour never says anything that a word does not. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include <stdio.h>

/* Up to the heading; `style` is added to the common one: table cells good, bad and none; .soft, .wide; svg text and .a,
 * an axis. */
void page_begin(FILE *out, const char *title, const char *style);
void page_text(FILE *out, const char *text); /* escaped */
void page_end(FILE *out);

#endif
