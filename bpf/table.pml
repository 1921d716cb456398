/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol of the state table (table.h, state_publish() and state_alloc() of
 * state.h, sweep.h, pf_datapath_drain() of the loader) for spin(1), which looks at
 * all the ways in which CPUs can come between each other.  `make spin' runs it.
 *
 * Each step here is one access to memory that others write, an atomic operation,
 * or a call on a queue (the kernel's own lock makes that one step).  What is read
 * under a bucket's lock is written under this lock only, so it is read with taking
 * it; what is written under it is seen by readers at once, store by store.  Tests
 * of one's own variables go with the step before them.  Steps are one where it makes no
 * difference to others: taking a lock and the first store under it, the last store and
 * giving the lock back (so unplace() is one), what is done to a slot from popping it to
 * pushing it elsewhere, and the status and key of a slot that is held.
 *
 * What is smaller here than there, and stays as strict:
 * - A bucket has PL0 or PL1 places: the rest of it holds others, that do not move.
 * - Versions are not numbers, which would have to wrap around: `moved' tells for
 *   each CPU whether a bucket's has moved since it has read it.
 * - A run of a program sees the clock move once at most, and a slot rests for
 *   GRACE = 2 ticks.  There: a run takes less than pf_config.grace - 1 ticks (2 s).
 *   Ages beyond GRACE + 1 are all the same.
 * - Without -DCLOCK a slot rests until all runs have ended that it may be known to,
 *   which is more than any clock would let happen.
 * - Who has a slot's index `holds' it until he has seen that it is not his, or to the end
 *   of his run.  No use after reuse: a slot that is held is never taken for another state.
 * - With -DPURGE the first CPU is pfd's alone, in user memory.
 * - The sweep takes any slot at any time, whatever its timeout; a packet may find
 *   its connection ended and make it anew (TCP_REUSE).
 *
 * Spin's memory is sequentially consistent.  x86 is weaker in one thing, a load may
 * overtake an earlier store; here a locked instruction (lock, atomic add, exchange)
 * stands between any two where this would count.  On arm64 the plain stores under a
 * lock may be seen in any order: -DWEAK does this.  That they are all seen before
 * the bucket's version is (an exchange, which is a full barrier), is assumed unless
 * -DM_VER_PLAIN.  That loads are not reordered is assumed: tag, index, status and key
 * of a slot that is reused could only be mixed across its whole rest.  There a stale
 * index may come with a new tag, so that with -DWEAK one holds what has one's key.
 *
 * -DM_... breaks the protocol in one place, for selftests/pft/spin.py: each must
 * make an assertion fail.
 */

#ifndef CPUS
#define CPUS 2
#endif
#ifndef NS
#define NS 3 /* slots */
#endif
#ifndef LIMIT
#define LIMIT 2
#endif
#ifndef PL0
#define PL0 1
#endif
#ifndef PL1
#define PL1 2
#endif
#ifndef TRIES
#define TRIES 2 /* INSERT_TRIES */
#endif
#ifndef FLOWS1
#define FLOWS1 FLOWS0
#endif
#ifndef FLOWS2
#define FLOWS2 FLOWS1
#endif
#ifndef READERS
#define READERS 0 /* which make none */
#endif
#ifndef REMOVERS
#define REMOVERS 255 /* which CPUs end states */
#endif
#define PLMOST 2
#define NONE 15
#ifdef M_GRACE
#define GRACE 1
#else
#define GRACE 2
#endif
#ifdef NO_RELEASE
#define OLDEST 2 /* nobody subtracts a lag */
#else
#define OLDEST 3
#endif

/* enum pf_insert_result, enum place_result */
#define R_OK 0
#define R_EXISTS 1
#define R_CLASH 2
#define R_FULL 3
#define R_MOVED 4

/* struct pf_state.status */
#define FREE 0
#define EMBRYO 1
#define LIVE 2
#define DEAD 3
#define LOST 4

/* Keys; A, B and D begin in bucket 0, C in bucket 1.  Equal tags: a hard case. */
#define A 1
#define B 2
#define C 3
#define D 4
#define OTHER 9
#define B1(k) ((k) == C)
#define B2(k) (1 - B1(k))
#ifdef ONETAG
#define TAG(k) 1
#else
#define TAG(k) (k)
#endif

