/* See page.h. */
#include "bench/report/page.h"

static const char common[] =
    ":root{color-scheme:light dark;--ink:#1c2733;--soft:#5b6875;--page:#fff;--line:#d5dbe1;--good:#dcefe3;"
    "--bad:#f9d3d0;--none:#eceff2}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaee;--soft:#9aa7b4;--page:#14181d;--line:#38424d;--good:#1d4a30;"
    "--bad:#6b2622;--none:#252c34}}"
    "body{margin:0 auto;max-width:60rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);"
    "background:var(--page)}"
    "h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}"
    "p,figcaption,h3{overflow-wrap:anywhere}p{margin:.4rem 0}.soft,figcaption{color:var(--soft);font-size:.9rem}"
    ".wide{overflow-x:auto}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{border:1px solid var(--line);padding:.25rem .6rem;text-align:left;font-weight:normal;white-space:nowrap}"
    "thead th{color:var(--soft)}td.good{background:var(--good)}td.bad{background:var(--bad)}"
    "td.none{background:var(--none)}figure{margin:.5rem 0 1.2rem;break-inside:avoid}svg{width:100%;height:auto}"
    "svg text{font:11px system-ui,sans-serif;fill:var(--soft)}.a{stroke:var(--line)}"
    "@media(max-width:40rem){svg text{font-size:20px}}@media print{body{max-width:none}figure{break-inside:avoid}}";

void page_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '"')
            fputs("&quot;", out);
        else
            fputc((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e ? '?' : *text, out);
    }
}

void page_begin(FILE *out, const char *title, const char *style)
{
    fprintf(out,
            "<!doctype html><html lang=en><meta charset=utf-8>"
            "<meta name=viewport content=\"width=device-width,initial-scale=1\"><title>%s</title><style>%s%s</style>\n"
            "<h1>%s</h1>\n",
            title, common, style, title);
}

void page_end(FILE *out)
{
    fputs("</html>\n", out);
}
