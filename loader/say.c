// SPDX-License-Identifier: BSD-2-Clause
#include "say.h"

#include <stdarg.h>
#include <stdio.h>

static bool to_syslog;
static int most = LOG_INFO;

void pf_say_init(bool verbose)
{
	if (verbose)
		most = LOG_DEBUG;
	openlog("pfd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void pf_say_level(int level)
{
	most = level > LOG_INFO ? level : LOG_INFO;
}

void pf_say_detach(void)
{
	to_syslog = true;
}

void pf_say(int level, const char *fmt, ...)
{
	va_list ap;

	if (level > most)
		return;
	va_start(ap, fmt);
	if (to_syslog) {
		vsyslog(level, fmt, ap);
	} else {
		fputs("pfd: ", stderr);
		vfprintf(stderr, fmt, ap);
		fputc('\n', stderr);
	}
	va_end(ap);
}

int pf_fail(struct pf_error_text *e, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return err;
}
