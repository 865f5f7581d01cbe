/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lock, publish and fencing protocol, for spin: two sites, somebody who breaks locks, a network
 * that loses replies and delivers requests late and twice, a home that may lose what was not
 * flushed, and a collector of garbage beside. Whoever can crash may crash between any two of its
 * steps; a command of the lock server, between any two of its renames.
 *
 * What is checked (assertions):
 *   - only the nonce that holds the lock publishes, and nobody is refused who has it still;
 *   - a version that is published names what is durable at home, and stays so, with its record;
 *   - work is given up at a site only when it stands in a version; whatever has left the site's log
 *     is durable at home; a version that was acknowledged is never another one later;
 *   - no lock is held by a nonce that no site knows.
 *
 * Left out with -D, each of which has to make spin find an error: NO_FENCING (publish does not look
 * who holds the lock), NO_HOLD, NO_BARRIER (publish before the barrier), NO_RECHECK (the objects are
 * not looked for again behind the hold), VERSIONS_FIRST (the collector reads versions before holds),
 * BLIND_FORGET (a site whose lock was given back forgets its log without looking into it).
 *
 * A nonce publishes twice at most (a checkpoint and a check-in), so that a root is (nonce, k). What
 * one version's objects meet at home does not depend on another's, so only one root is followed
 * there, any one (`watched`), with one object; a request that is late is one at a time. */

#ifndef PUNCTUAL
#define PUNCTUAL false
#endif
#ifndef NONCES
#define NONCES 3 /* check-outs, at both sites together */
#endif
#ifndef PUBLISHES
#define PUBLISHES 2 /* of each: a checkpoint and a check-in */
#endif
#define ROOTS (NONCES * 2)
#define NOBODY 0
#define ROOT(n, k) ((n - 1) * 2 + k + 1)
#define VERSION_OF(n, k) (based[n] + k + 1)

mtype = {NO_REPLY, OK, BUSY, STALE, LOST};
mtype = {NOT, PUBLISHED, RELEASED, BROKEN, HELD, UNKNOWN}; /* how a nonce ended; or what check says */
mtype = {NOTHING, ACQUIRE, RELEASE, PUBLISH};
#define MISSING 0
#define CACHED 1 /* lost if the home's machine crashes */
#define DURABLE 2

/* --- the lock server's files --- */

byte version = 1;            /* the last line of `versions` has this number, */
bool last_release;           /* says `release`, */
byte roots[ROOTS + 2];       /* and each line names a root; 0: the one before all */
byte holder;                 /* the file `holder` */
mtype ended[NONCES + 1] = NOT; /* the file `nonces` */
byte based[NONCES + 1];      /* the base, which is part of the nonce */

/* --- what only the observer knows --- */

byte nonces;         /* how many were made */
byte granted;        /* who was promised that nobody else publishes */
byte watched;        /* the root that is followed at home */
bool watched_public; /* it is published */
bool watched_left;   /* it has left the log of its site */

/* --- the home: what there is of the watched root --- */

byte chunk, quarantined; /* copies of its object, in chunks/ and in quarantine/ */
bool record, hold;       /* names it; flushed when they are put */
bool home_crashed; /* since the last barrier of whoever puts it there: the next one fails */

/* --- the sites' disks --- */

byte nonce[2];
byte done[2];   /* versions that this nonce has published, as the site knows */
bool fixed[2];  /* what is to be published next is fixed in the log, */
bool dirty[2];  /* and there is work that is in no fixed root */
bool in_log[2]; /* the objects of the next root are in the log */

/* --- a request that is late --- */

mtype late = NOTHING;
byte late_nonce, late_k;
bool late_release;

#define KEPT (chunk == DURABLE || quarantined == DURABLE)

inline check_home()
{
    assert(!watched_public || (KEPT && record));
    assert(!watched_left || KEPT);
}

/* --- the lock server's commands: each holds the flock, so each is one step, but may be cut --- */