/*
 * Connections: 1 A; 2 B; 3 and 4 go out as A and leave as C or D; 5 comes in as B
 * and becomes C; 6 leaves as D, which has its tag and bucket.
 */
#define NAT(f) ((f) >= 3)
#define WIRE(f) ((f) == 1 -> A : ((f) == 2 || (f) == 5 -> B : ((f) == 3 -> C : D)))
#define STACK(f) ((f) == 2 || (f) == 6 -> B : ((f) == 5 -> C : A))
#define COMES_IN(f) ((f) == 5)
#define KEY_WIRE 1
#define KEY_STACK 2
#define KEY_BOTH 3

#define HAS_KEY(f, k, which) \
	(WIRE(f) == (k) -> (((which) & KEY_WIRE) != 0 || !NAT(f)) \
			: (((which) & KEY_STACK) != 0 && NAT(f) && STACK(f) == (k)))
/* a packet, in or out, would find both */
#define SAME_KEY(f, g) (WIRE(f) == WIRE(g) || STACK(f) == STACK(g))

#define BIT(y) (1 << (y))
#ifdef M_NOT_OWN
#define NOT_OWN && (min == LIVE || x != own)
#else
#define NOT_OWN
#endif
#define AT(b, i) ((b) * PLMOST + (i))
#define PLACES(b) ((b) == 0 -> PL0 : PL1)

bit lock[2];
byte moved[2]; /* by CPU */
byte overflow[2];
byte tag[2 * PLMOST];
byte index[2 * PLMOST];
byte status[NS];
byte flow[NS]; /* both keys and flags */
byte pf_free;  /* slots */
byte pf_limbo; /* slots */
#ifdef CLOCK
byte age[NS]; /* ticks since `since' was read */
#else
byte known[NS]; /* CPUs that may have found it LIVE */
#endif
byte states;	    /* pf_status.states */

/* What the programs do not know. */
byte holds[CPUS];	/* slot */
byte must_find[CPUS];	/* a slot that is LIVE all through a look-up, with its key */
bit busy[CPUS];
bit ticked[CPUS];
bit lag[CPUS];		/* ticks since it has read the clock */
bit waited_for[CPUS];	/* by membarrier(2) */
#ifdef PURGE
byte before;		/* ticks since the purge was done */
#endif

#define ALL_IDLE (!busy[0] && !busy[1] IDLE2)
#if CPUS > 2
#define IDLE2 && !busy[2]
#define HELD(x) (holds[0] == (x) || holds[1] == (x) || holds[2] == (x))
#else
#define IDLE2
#define HELD(x) (holds[0] == (x) || holds[1] == (x))
#endif

/* --- properties of every moment --- */

#define IN_BUCKET(b, x, k) (tag[AT(b, 0)] == TAG(k) && index[AT(b, 0)] == (x) || \
			    tag[AT(b, 1)] == TAG(k) && index[AT(b, 1)] == (x))
#define FINDABLE(x, k) (IN_BUCKET(B1(k), x, k) || overflow[B1(k)] > 0 && IN_BUCKET(B2(k), x, k))
#define NOT_LOST(x) (status[x] != LIVE || FINDABLE(x, WIRE(flow[x])) && FINDABLE(x, STACK(flow[x])))

/* --- what a program does --- */

/* k and w, a key and which of a state's it is: s, the slot or NONE. */
inline bucket_find(b, min)
{
	i = 0;
	do
	:: i < PLACES(b) ->
		t = tag[AT(b, i)] == TAG(k);
		if
		:: t ->
#ifdef WEAK
			x = index[AT(b, i)];
#else
			d_step { x = index[AT(b, i)]; holds[me] = x; }
#endif
			d_step {
				t = x != NONE && status[x] >= min && status[x] <= LIVE &&
				    HAS_KEY(flow[x], k, w) NOT_OWN;
				if
				:: t -> s = x; holds[me] = x
				:: else -> holds[me] = NONE
				fi;
				x = 0
			}
			if
			:: t -> break
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	atomic { i = 0; t = 0; }
}

/* Both buckets. */
inline find(least)
{
	s = NONE;
	bucket_find(B1(k), least);
	if
	:: s == NONE ->
		t = overflow[B1(k)] != 0;
		if
		:: t -> bucket_find(B2(k), least)
		:: else
		fi
	:: else
	fi
}

/* With the lock taken: i, a free place or PLACES(b). */
inline free_place(b)
{
	i = 0;
	do
	:: i < PLACES(b) && tag[AT(b, i)] != 0 -> i++
	:: else -> break
	od
}

