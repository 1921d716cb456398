// SPDX-License-Identifier: BSD-2-Clause
#include "pcapfile.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKTYPE_PFLOG 117
#define SNAPLEN	       65535

/*
 * stdio writes its buffer when it is full: so it never gets full, and each
 * write is of whole records, whenever pfd is killed.
 */
#define BUFFER_MOST    4096

struct pf_pcapfile {
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	size_t buffered;
	long good; /* the file's length up to the last whole record that has been written */
	int error; /* of a flush in between */
};

struct pf_pcapfile *pf_pcapfile_open(const char *path, char *err, size_t errsize)
{
	struct pf_pcapfile *f = calloc(1, sizeof(*f));
	struct stat st;
	mode_t old;

	snprintf(err, errsize, "out of memory");
	if (!f)
		return NULL;
	f->pcap = pcap_open_dead(LINKTYPE_PFLOG, SNAPLEN);
	if (!f->pcap) {
		free(f);
		return NULL;
	}
	old = umask(077);
	if (stat(path, &st) == 0 && st.st_size > 0)
		f->dumper = pcap_dump_open_append(f->pcap, path);
	else
		f->dumper = pcap_dump_open(f->pcap, path);
	umask(old);
	/* the file's header, for readers who look at once */
	if (f->dumper && pcap_dump_flush(f->dumper) == 0) {
		f->good = ftell(pcap_dump_file(f->dumper));
		return f;
	}
	snprintf(err, errsize, "%s", f->dumper ? strerror(errno) : pcap_geterr(f->pcap));
	if (f->dumper)
		pcap_dump_close(f->dumper);
	pcap_close(f->pcap);
	free(f);
	return NULL;
}

void pf_pcapfile_write(struct pf_pcapfile *f, struct timeval when, const void *data,
		       uint32_t caplen, uint32_t len)
{
	const struct pcap_pkthdr h = {.ts = when, .caplen = caplen, .len = len};
	const size_t size = caplen + 16; /* pcap's record header */

	if (f->buffered + size > BUFFER_MOST)
		f->error = pf_pcapfile_flush(f);
	f->buffered += size;
	pcap_dump((u_char *)f->dumper, &h, data);
}

/*
 * A disk that is full may take a part of a record: the file is cut behind the last
 * whole one, and what could not be written is lost.  libpcap writes nothing to a
 * stream that has had an error.
 */
static void recover(struct pf_pcapfile *f)
{
	FILE *file = pcap_dump_file(f->dumper);

	__fpurge(file);
	clearerr(file);
	if (ftruncate(fileno(file), f->good) == 0)
		fseek(file, f->good, SEEK_SET);
}

int pf_pcapfile_flush(struct pf_pcapfile *f)
{
	int err = f->error;

	f->error = 0;
	f->buffered = 0;
	if (pcap_dump_flush(f->dumper) == 0) {
		f->good = ftell(pcap_dump_file(f->dumper));
		return err;
	}
	err = -errno;
	recover(f);
	return err;
}

void pf_pcapfile_close(struct pf_pcapfile *f)
{
	if (!f)
		return;
	pcap_dump_close(f->dumper);
	pcap_close(f->pcap);
	free(f);
}
