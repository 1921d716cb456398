// SPDX-License-Identifier: BSD-2-Clause
/*
 * churn PINDIR IN OUT EXT INT SECONDS GRACE SEED: packets of a few connections at random,
 * on every CPU at once, through the programs whose descriptors are IN and OUT, at the
 * interfaces EXT and INT of this namespace.
 *
 * The keys begin in one bucket of the firewall pinned at PINDIR, which cannot hold them
 * all: they overflow.  Some connections come in at EXT as they are; others go out at INT,
 * from two hosts each that become one address and port, so that they clash; there it is
 * the key on the wire that begins in the bucket, or that of the first host.
 * Those of TCP are refused, and begun anew: so the programs end states themselves.
 * Now and then all CPUs wait for each other, and begin one connection at one moment;
 * then two states of it must not be found.
 * Dead slots rest for GRACE ticks only, so that they are soon used again.
 *
 * Prints what became of the packets; one that leaves as another than it should is
 * written to stderr, and the exit status is 1.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../bpf/abi.h"

#define PLAIN	     14
#define TRANSLATED   8 /* each from two hosts */
#define FLOWS	     (PLAIN + 2 * TRANSLATED)
#define HOSTS	     250
#define FRAME	     (ETH_HLEN + 20 + 20)
#define VERDICT_NEXT (-1)
#define WRONG_SHOWN  5
#define BETWEEN	     6	   /* packets between two duels */
#define PATIENCE     20000 /* looks at the others: a while longer than those take */

enum kind { FIRST, ANSWER, REFUSAL, KINDS };

struct flow {
	uint32_t src, dst, public; /* public: what src becomes; 0: it stays */
	uint16_t sport, dport;
	uint8_t proto;
};

struct table {
	uint32_t hash_key[12];
	uint32_t nbuckets;
	uint32_t bucket; /* that all begin in */
	int buckets;	 /* the map */
	const struct pf_state *states;
};

struct counts {
	uint64_t passed, dropped, wrong, duels;
};

static struct table table;
static struct flow flows[FLOWS];
static int progs[2]; /* by enum pf_dir: comes in, goes out */
static struct device {
	uint32_t index;
	uint8_t mac[ETH_ALEN];
} ext, inner;
static atomic_bool stop;
static atomic_uint round_nr, *here;
static unsigned int ncpus;
static uint32_t public_addr;

struct worker {
	pthread_t thread;
	int cpu;
	uint64_t random;
	struct counts counts;
};

