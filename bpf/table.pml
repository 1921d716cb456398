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
#define ENDED 5

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

#include "table_ops.pml"

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
#ifdef ENDS
		t = t || status[x] == ENDED;
#endif
		s = x;
		x = 0;
		if
		:: t -> holds[me] = s
		:: else
		fi
	}
	if
#ifdef ENDS
	:: t && status[s] == ENDED -> state_take_out(s, ENDED)
	:: t && status[s] != ENDED -> state_end(s)
	:: t && status[s] != ENDED -> state_remove(s)
#else
	:: t -> state_remove(s)
#endif
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
#define IN_TABLE(x) (status[x] == LIVE || status[x] == ENDED)
#define KEYS_OF(x) (IN_TABLE(x) -> 1 + NAT(flow[x]) : 0)
#define TIDY(x) (KEYS_AT(0, x) + KEYS_AT(1, x) == KEYS_OF(x))
#define OVER(b, x, k) (B1(k) == (b) && IN_BUCKET(1 - (b), x, k) && !IN_BUCKET(b, x, k))
#define OVER_OF(b, x) (IN_TABLE(x) -> OVER(b, x, WIRE(flow[x])) + \
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