inline load_state()
{
    if
    :: holder != NOBODY && ended[holder] != NOT -> holder = NOBODY
    :: else ->
        if
        :: holder != NOBODY && last_release &&
           (roots[version] == ROOT(holder, 0) || roots[version] == ROOT(holder, 1)) ->
            ended[holder] = PUBLISHED;
            holder = NOBODY
        :: else
        fi
    fi
}

/* The rename of `nonces`, a kill perhaps, and the file `holder` is removed. */
inline end_nonce(n, how, reply)
{
    ended[n] = how;
    if
    :: holder = NOBODY
    :: reply = NO_REPLY
    fi
}

inline acquire(n, reply)
{
    load_state();
    if
    :: ended[n] != NOT -> reply = LOST
    :: else ->
        if
        :: holder == n -> reply = OK
        :: holder != NOBODY && holder != n -> reply = BUSY
        :: holder == NOBODY && based[n] != version -> reply = STALE
        :: holder == NOBODY && based[n] == version ->
            assert(granted == NOBODY);
            assert(nonce[0] == n || nonce[1] == n);
            holder = n;
            granted = n;
            reply = OK
        fi
    fi
}

inline publish(n, k, with_release, reply)
{
    load_state();
    reply = OK;
    if
    :: VERSION_OF(n, k) <= version && roots[VERSION_OF(n, k)] == ROOT(n, k) ->
        if
        :: with_release && holder == n && VERSION_OF(n, k) != version -> reply = STALE
        :: with_release && holder == n && VERSION_OF(n, k) == version ->
            granted = NOBODY;
            end_nonce(n, PUBLISHED, reply)
        :: else
        fi
#ifndef NO_FENCING
    :: !(VERSION_OF(n, k) <= version && roots[VERSION_OF(n, k)] == ROOT(n, k)) && holder != n ->
        reply = LOST
#endif
    :: else ->
        if
        :: VERSION_OF(n, k) != version + 1 -> reply = STALE
        :: else ->
            assert(granted == n);
            version++;
            roots[version] = ROOT(n, k);
            last_release = with_release;
            if
            :: ROOT(n, k) == watched ->
                watched_public = true;
                check_home()
            :: else
            fi;
            if
            :: with_release ->
                granted = NOBODY;
                if
                :: end_nonce(n, PUBLISHED, reply)
                :: reply = NO_REPLY
                fi
            :: else
            fi
        fi
    fi
}

inline release(n, reply)
{
    load_state();
    reply = OK;
    if
    :: holder == n ->
        granted = NOBODY;
        end_nonce(n, RELEASED, reply)
    :: holder != n && ended[n] == BROKEN -> reply = LOST
    :: holder != n && ended[n] == NOT -> ended[n] = RELEASED
    :: else
    fi
}

/* --- whoever breaks locks; requests that come late, perhaps again and again --- */

active proctype breaker()
{
    mtype ignored;
end:
    do
    :: atomic {
           holder != NOBODY;
           load_state();
           if
           :: holder != NOBODY ->
               granted = NOBODY;
               end_nonce(holder, BROKEN, ignored)
           :: else
           fi;
           ignored = NO_REPLY
       }
    od
}

active proctype network()
{
    mtype ignored;
end:
    do
    :: atomic {
           late != NOTHING;
           if
           :: late == ACQUIRE -> acquire(late_nonce, ignored)
           :: late == RELEASE -> release(late_nonce, ignored)
           :: late == PUBLISH -> publish(late_nonce, late_k, late_release, ignored)
           fi;
           ignored = NO_REPLY;
           if
           :: late = NOTHING;
              late_nonce = 0;
              late_k = 0;
              late_release = false
           :: skip
           fi
       }
    od
}

/* --- the home --- */

active proctype power()
{
end:
    do
    :: atomic {
           chunk == CACHED || quarantined == CACHED;
           if :: chunk == CACHED -> chunk = MISSING :: else fi;
           if :: quarantined == CACHED -> quarantined = MISSING :: else fi;
           home_crashed = true;
           check_home()
       }
    od
}

/* A run marks, puts what is unreached into quarantine, takes back what is reached, and deletes what
 * was in quarantine before it began and is unreached still. The grace time is no defence in this
 * model: a site may sleep for any time between two steps. */