static uint64_t draw(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* --- where a key stands, as bpf/table.h has it --- */

static uint64_t key_hash(const struct table *t, const struct pf_state_key *key)
{
	const uint32_t *k = t->hash_key;
	uint32_t w[10];
	uint64_t h = 0;

	memcpy(w, key, sizeof(w));
	for (int i = 0; i < 10; i += 2)
		h += (uint64_t)(w[i] + k[i]) * (w[i + 1] + k[i + 1]);
	h *= 0x9e3779b97f4a7c15ULL;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ULL;
	return h ^ (h >> 32);
}

static uint32_t first_bucket(const struct table *t, uint64_t hash)
{
	return (uint32_t)((uint64_t)(uint32_t)hash * t->nbuckets >> 32);
}

static uint32_t second_bucket(const struct table *t, uint64_t hash)
{
	return (uint32_t)((uint64_t)(uint32_t)(hash >> 20) * t->nbuckets >> 32);
}

/* Side 0 is outside of the interface. */
static struct pf_state_key key_of(const struct flow *f, bool out, uint32_t src)
{
	struct pf_state_key key = {.proto = f->proto, .af = PF_AF_INET};

	key.addr[out].w[0] = src;
	key.addr[!out].w[0] = f->dst;
	key.port[out] = f->sport;
	key.port[!out] = f->dport;
	return key;
}

static uint64_t hash_of(const struct table *t, const struct flow *f, bool out, uint32_t src)
{
	struct pf_state_key key = key_of(f, out, src);

	return key_hash(t, &key);
}

/* --- connections --- */

static void draw_ports(struct flow *f, uint64_t *random)
{
	uint64_t r = draw(random);

	f->dst = htonl(0xc6336464U); /* 198.51.100.100 */
	f->sport = htons((uint16_t)(1024 + r % 60000));
	f->dport = htons((uint16_t)(1024 + (r >> 20) % 60000));
	f->proto = (r >> 40) % 4 ? IPPROTO_TCP : IPPROTO_UDP;
}

static uint32_t host(uint32_t n)
{
	return htonl(0xc0000200U + 3 + n % HOSTS); /* 192.0.2.0/24 */
}

static void choose_plain(const struct table *t, struct flow *f, uint64_t *random)
{
	do {
		draw_ports(f, random);
		f->src = host((uint32_t)draw(random));
	} while (first_bucket(t, hash_of(t, f, false, f->src)) != t->bucket);
}

/* Two connections that want one public port. */
static void choose_translated(const struct table *t, struct flow *f, bool wire, uint64_t *random)
{
	do {
		draw_ports(f, random);
		f->public = public_addr;
		f->src = host((uint32_t)draw(random));
	} while (first_bucket(t, hash_of(t, f, true, wire ? f->public : f->src)) != t->bucket);
	f[1] = f[0];
	f[1].src = host(ntohl(f->src) + 1);
}

static void choose_flows(struct table *t, uint64_t *random)
{
	t->bucket = (uint32_t)(draw(random) % t->nbuckets);
	for (int i = 0; i < PLAIN; i++)
		choose_plain(t, &flows[i], random);
	for (int i = PLAIN; i < FLOWS; i += 2)
		choose_translated(t, &flows[i], i & 2, random);
}

/* --- packets --- */

static uint16_t ip_sum(const struct iphdr *ip)
{
	uint16_t w[10];
	uint32_t sum = 0;

	memcpy(w, ip, sizeof(w));
	for (int i = 0; i < 10; i++)
		sum += w[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)~sum;
}

/* As it comes to the programs; answers are for the public address. */
static size_t make_frame(const struct flow *f, enum kind kind, uint8_t *frame)
{
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = f->proto};
	struct tcphdr th = {.doff = 5, .window = htons(8192)};
	struct udphdr uh = {.len = htons(sizeof(uh))};
	size_t l4 = f->proto == IPPROTO_TCP ? sizeof(th) : sizeof(uh);
	uint32_t near = f->public ? f->public : f->src;

	memset(frame, 0, FRAME);
	/* for others' stations it would not be judged */
	memcpy(frame, f->public ? inner.mac : ext.mac, ETH_ALEN);
	frame[6] = 2; /* locally administered */
	frame[12] = ETH_P_IP >> 8;
	ip.tot_len = htons((uint16_t)(sizeof(ip) + l4));
	ip.saddr = kind == FIRST ? f->src : f->dst;
	ip.daddr = kind == FIRST ? f->dst : near;
	ip.check = ip_sum(&ip);
	memcpy(frame + ETH_HLEN, &ip, sizeof(ip));
	th.source = uh.source = kind == FIRST ? f->sport : f->dport;
	th.dest = uh.dest = kind == FIRST ? f->dport : f->sport;
	th.seq = htonl(kind == FIRST ? 100 : 500);
	th.ack_seq = htonl(kind == FIRST ? 0 : 101);
	th.syn = kind != REFUSAL;
	th.ack = kind != FIRST;
	th.rst = kind == REFUSAL;
	if (kind == REFUSAL)
		th.seq = 0;
	if (f->proto == IPPROTO_TCP)
		memcpy(frame + ETH_HLEN + sizeof(ip), &th, sizeof(th));
	else
		memcpy(frame + ETH_HLEN + sizeof(ip), &uh, sizeof(uh));
	return ETH_HLEN + sizeof(ip) + l4;
}

/* Has it left as it should?  Which of the two hosts an answer is for, is not ours to know. */
static bool left_right(int nr, enum kind kind, const uint8_t *sent, const uint8_t *got)
{
	const struct flow *f = &flows[nr];
	uint32_t saddr, daddr, was;

	memcpy(&saddr, got + ETH_HLEN + 12, 4);
	memcpy(&daddr, got + ETH_HLEN + 16, 4);
	/* the ports stay */
	if (memcmp(sent + ETH_HLEN + 20, got + ETH_HLEN + 20, 4) != 0)
		return false;
	if (kind == FIRST)
		return saddr == (f->public ? f->public : f->src) && daddr == f->dst;
	memcpy(&was, sent + ETH_HLEN + 12, 4);
	if (saddr != was)
		return false;
	if (!f->public)
		return daddr == f->src;
	nr = PLAIN + (nr - PLAIN) / 2 * 2;
	return daddr == flows[nr].src || daddr == flows[nr + 1].src;
}

static void show(const char *what, const uint8_t *frame)
{
	char src[INET_ADDRSTRLEN], dst[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, frame + ETH_HLEN + 12, src, sizeof(src));
	inet_ntop(AF_INET, frame + ETH_HLEN + 16, dst, sizeof(dst));
	fprintf(stderr, "%s proto %d %s:%d > %s:%d\n", what, frame[ETH_HLEN + 9], src,
		frame[ETH_HLEN + 20] << 8 | frame[ETH_HLEN + 21], dst,
		frame[ETH_HLEN + 22] << 8 | frame[ETH_HLEN + 23]);
}