/* The first store goes with taking the lock, the last one with giving it back. */
#ifdef M_TAG_FIRST
#define ENTRY_BEGIN(b) tag[AT(b, i)] = TAG(k)
#define ENTRY_END(b) index[AT(b, i)] = own
#else
#define ENTRY_BEGIN(b) index[AT(b, i)] = own
#define ENTRY_END(b) tag[AT(b, i)] = TAG(k)
#endif

#ifdef M_NO_VERSION
#define MOVED(b) 0
#else
#define MOVED(b) ((moved[b] >> me) & 1)
#endif
#define MOVE(b) moved[b] = (1 << CPUS) - 1

inline place_first()
{
	atomic {
		!lock[B1(k)];
		if
		:: MOVED(B1(k)) -> r = R_MOVED
		:: else ->
			free_place(B1(k));
			if
			:: i == PLACES(B1(k)) -> r = R_FULL
			:: else -> r = R_OK; lock[B1(k)] = 1
			fi
		fi;
#ifndef WEAK
		if
		:: r == R_OK -> ENTRY_BEGIN(B1(k))
		:: else
		fi
#endif
	}
	if
	:: r == R_OK ->
#ifndef WEAK
		ENTRY_END(B1(k));
		d_step { MOVE(B1(k)); lock[B1(k)] = 0; }
#elif defined(M_VER_PLAIN)
		MOVE(B1(k));
		index[AT(B1(k), i)] = own;
		d_step { tag[AT(B1(k), i)] = TAG(k); lock[B1(k)] = 0; }
#else
		tag[AT(B1(k), i)] = TAG(k);
		index[AT(B1(k), i)] = own;
		d_step { MOVE(B1(k)); lock[B1(k)] = 0; }
#endif
	:: else
	fi;
	i = 0
}

/* t: it stood there. */
inline unplace(b, sl)
{
	atomic {
		!lock[b];
		i = 0;
		do
		:: i < PLACES(b) && !(tag[AT(b, i)] == TAG(k) && index[AT(b, i)] == sl) -> i++
		:: else -> break
		od;
		t = i < PLACES(b);
		if
		:: t -> tag[AT(b, i)] = 0
		:: else
		fi;
		i = 0
	}
}

inline place_overflow()
{
#ifndef M_COUNT_LATE
	overflow[B1(k)]++;
#endif
	atomic {
		!lock[B2(k)];
		free_place(B2(k));
		if
		:: i == PLACES(B2(k)) -> r = R_FULL
		:: else -> r = R_OK; lock[B2(k)] = 1; ENTRY_BEGIN(B2(k))
		fi
	}
	if
	:: r == R_OK ->
		d_step { ENTRY_END(B2(k)); lock[B2(k)] = 0; i = 0; }
#ifndef M_NO_CONSENT
		d_step {
			!lock[B1(k)];
			if
			:: MOVED(B1(k)) -> r = R_MOVED
			:: else ->
#ifndef M_CONSENT_STILL
				MOVE(B1(k))
#endif
			fi
		}
#endif
#ifdef M_COUNT_LATE
		overflow[B1(k)]++;
#endif
		if
		:: r == R_MOVED -> unplace(B2(k), own); t = 0; overflow[B1(k)]--
		:: else
		fi
	:: else ->
		i = 0;
#if !defined(M_FULL_COUNTS) && !defined(M_COUNT_LATE)
		overflow[B1(k)]--
#endif
	fi
}

inline unplace_key(from)
{
	unplace(B1(k), from);
	if
	:: !t ->
		unplace(B2(k), from);
		if
		:: t ->
			t = 0;
#ifndef M_REMOVE_COUNTS
			overflow[B1(k)]--
#endif
		:: else
		fi
	:: else -> t = 0
	fi
}

/*
 * The queues are sets, of which any may come first: free slots are all alike.  Who
 * has popped one has it to himself: what he does until he pushes it goes with that.
 */
#ifdef LOSE
#define PUSH(queue, y) if :: queue = queue | BIT(y) :: status[y] = LOST fi
#else
#define PUSH(queue, y) queue = queue | BIT(y)
#endif