active proctype collector()
{
    bool reached;
end:
    do
    :: atomic {
           chunk != MISSING || quarantined != MISSING;
#ifdef VERSIONS_FIRST
           reached = record
#else
           reached = hold
#endif
       };
#ifdef VERSIONS_FIRST
       reached = reached || hold;
#else
       reached = reached || record;
#endif
       atomic {
           if
           :: reached ->
               if
               :: quarantined != MISSING ->
                   chunk = (chunk > quarantined -> chunk : quarantined);
                   quarantined = MISSING
               :: else
               fi
           :: else ->
               quarantined = chunk;
               chunk = MISSING
           fi;
           reached = false;
           check_home()
       }
    od
}

/* --- a site --- */

#define MINE   (ROOT(nonce[s], done[s]) == watched)
#define PUBLIC (roots[VERSION_OF(nonce[s], done[s])] == ROOT(nonce[s], done[s]))

/* What was put is looked for once more, behind the hold. `has` looks into chunks/ only. */
#ifdef NO_RECHECK
#define AGAIN(missing) false
#else
#define AGAIN(missing) (missing)
#endif

/* A site's step, before which it may crash; it begins anew then, with what is on its disk. */
#define STEP(what)                                                                                 \
    if                                                                                             \
    :: atomic { what }                                                                             \
    :: goto again                                                                                  \
    fi

/* The reply may be lost, the request too, or it comes when nobody expects it any more. */
#define SEND(what, k, with_release, command)                                                       \
    reply = OK;                                                                                    \
    if                                                                                             \
    :: skip; command                                                                               \
    :: skip; command; reply = NO_REPLY                                                             \
    :: reply = NO_REPLY                                                                            \
    :: late == NOTHING && !PUNCTUAL ->                                                             \
        late = what;                                                                               \
        late_nonce = nonce[s];                                                                     \
        late_k = k;                                                                                \
        late_release = with_release;                                                               \
        reply = NO_REPLY                                                                           \
    fi

/* Of what this site has put. It fails if the home's machine has crashed since the last one: then
 * nothing of it is known any more. */
#define BARRIER(retry)                                                                             \
    if                                                                                             \
    :: home_crashed ->                                                                             \
        home_crashed = false;                                                                      \
        goto retry                                                                                 \
    :: else ->                                                                                     \
        flush(chunk);                                                                              \
        flush(quarantined)                                                                         \
    fi

inline flush(what)
{
    if
    :: what == CACHED -> what = DURABLE
    :: else
    fi
}

inline put_objects()
{
    if
    :: in_log[s] && chunk == MISSING -> chunk = CACHED
    :: else
    fi
}

inline put_record(what)
{
    what = what || MINE
}

/* The check-out has ended: its hold goes, then the log and the nonce. */
#define FORGET                                                                                     \
    STEP(assert(!dirty[s] && (!fixed[s] || PUBLIC));                                               \
         if                                                                                        \
         :: watched == ROOT(nonce[s], 0) || watched == ROOT(nonce[s], 1) -> hold = false           \
         :: else                                                                                   \
         fi);                                                                                      \
    STEP(nonce[s] = NOBODY;                                                                        \
         done[s] = 0;                                                                              \
         fixed[s] = false;                                                                         \
         dirty[s] = false;                                                                         \
         in_log[s] = false)