/* 0, or a negative errno. */
static int send_one(struct worker *w, int nr, enum kind kind)
{
	bool out = (kind == FIRST) == (flows[nr].public != 0);
	struct __sk_buff ctx = {.ifindex = flows[nr].public ? inner.index : ext.index};
	uint8_t sent[FRAME], got[256];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = sent, .data_out = got,
		    .data_size_out = sizeof(got), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .repeat = 1);
	int err;

	opts.data_size_in = (uint32_t)make_frame(&flows[nr], kind, sent);
	err = bpf_prog_test_run_opts(progs[out], &opts);
	if (err)
		return err;
	if ((int)opts.retval != VERDICT_NEXT) {
		w->counts.dropped++;
		return 0;
	}
	w->counts.passed++;
	if (!left_right(nr, kind, sent, got) && w->counts.wrong++ < WRONG_SHOWN) {
		show("sent", sent);
		show("left", got);
	}
	return 0;
}

static int send_some(struct worker *w)
{
	int err = 0;

	for (int i = 0; i < BETWEEN && !err; i++) {
		uint64_t r = draw(&w->random);

		err = send_one(w, (int)(r % FLOWS), (enum kind)((r >> 32) % KINDS));
	}
	return err;
}

/* --- is it one? --- */

/* The id of the state in that slot, if it is live and has the key on the wire; or 0. */
static uint64_t live_id(uint32_t slot, const struct pf_state_key *key)
{
	const struct pf_state *s = &table.states[slot];

	if (__atomic_load_n(&s->status, __ATOMIC_ACQUIRE) != PF_SLOT_LIVE ||
	    memcmp(&s->key, key, sizeof(*key)) != 0)
		return 0;
	/* from 1 on */
	return __atomic_load_n(&s->id, __ATOMIC_ACQUIRE) + 1;
}

/* Where the bucket leads to by that tag, added to `slots'. */
static int add_slots(uint32_t nr, uint16_t tag, uint32_t *slots, int n)
{
	struct pf_bucket b;

	if (bpf_map_lookup_elem(table.buckets, &nr, &b))
		return n;
	for (int i = 0; i < PF_BUCKET_SLOTS; i++)
		if (b.tag[i] == tag)
			slots[n++] = b.index[i];
	return n;
}

/* Live at the same time: the first one before and after the second one was seen. */
static bool are_two(const struct pf_state_key *key, uint32_t a, uint32_t b)
{
	uint64_t id = live_id(a, key);

	return id && a != b && live_id(b, key) && live_id(a, key) == id;
}

static bool is_double(const struct flow *f)
{
	struct pf_state_key key = key_of(f, f->public, f->public ? f->public : f->src);
	uint64_t hash = key_hash(&table, &key);
	uint32_t slots[2 * PF_BUCKET_SLOTS];
	int n = add_slots(first_bucket(&table, hash), (uint16_t)(hash >> 48 | 1), slots, 0);

	n = add_slots(second_bucket(&table, hash), (uint16_t)(hash >> 48 | 1), slots, n);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			if (are_two(&key, slots[i], slots[j]))
				return true;
	return false;
}

/* Have all CPUs come to this round, soon enough?  They go on at once then. */
static bool meet(const struct worker *w, unsigned int nr)
{
	atomic_store(&here[w->cpu], nr + 1);
	for (int tries = 0; tries < PATIENCE; tries++) {
		unsigned int n = 0;

		while (n < ncpus && atomic_load(&here[n]) == nr + 1)
			n++;
		if (n == ncpus)
			/* one of them begins the next round */
			atomic_compare_exchange_strong(&round_nr, &(unsigned int){nr}, nr + 1);
		if (atomic_load(&round_nr) != nr)
			return true;
	}
	atomic_store(&here[w->cpu], 0);
	return false;
}