#if defined(NO_RELEASE)
#define RESTED(y) 0 /* only pfd gives slots back */
#elif !defined(CLOCK)
#define RESTED(y) (known[y] == 0)
#elif defined(M_CLOCK_UNSIGNED)
#define RESTED(y) (age[y] < lag[me] || age[y] >= lag[me] + GRACE)
#else
#define RESTED(y) (age[y] >= lag[me] + GRACE)
#endif
#ifdef M_DRAIN_ALL
#define DRAINED(y) 1
#else
#define DRAINED(y) (age[y] >= before)
#endif
#ifdef PURGE
#define MAY_GO(all, y) ((all) -> DRAINED(y) : RESTED(y))
#else
#define MAY_GO(all, y) RESTED(y)
#endif
#define WAITS_RESTED(all, y) ((pf_limbo & BIT(y)) && MAY_GO(all, y))
#if NS == 2
#define ANY_RESTED(all) (WAITS_RESTED(all, 0) || WAITS_RESTED(all, 1))
#elif NS == 3
#define ANY_RESTED(all) (WAITS_RESTED(all, 0) || WAITS_RESTED(all, 1) || WAITS_RESTED(all, 2))
#else
#define ANY_RESTED(all) (WAITS_RESTED(all, 0) || WAITS_RESTED(all, 1) || WAITS_RESTED(all, 2) \
			 || WAITS_RESTED(all, 3))
#endif

#ifdef CLOCK
#define UNKNOWN(y) age[y] = 0
#define SET_KNOWN(y) skip
#else
#define UNKNOWN(y) known[y] = 0
#if CPUS > 2
#define SET_KNOWN(y) known[y] = busy[0] | (busy[1] << 1) | (busy[2] << 2)
#else
#define SET_KNOWN(y) known[y] = busy[0] | (busy[1] << 1)
#endif
#endif

inline slot_offer(y)
{
	atomic {
		status[y] = FREE;
		flow[y] = 0;
		UNKNOWN(y);
		PUSH(pf_free, y)
	}
}

/* Into limbo: first the clock, then the queue. */
inline slot_rest(y)
{
#ifdef CLOCK
	age[y] = 0;
#endif
	atomic {
		SET_KNOWN(y);
		status[y] = DEAD;
		PUSH(pf_limbo, y)
	}
}

/* Those that have rested, one after the other; all: pf_drain's.  lag: since the clock was read */
inline limbo_release(all, most)
{
	lag[me] = 0;
	n = 0;
	do
	:: n < most && ANY_RESTED(all) ->
		/* the one that was seen, or what another CPU leaves */
		atomic {
			if
			:: pf_limbo & 1 -> x = 0; t = 1
			:: pf_limbo & 2 -> x = 1; t = 1
			:: pf_limbo & 4 -> x = 2; t = 1
			:: pf_limbo & 8 -> x = 3; t = 1
			:: pf_limbo == 0 -> t = 0
			fi;
			if
			:: t ->
				pf_limbo = pf_limbo & ~BIT(x);
				if
#ifndef M_NO_SECOND_LOOK
				:: !MAY_GO(all, x) -> PUSH(pf_limbo, x); t = 0
#endif
				:: else ->
					status[x] = FREE;
					flow[x] = 0;
					UNKNOWN(x);
					PUSH(pf_free, x)
				fi
			:: else
			fi;
			x = 0
		}
		if
		:: !t -> break
		:: else
		fi;
		n++
	:: else -> break
	od;
	atomic { n = 0; t = 0; lag[me] = 0; }
}

/* A slot of one's own, with its key; t: there was one.  Nobody may have its index. */
inline slot_take()
{
	atomic {
		t = pf_free != 0;
		if
		:: pf_free & 1 -> own = 0
		:: (pf_free & 3) == 2 -> own = 1
		:: (pf_free & 7) == 4 -> own = 2
		:: (pf_free & 15) == 8 -> own = 3
		:: else
		fi;
		if
		:: t ->
			pf_free = pf_free & ~BIT(own);
			assert(!HELD(own));
			assert(status[own] == FREE);
			status[own] = EMBRYO;
			flow[own] = f
		:: else
		fi
	}
}

