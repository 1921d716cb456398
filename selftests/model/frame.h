/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet of the model as it is on the wire. */
#ifndef PF_SELFTESTS_MODEL_FRAME_H
#define PF_SELFTESTS_MODEL_FRAME_H

#include "model.h"

#define FRAME_MOST 512

/* With an Ethernet header; its length. */
size_t frame_build(const struct model_packet *p, const uint8_t dst_mac[6], uint8_t out[FRAME_MOST]);

/* The packet that was built, with the ends of the frame of it that left; false: it is too short. */
bool frame_read(const uint8_t *b, size_t n, const struct model_packet *sent,
		struct model_packet *out);

/* For people: one line, in buf. */
void frame_describe(const struct model_packet *p, char *buf, size_t size);

#endif /* PF_SELFTESTS_MODEL_FRAME_H */