/* The same connection on all CPUs, or of two hosts that want the same port. */
static int duel(struct worker *w)
{
	unsigned int round = atomic_load(&round_nr);
	uint64_t random = (round + 1) * 0x9e3779b97f4a7c15ULL;
	uint64_t r = draw(&random);
	int nr = (int)(r % FLOWS), err = 0;

	if (round % ncpus == (unsigned int)w->cpu)
		err = send_one(w, nr, REFUSAL);
	if (nr >= PLAIN && (r >> 32) & 1 && w->cpu & 1)
		nr = PLAIN + ((nr - PLAIN) ^ 1);
	if (err || !meet(w, round))
		return err;
	w->counts.duels++;
	err = send_one(w, nr, FIRST);
	if (!err && is_double(&flows[nr]) && w->counts.wrong++ < WRONG_SHOWN)
		fprintf(stderr, "two states: proto %d, port %d\n", flows[nr].proto,
			ntohs(flows[nr].sport));
	return err;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	cpu_set_t set;
	int err = 0;

	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err = -errno;
	while (!err && !stop) {
		err = send_some(w);
		if (!err)
			err = duel(w);
	}
	if (err) {
		fprintf(stderr, "churn: CPU %d: %s\n", w->cpu, strerror(-err));
		w->counts.wrong++;
	}
	return NULL;
}

/* --- the firewall --- */

static int find_device(const char *name, struct device *d)
{
	struct ifreq r = {.ifr_ifindex = 0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFHWADDR, &r))
		err = -errno;
	close(fd);
	if (err)
		return err;
	memcpy(d->mac, r.ifr_hwaddr.sa_data, ETH_ALEN);
	d->index = if_nametoindex(name);
	return d->index ? 0 : -errno;
}

static int read_config(const char *pin_dir, uint32_t grace, struct table *t)
{
	long page = sysconf(_SC_PAGESIZE);
	struct pf_config *c;
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/pf_config", pin_dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	c = mmap(NULL, (sizeof(*c) + (size_t)page - 1) / (size_t)page * (size_t)page,
		 PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (c == MAP_FAILED)
		return -errno;
	memcpy(t->hash_key, c->hash_key, sizeof(t->hash_key));
	t->nbuckets = c->buckets;
	__atomic_store_n(&c->grace, grace, __ATOMIC_RELAXED);
	snprintf(path, sizeof(path), "%s/maps/pf_buckets", pin_dir);
	t->buckets = bpf_obj_get(path);
	if (t->buckets < 0)
		return t->buckets;
	snprintf(path, sizeof(path), "%s/maps/pf_states", pin_dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	t->states = mmap(NULL,
			 (c->slots * sizeof(*t->states) + (size_t)page - 1) / (size_t)page *
				 (size_t)page,
			 PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return t->states == MAP_FAILED ? -errno : 0;
}

static int churn(unsigned int seconds, uint64_t seed)
{
	struct counts sum = {0};
	struct worker *w;

	ncpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	w = calloc(ncpus, sizeof(*w));
	here = calloc(ncpus, sizeof(*here));
	if (!w || !here)
		return 1;
	for (unsigned int i = 0; i < ncpus; i++) {
		w[i].cpu = (int)i;
		w[i].random = (seed + 1) * 0x9e3779b97f4a7c15ULL + i + 1;
		if (pthread_create(&w[i].thread, NULL, work, &w[i])) {
			fprintf(stderr, "churn: no thread\n");
			exit(1);
		}
	}
	sleep(seconds);
	stop = true;
	for (unsigned int i = 0; i < ncpus; i++) {
		pthread_join(w[i].thread, NULL);
		sum.passed += w[i].counts.passed;
		sum.dropped += w[i].counts.dropped;
		sum.wrong += w[i].counts.wrong;
		sum.duels += w[i].counts.duels;
	}
	free(w);
	free(here);
	printf("%llu passed, %llu dropped, %llu wrong, %llu at one moment\n",
	       (unsigned long long)sum.passed, (unsigned long long)sum.dropped,
	       (unsigned long long)sum.wrong, (unsigned long long)sum.duels);
	return sum.wrong || !sum.passed;
}

int main(int argc, char **argv)
{
	uint64_t seed, random;
	int err;

	if (argc != 9) {
		fprintf(stderr, "usage: churn PINDIR IN OUT EXT INT SECONDS GRACE SEED\n");
		return 2;
	}
	progs[0] = atoi(argv[2]);
	progs[1] = atoi(argv[3]);
	seed = strtoull(argv[8], NULL, 0);
	public_addr = htonl(0xcb007107U); /* 203.0.113.7 */
	err = find_device(argv[4], &ext);
	if (!err)
		err = find_device(argv[5], &inner);
	if (err) {
		fprintf(stderr, "churn: %s, %s: %s\n", argv[4], argv[5], strerror(-err));
		return 1;
	}
	err = read_config(argv[1], (uint32_t)atoi(argv[7]), &table);
	if (err) {
		fprintf(stderr, "churn: %s: %s\n", argv[1], strerror(-err));
		return 1;
	}
	random = seed * 2 + 1;
	choose_flows(&table, &random);
	return churn((unsigned int)atoi(argv[6]), seed);
}
