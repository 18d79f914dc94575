package cluster

import "time"

// view is what is known of a segment when the next step is decided. The decision knows no
// goroutine, no clock and no connection.
type view struct {
	now, began, deadline time.Time
	length               time.Duration // of the segment
	usual                time.Duration // how long a worker is at it, at the most that is usual; 0 is unknown
	attempts             []attemptView // those sent out so far, oldest first
	tries                int           // how many there may be
	able                 int           // workers that could take another attempt
	workers              int           // workers that could take what is in the queue
	nobody               time.Time     // since when there is no worker; zero when there is one
	hedge                bool          // a second attempt beside the first may be afforded
	hopeless             bool          // it failed in a way that no other worker can help
	local                bool          // it may be made here, and was not tried
	working              bool          // it is being made here
}

type attemptView struct {
	over  bool      // it failed, or was lost
	taken time.Time // when a worker began; zero when none has
}

// step is what to do next.
type step int

const (
	wait        step = iota
	send             // put a job into the queue
	sendAgain        // the same, for any worker
	workHere         // transcode in this process
	giveUp           // it has failed
	unavailable      // there is nobody
)

const (
	// A second attempt is due when this part of the time is over, whatever is usual.
	hedgePart = 0.6
	// awayParts is for how many segments' time workers may be away before players should go on
	// without their renditions.
	awayParts = 2
	// leastHedge is the least time after which a second attempt is due.
	leastHedge = 300 * time.Millisecond
)

// next decides. until is when to ask again if nothing happens before.
func (v *view) next() (s step, until time.Time) {
	if v.working {
		return wait, v.deadline
	}
	running, sent := v.running(), len(v.attempts)
	switch {
	case running == nil && v.hopeless:
		return giveUp, v.now
	case running == nil && v.able > 0 && sent < v.tries:
		return send, v.now
	case running == nil && v.local:
		return workHere, v.now
	case running == nil && sent >= v.tries:
		return giveUp, v.now
	case running == nil && v.workers > 0: // those that have failed are all there are
		return sendAgain, v.now
	case running == nil || running.taken.IsZero():
		return v.queued(running != nil)
	}
	due := running.taken.Add(v.patience())
	if last := v.began.Add(time.Duration(hedgePart * float64(v.deadline.Sub(v.began)))); last.Before(due) {
		due = last
	}
	switch {
	case v.now.Before(due):
		return wait, due
	case v.hedge && v.able > 0 && sent < max(v.tries, 2) && v.count() < 2:
		return send, v.now
	case v.local:
		return workHere, v.now
	}
	return wait, v.deadline
}

// queued decides for a segment that no worker has taken: because there is none, or all are busy.
func (v *view) queued(inQueue bool) (step, time.Time) {
	late := v.began.Add(time.Duration(hedgePart * float64(v.deadline.Sub(v.began))))
	switch {
	case v.workers == 0 && v.local:
		return workHere, v.now
	case v.workers == 0: // they may be back soon
		if end := v.nobody.Add(awayParts * v.length); v.now.Before(end) {
			return wait, end
		}
		return unavailable, v.now
	case v.local && !v.now.Before(late):
		return workHere, v.now
	case v.local && inQueue:
		return wait, late
	}
	return wait, v.deadline
}

// running is the newest attempt that is not over, or nil.
func (v *view) running() *attemptView {
	for i := len(v.attempts) - 1; i >= 0; i-- {
		if !v.attempts[i].over {
			return &v.attempts[i]
		}
	}
	return nil
}

func (v *view) count() (running int) {
	for _, a := range v.attempts {
		if !a.over {
			running++
		}
	}
	return running
}

// patience is how long a worker may be at it.
func (v *view) patience() time.Duration {
	if v.usual == 0 {
		return max(v.length, leastHedge)
	}
	return max(v.usual, v.length/2, leastHedge)
}

// usual is how long something takes, by the estimate that TCP has for its round trips (RFC 6298).
type usual struct {
	mean, deviation time.Duration
}

func (u *usual) note(d time.Duration) {
	if u.mean == 0 {
		u.mean, u.deviation = d, d/2
		return
	}
	u.deviation = (3*u.deviation + (u.mean - d).Abs()) / 4
	u.mean = (7*u.mean + d) / 8
}

// most is what is rarely exceeded; 0 when nothing is known.
func (u *usual) most() time.Duration { return u.mean + 4*u.deviation }
