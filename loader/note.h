/* SPDX-License-Identifier: BSD-2-Clause */
/* What the datapath tells of packets that states refuse, in the words of pf's kernel. */
#ifndef PF_LOADER_NOTE_H
#define PF_LOADER_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "../bpf/abi.h"

#define PF_NOTE_LINES 2

struct pf_note_text {
	char line[PF_NOTE_LINES][512]; /* the second may be empty */
};

/* rule: the number of the state's, ~0 if nobody knows it. */
void pf_note_format(const struct pf_note *n, uint32_t rule, struct pf_note_text *out);

/* A flood of them is not to fill the disk: so many in a second are said. */
#define PF_NOTES_EACH_SECOND 100

struct pf_notes {
	uint64_t second;
	unsigned int said, left_out;
};

/* now: seconds, of any clock. */
void pf_note_say(struct pf_notes *notes, const struct pf_note *n, uint32_t rule, uint64_t now);

#endif /* PF_LOADER_NOTE_H */