/* Who is faster than others takes it out. */
inline state_remove(y)
{
	atomic {
#ifdef M_REMOVE_PLAIN
		t = 1;
#else
		t = status[y] == LIVE;
#endif
		if
		:: t ->
			status[y] = DEAD;
			q = 0;
			do
			:: q < CPUS ->
				if
				:: must_find[q] == y -> must_find[q] = NONE
				:: else
				fi;
				q++
			:: else -> break
			od;
			q = 0;
			k = WIRE(flow[y])
		:: else
		fi
	}
	if
	:: t ->
#ifdef M_REST_EARLY
		slot_rest(y);
#endif
		unplace_key(y);
		if
		:: NAT(flow[y]) -> k = STACK(flow[y]); unplace_key(y)
		:: else
		fi;
		states--;
#ifndef M_REST_EARLY
		slot_rest(y)
#endif
	:: else
	fi
}

inline end_run()
{
	atomic {
		busy[me] = 0; ticked[me] = 0; lag[me] = 0; waited_for[me] = 0;
#ifndef CLOCK
		i = 0;
		do
		:: i < NS -> known[i] = known[i] & ~BIT(me); i++
		:: else -> break
		od;
#endif
		holds[me] = NONE; must_find[me] = NONE; moved[0] = moved[0] | (1 << me);
		moved[1] = moved[1] | (1 << me);
		f = 0; k = 0; w = 0; i = 0; s = 0; x = 0; t = 0; n = 0; r = 0; own = 0;
		second = 0; try = 0; placed = 0; answer = 0
	}
}

/* The slot of a live state that a packet with this key must find. */
inline look_out()
{
	d_step {
		must_find[me] = NONE;
		q = 0;
		do
		:: q < NS ->
			if
			:: status[q] == LIVE && HAS_KEY(flow[q], k, w) -> must_find[me] = q
			:: else
			fi;
			q++
		:: else -> break
		od;
		q = 0
	}
}

/* Becomes LIVE: nobody else has one of its keys, nor are there too many. */
inline go_live(y)
{
	d_step {
		q = 0;
		n = 1;
		do
		:: q < NS ->
			assert(status[q] != LIVE || !SAME_KEY(flow[q], flow[y]));
			n = n + (status[q] == LIVE);
			q++
		:: else -> break
		od;
		assert(n <= LIMIT);
		q = 0;
		n = 0;
		assert(status[y] == EMBRYO);
		status[y] = LIVE;
		holds[me] = y
	}
}

#define FLOWS_OF(cpu) ((cpu) == 0 -> FLOWS0 : ((cpu) == 1 -> FLOWS1 : FLOWS2))

inline choose_flow(set)
{
	if
	:: (set) & 2 -> f = 1
	:: (set) & 4 -> f = 2
	:: (set) & 8 -> f = 3
	:: (set) & 16 -> f = 4
	:: (set) & 32 -> f = 5
	:: (set) & 64 -> f = 6
	fi
}

