/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon tells: to stderr in the foreground, else to syslog. */
#ifndef PF_LOADER_SAY_H
#define PF_LOADER_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

void pf_say_init(bool verbose);
/* -x: what is said up to; no less than LOG_INFO. */
void pf_say_level(int level);
/* From now on to syslog: the terminal is somebody else's. */
void pf_say_detach(void);

/* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */
__attribute__((format(printf, 2, 3))) void pf_say(int level, const char *fmt, ...);

/* A message for whoever asked for the work at hand. */
struct pf_error_text {
	char text[512];
};
__attribute__((format(printf, 3, 4))) int pf_fail(struct pf_error_text *e, int err, const char *fmt,
						  ...);

#endif /* PF_LOADER_SAY_H */
