/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet of the model as it is on the wire. */
#ifndef PF_SELFTESTS_MODEL_FRAME_H
#define PF_SELFTESTS_MODEL_FRAME_H

#include "model.h"

#define FRAME_MOST 512

/* With an Ethernet header; its length. */
size_t frame_build(const struct model_packet *p, const uint8_t dst_mac[6], uint8_t out[FRAME_MOST]);

/* For people: one line, in buf. */
void frame_describe(const struct model_packet *p, char *buf, size_t size);

#endif /* PF_SELFTESTS_MODEL_FRAME_H */
