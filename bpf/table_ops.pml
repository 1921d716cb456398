/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program does to the state table, step by step: a part of table.pml. */

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

/* It is no look-up's business any more. */
inline not_to_be_found(y)
{
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
	q = 0
}

/* Who is faster than others takes it out; was: LIVE or ENDED. */
inline state_take_out(y, was)
{
	atomic {
#ifdef M_REMOVE_PLAIN
		t = 1;
#else
		t = status[y] == was;
#endif
		if
		:: t ->
			status[y] = DEAD;
			not_to_be_found(y);
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
		if
#ifndef M_END_COUNTS
		:: was == ENDED
#endif
		:: was == LIVE -> states--
#ifdef M_END_COUNTS
		:: was == ENDED -> states--
#endif
		fi;
#ifndef M_REST_EARLY
		slot_rest(y)
#endif
	:: else
	fi
}

#define state_remove(y) state_take_out(y, LIVE)

/* Of very many: it stays in its buckets, to be taken out later. */
inline state_end(y)
{
#ifdef M_END_PLAIN
	t = status[y] == LIVE;
#endif
	atomic {
#ifndef M_END_PLAIN
		t = status[y] == LIVE;
#endif
		if
		:: t -> status[y] = ENDED; not_to_be_found(y)
		:: else
		fi
	}
	if
	:: t -> states--
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
