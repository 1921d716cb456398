/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients that listen to what becomes of states. */
#ifndef PF_LOADER_MONITOR_H
#define PF_LOADER_MONITOR_H

struct pf_client_conn;

/* The client is told of all that happens from now on, until it goes. */
void pf_monitor(struct pf_client_conn *c);
/* It has gone. */
void pf_monitor_end(struct pf_client_conn *c);

#endif /* PF_LOADER_MONITOR_H */