proctype cpu(byte me)
{
	byte f, k, i, s, x, r, own, try, q, n;
	unsigned w : 2;
	bit t, second, placed, answer;

idle:
	end_run();
end_idle:
	if
	/* a packet: the first of a connection, or an answer */
	:: atomic {
		FLOWS_OF(me) != 0;
		if
		:: me == 0 -> choose_flow(FLOWS0)
		:: me == 1 -> choose_flow(FLOWS1)
		:: me >= 2 -> choose_flow(FLOWS2)
		fi;
		if
		:: k = (COMES_IN(f) -> WIRE(f) : STACK(f));
		   w = (COMES_IN(f) -> KEY_WIRE : KEY_STACK)
		:: k = (COMES_IN(f) -> STACK(f) : WIRE(f));
		   w = (COMES_IN(f) -> KEY_STACK : KEY_WIRE); answer = NAT(f)
		fi;
		busy[me] = 1;
		look_out()
	   }
	   goto packet
	/* the sweep: a state, or those that have rested */
	:: atomic { (REMOVERS >> me) & 1 -> busy[me] = 1; }
	   goto sweep
#if defined(CLOCK) && !defined(NO_RELEASE)
	:: atomic { (REMOVERS >> me) & 1 -> busy[me] = 1; }
	   goto release
#endif
#ifdef PURGE
	:: atomic { me == 0 -> skip }
	   goto purge
#endif
	fi;

sweep:
	atomic {
		if
		:: x = 0
		:: x = 1
#if NS > 2
		:: x = 2
#endif
#if NS > 3
		:: x = 3
#endif
		fi;
		t = status[x] == LIVE;
		s = x;
		x = 0;
		if
		:: t -> holds[me] = s
		:: else
		fi
	}
	if
	:: t -> state_remove(s)
#ifdef LOSE
	:: else ->
		d_step {
			t = status[s] == LOST;
			if
			:: t -> status[s] = DEAD
			:: else
			fi
		}
		if
		:: t -> slot_rest(s)
		:: else
		fi
#else
	:: else
#endif
	fi;
	goto idle;

#if defined(CLOCK) && !defined(NO_RELEASE)
release:
	limbo_release(0, 2);
	goto idle;
#endif

#ifdef PURGE
	/*
	 * pf_datapath_drain(): pfd has ended states as the sweep does, and wants their slots
	 * back.  What it has ended rests like what others have ended until now.
	 */
purge:
#ifndef M_DRAIN_ALL
	before = 0;
#endif
#ifndef M_DRAIN_ALL
	/* the clock has moved on: what has died by then is not found any more */
	before > 0;
#endif
	atomic {
		q = 0;
		do
		:: q < CPUS -> waited_for[q] = busy[q]; q++
		:: else -> break
		od;
		q = 0
	}
	!waited_for[1] && !waited_for[CPUS - 1];
	busy[me] = 1;
	limbo_release(1, 8);
	goto idle;
#endif

packet:
	find(LIVE);
	if
	:: s != NONE ->
		/* what is done with it is done by the step that lets it go */
		assert(status[s] != FREE && status[s] != EMBRYO);
		if
		:: goto idle
		#ifdef REUSE
		:: !answer -> state_remove(s)
#endif
		fi;
		d_step { holds[me] = NONE; s = 0; t = 0; }
	:: else ->
		assert(must_find[me] == NONE);
		if
		:: answer || ((READERS >> me) & 1) -> goto idle
		:: else
		fi
	fi;
	d_step { must_find[me] = NONE; k = 0; w = 0; s = 0; }

	/* state_alloc() */
	t = states < LIMIT;
	if
	:: !t -> goto idle
	:: else
	fi;
#ifdef M_LIMIT_READ
	states++;
#else
	d_step { t = states < LIMIT; states++; }
	if
	:: !t -> states--; goto idle
	:: else
	fi;
#endif
	slot_take();
	if
	:: !t ->
		limbo_release(0, 1);
		slot_take();
		if
		:: !t -> states--; goto idle
		:: else
		fi
	:: else
	fi;
	t = 0;

	/* state_place() */
next_key:
	atomic {
		try = 0;
		moved[0] = moved[0] | BIT(me);
		moved[1] = moved[1] | BIT(me);
		if
		:: !NAT(f) -> k = WIRE(f); w = KEY_BOTH
		:: NAT(f) && (COMES_IN(f) == second) -> k = WIRE(f); w = KEY_WIRE
		:: NAT(f) && (COMES_IN(f) != second) -> k = STACK(f); w = KEY_STACK
		fi
	}
	/* place_key() */
	do
	:: try == TRIES -> r = R_FULL; break
	:: else ->
		try++;
		/* state_exists() */
		moved[B1(k)] = moved[B1(k)] & (((1 << CPUS) - 1) ^ (1 << me));
#ifdef M_MAKERS_BLIND
		find(LIVE);
#else
		find(EMBRYO);
#endif
		if
		:: s != NONE ->
			d_step { r = (NAT(flow[s]) -> R_CLASH : R_EXISTS); holds[me] = NONE; }
			break
		:: else
		fi;
		place_first();
		if
		:: r == R_FULL -> placed = 1; place_overflow()
		:: else
		fi;
		if
		:: r == R_OK -> placed = 1; break
		:: r == R_FULL -> break
		:: else
		fi
	od;
	atomic { s = 0; t = 0; try = 0; }
	if
	:: r == R_OK && NAT(f) && !second -> second = 1; goto next_key
	:: r == R_OK && !(NAT(f) && !second) -> skip
	:: r != R_OK ->
#ifndef M_FIRST_STAYS
		if
		:: second ->
			k = (COMES_IN(f) -> STACK(f) : WIRE(f));
			unplace_key(own)
		:: else
		fi;
#endif
		/* state_publish() fails */
		states--;
		if
#ifdef M_OFFER_EARLY
		:: placed -> slot_offer(own)
#else
		:: placed -> slot_rest(own)
#endif
		:: !placed -> slot_offer(own)
		fi;
		goto idle
	fi;
	d_step { k = 0; w = 0; second = 0; placed = 0; }
	go_live(own);
	/* pf_nat goes on with it */
	goto idle
}