proctype site(byte s)
{
    mtype reply;
    bool give_back;

again: /* after a crash, or the next command of the same person: isr_check_lock */
    atomic {
        give_back = false;
        if
        :: nonce[s] == NOBODY -> goto check_out
        :: else
        fi;
        load_state();
        if
        :: holder == nonce[s] -> goto working
        :: holder != nonce[s] && ended[nonce[s]] == NOT -> goto ask
        :: holder != nonce[s] && ended[nonce[s]] == BROKEN -> goto kept
        :: else
        fi;
#ifndef BLIND_FORGET
        /* Perhaps a release that came late has ended what went on here. */
        if
        :: dirty[s] || (fixed[s] && !PUBLIC) -> goto kept
        :: else
        fi
#endif
    };
    FORGET;
    goto again;

check_out:
    atomic {
        nonces > 0 || s == 0; /* they are alike: one is the first */
        if
        :: nonces == NONCES -> goto finished
        :: else
        fi;
        nonces++;
        nonce[s] = nonces;
        based[nonces] = version
    };
ask:
    STEP(SEND(ACQUIRE, 0, false, acquire(nonce[s], reply));
         if
         :: reply == OK -> reply = NO_REPLY; goto working
         :: reply == STALE ->
             assert(!dirty[s] && !fixed[s]);
             reply = NO_REPLY;
             nonce[s] = NOBODY
         :: else -> reply = NO_REPLY
         fi);
    goto again;

working:
    if
    :: atomic { /* the machine runs, and something is flushed to the log */
           !dirty[s] && (!fixed[s] || done[s] + 1 < PUBLISHES);
           dirty[s] = true;
           in_log[s] = in_log[s] || (!fixed[s] && MINE)
       };
       goto working
    :: dirty[s] && !fixed[s] && in_log[s] -> goto push_early
    :: done[s] + 1 < PUBLISHES && (dirty[s] || fixed[s]) /* a checkpoint */
    :: give_back = true
    :: goto again
    fi;

check_in: /* what is to be published is fixed in the log; a retry publishes that one */
    STEP(if
         :: !fixed[s] && dirty[s] ->
             fixed[s] = true;
             dirty[s] = false
         :: else
         fi;
         if
         :: fixed[s] && MINE -> goto put
         :: fixed[s] && !MINE -> goto tell
         :: !fixed[s] && !give_back -> goto working
         :: else
         fi);
    STEP(SEND(RELEASE, 0, false, release(nonce[s], reply));
         if
         :: reply == OK -> reply = NO_REPLY
         :: reply == LOST -> reply = NO_REPLY; goto kept
         :: else -> goto again
         fi);
    FORGET;
    goto again;

put:
    STEP(put_objects());
#ifndef NO_BARRIER
    STEP(BARRIER(put));
#endif
#ifndef NO_HOLD
    STEP(put_record(hold));
#endif
    STEP(put_record(record));
#ifndef NO_BARRIER
    STEP(BARRIER(put));
#endif
    STEP(if
         :: in_log[s] && AGAIN(chunk == MISSING) -> goto put
         :: else
         fi);
tell:
    STEP(SEND(PUBLISH, done[s], give_back && !dirty[s],
              publish(nonce[s], done[s], give_back && !dirty[s], reply));
         if
         :: reply == OK -> assert(PUBLIC); reply = NO_REPLY
         :: reply == NO_REPLY -> goto again
         :: else -> reply = NO_REPLY; goto refused
         fi;
         if
         :: give_back && !dirty[s] -> goto over
         :: else
         fi);
    STEP(done[s]++; /* go on from the new version */
         fixed[s] = false;
         in_log[s] = dirty[s] && MINE);
    if
    :: give_back -> goto check_in
    :: else -> goto working
    fi;

over:
    FORGET;
    goto again;

push_early: /* while the machine runs; the objects leave the log when a hold names them */
    STEP(put_objects());
    STEP(BARRIER(push_early));
#ifndef NO_HOLD
    STEP(put_record(hold));
    STEP(BARRIER(push_early));
#endif
    STEP(if
         :: AGAIN(chunk == MISSING) -> goto push_early
         :: else
         fi;
         in_log[s] = false;
         watched_left = true;
         check_home());
    goto working;

refused: /* never one who has the lock still; only its own record goes */
    atomic {
        assert(ended[nonce[s]] != NOT);
        if
        :: MINE ->
            record = false;
            check_home()
        :: else
        fi
    };
kept: /* the work stays at this site, to be checked in as a new parcel */
end_kept:
    false;
finished:
end_finished:
    skip
}

init
{
    atomic {
#ifndef NO_HOME
        select(watched : 1 .. ROOTS);
#endif
        run site(0);
        run site(1)
    }
}
