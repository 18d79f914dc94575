package backend

import (
	"cmp"
	"slices"
	"time"
)

// The times that the controller of overload goes by.
const (
	// settleTime is how long a change is given to show its effect.
	settleTime = 4 * time.Second
	// calmTime is how long all must be well before a rendition is made again. It doubles,
	// up to maxCalm, whenever that was too much.
	calmTime = 20 * time.Second
	maxCalm  = 5 * time.Minute
	// lateSegments is how many segments' time a segment may be on its way before the
	// machine counts as too slow.
	lateSegments = 1.5
	// shedPart is how much of the work is given up at once, at least.
	shedPart = 0.2
	// fullCPU is how much of the processor may be in use after a rendition has come back.
	fullCPU = 0.8
)

// load is what a stream asks of the machine.
type load struct {
	name    string
	costs   []float64     // of the renditions that are wanted, the largest first
	waiting time.Duration // how long the oldest segment has been on its way
	segment time.Duration // how long segments are
	skipped uint64        // segments so far that were too late
	idle    bool          // no publisher is there: it costs nothing, and may go on
}

// controller decides how many of its largest renditions each stream goes without. It knows
// no goroutine and no clock.
//
// A machine that cannot keep up shows in segments that are on their way for too long, or were
// left out. Then the largest renditions of all streams go, a fifth of the work at a time.
// When all has been well for some time, and the processor has room for it, the one that went
// last comes back.
type controller struct {
	shed    map[string]int    // by stream
	skipped map[string]uint64 // by stream
	order   []string          // the streams that renditions were taken from, oldest first
	changed time.Time
	trouble time.Time // the last
	tried   time.Time // when one came back
	calm    time.Duration
	sheds   uint64
	missing int // renditions that streams with a publisher go without
}

func newController() *controller {
	return &controller{shed: make(map[string]int), skipped: make(map[string]uint64), calm: calmTime}
}

// step takes the state of all streams into account. busy is the part of the processor, or of the
// workers, that is in use, from 0 to 1. Segments that are late say that there is no room only when
// it is full: otherwise somebody is away.
func (c *controller) step(now time.Time, busy float64, full bool, loads []load) {
	c.forget(loads)
	late := false
	var live []load
	for _, l := range loads {
		if !l.idle {
			live = append(live, l)
			late = late || full && (l.skipped > c.skipped[l.name] || l.segment > 0 && l.waiting.Seconds() > lateSegments*l.segment.Seconds())
		}
		c.skipped[l.name] = l.skipped
	}
	if late {
		c.trouble = now
	}
	switch {
	case now.Sub(c.changed) < settleTime:
	case late:
		if !c.tried.IsZero() && now.Sub(c.tried) < 2*c.calm {
			c.calm = min(2*c.calm, maxCalm)
		}
		c.tried = time.Time{}
		if c.take(live) {
			c.changed = now
		}
	case now.Sub(c.trouble) >= c.calm && now.Sub(c.changed) >= c.calm:
		if c.giveBack(busy, live) {
			c.changed, c.tried = now, now
		} else if c.missing == 0 {
			c.calm = calmTime
		}
	}
	c.missing = 0
	for _, l := range live {
		c.missing += c.shed[l.name]
	}
}

// active is what a stream costs now.
func (c *controller) active(l *load) (sum float64) {
	for _, cost := range l.costs[c.shed[l.name]:] {
		sum += cost
	}
	return sum
}

// take sheds the largest renditions that are left, until enough of the work is gone.
func (c *controller) take(loads []load) bool {
	total, gone := 0.0, 0.0
	for i := range loads {
		total += c.active(&loads[i])
	}
	for gone < shedPart*total || gone == 0 {
		i := c.largest(loads)
		if i < 0 {
			break
		}
		l := &loads[i]
		gone += l.costs[c.shed[l.name]]
		c.shed[l.name]++
		c.order = append(c.order, l.name)
		c.sheds++
	}
	return gone > 0
}

// largest is the stream with the largest rendition that is made, or -1.
func (c *controller) largest(loads []load) int {
	best, most := -1, 0.0
	for i, l := range loads {
		if n := c.shed[l.name]; n < len(l.costs) && l.costs[n] > most {
			best, most = i, l.costs[n]
		}
	}
	return best
}

// giveBack lets the rendition come back that was shed last of those of the streams given, when
// there is room for it.
func (c *controller) giveBack(busy float64, live []load) bool {
	loadOf := func(name string) int { return slices.IndexFunc(live, func(l load) bool { return l.name == name }) }
	last := len(c.order) - 1
	for last >= 0 && loadOf(c.order[last]) < 0 {
		last--
	}
	if last < 0 {
		return false
	}
	name := c.order[last]
	total := 0.0
	for j := range live {
		total += c.active(&live[j])
	}
	cost := live[loadOf(name)].costs[c.shed[name]-1]
	// A rendition costs the processor as much as those that are made, for its size; without
	// any, the decoder has to be started: try.
	if total > 0 && busy*(1+cost/total) > fullCPU {
		return false
	}
	c.order = slices.Delete(c.order, last, last+1)
	c.put(name, c.shed[name]-1)
	return true
}

func (c *controller) put(name string, n int) {
	if n > 0 {
		c.shed[name] = n
	} else {
		delete(c.shed, name)
	}
}

// forget drops the streams that have gone, and what was shed of renditions that are not
// wanted any more.
func (c *controller) forget(loads []load) {
	wanted := make(map[string]int, len(loads))
	for i := range loads {
		slices.SortStableFunc(loads[i].costs, func(x, y float64) int { return cmp.Compare(y, x) })
		wanted[loads[i].name] = len(loads[i].costs)
	}
	for name := range c.skipped {
		if _, here := wanted[name]; !here {
			delete(c.skipped, name)
		}
	}
	keep := make(map[string]int)
	c.order = slices.DeleteFunc(c.order, func(name string) bool {
		if keep[name] == wanted[name] {
			return true
		}
		keep[name]++
		return false
	})
	for name, n := range c.shed {
		if n != keep[name] {
			c.put(name, keep[name])
		}
	}
}