#ifdef CLOCK
/* The clock: a run sees it move once. */
#define MAY_TICK(p) (!busy[p] || !ticked[p])
#if CPUS > 2
#define ALL_MAY_TICK (MAY_TICK(0) && MAY_TICK(1) && MAY_TICK(2))
#else
#define ALL_MAY_TICK (MAY_TICK(0) && MAY_TICK(1))
#endif
proctype clock()
{
	byte q;

end_clock:
	do
	:: d_step {
		ALL_MAY_TICK ->
		q = 0;
		do
		:: q < CPUS -> ticked[q] = busy[q]; lag[q] = busy[q]; q++
		:: else -> break
		od;
		q = 0;
		do
		:: q < NS ->
			if
			:: status[q] == DEAD && age[q] < OLDEST -> age[q]++
			:: else
			fi;
			q++
		:: else -> break
		od;
#if defined(PURGE) && !defined(M_DRAIN_ALL)
		if
		:: before < OLDEST -> before++
		:: else
		fi;
#endif
		q = 0
	   }
	od
}

#endif

#ifdef OTHERS
/* Other connections come and go in bucket 0. */
proctype others()
{
end_others:
	do
	:: d_step { !lock[0] && tag[AT(0, 0)] == 0 -> tag[AT(0, 0)] = OTHER; index[AT(0, 0)] = NONE; MOVE(0); }
	:: d_step { !lock[0] && tag[AT(0, 0)] == OTHER -> tag[AT(0, 0)] = 0; }
	od
}
#endif

/* --- properties of the quiet moments: no leak, the counts are right --- */

#define KEYS_AT(b, x) ((tag[AT(b, 0)] != 0 && index[AT(b, 0)] == (x)) + \
		       (tag[AT(b, 1)] != 0 && index[AT(b, 1)] == (x)))
#define KEYS_OF(x) (status[x] == LIVE -> 1 + NAT(flow[x]) : 0)
#define TIDY(x) (KEYS_AT(0, x) + KEYS_AT(1, x) == KEYS_OF(x))
#define OVER(b, x, k) (B1(k) == (b) && IN_BUCKET(1 - (b), x, k) && !IN_BUCKET(b, x, k))
#define OVER_OF(b, x) (status[x] == LIVE -> OVER(b, x, WIRE(flow[x])) + \
		       (NAT(flow[x]) && OVER(b, x, STACK(flow[x]))) : 0)

inline settled()
{
	q = 0;
	do
	:: q < NS ->
		assert(status[q] != EMBRYO);
		assert(TIDY(q));
		live = live + (status[q] == LIVE);
		over0 = over0 + OVER_OF(0, q);
		over1 = over1 + OVER_OF(1, q);
		assert((status[q] == FREE) == ((pf_free >> q) & 1));
		assert((status[q] == DEAD) == ((pf_limbo >> q) & 1));
		q++
	:: else -> break
	od;
	assert(!lock[0] && !lock[1]);
	assert(states == live);
	assert(overflow[0] == over0 && overflow[1] == over1)
}

proctype monitor()
{
	byte q, live, over0, over1;

end_monitor:
	do
	:: d_step {
		!(NOT_LOST(0) && NOT_LOST(1)
#if NS > 2
		&& NOT_LOST(2)
#endif
#if NS > 3
		&& NOT_LOST(3)
#endif
		) -> assert(0)
	   }
	:: d_step {
		ALL_IDLE ->
		settled();
		q = 0; live = 0; over0 = 0; over1 = 0
	   }
	od
}

init {
	byte q;

	d_step {
		index[0] = NONE; index[1] = NONE; index[2] = NONE; index[3] = NONE;
		do
		:: q < NS -> pf_free = pf_free | BIT(q); q++
		:: else -> break
		od;
		q = 0;
		do
		:: q < CPUS -> holds[q] = NONE; must_find[q] = NONE; q++
		:: else -> break
		od;
		moved[0] = (1 << CPUS) - 1;
		moved[1] = (1 << CPUS) - 1
	}
	atomic {
		q = 0;
#ifdef CLOCK
		run clock();
#endif
#ifdef OTHERS
		run others();
#endif
		run monitor();
		do
		:: q < CPUS -> run cpu(q); q++
		:: else -> break
		od;
		q = 0
	}
}
