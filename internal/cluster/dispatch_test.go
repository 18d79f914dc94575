package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const s = time.Second

// at is a moment after the beginning of a segment.
func at(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

func TestDispatch(t *testing.T) {
	took := func(d time.Duration) attemptView { return attemptView{taken: at(d)} }
	over := attemptView{over: true}
	for _, c := range []struct {
		name  string
		now   time.Duration
		v     view
		want  step
		until time.Duration // for wait
	}{
		{"a worker is there", 0, view{able: 1, workers: 1}, send, 0},
		{"nobody is there", 0, view{nobody: at(0)}, wait, 4 * s},
		{"nobody came", 4 * s, view{nobody: at(0)}, unavailable, 0},
		{"nobody has been there for long", 0, view{nobody: at(-10 * s)}, unavailable, 0},
		{"nobody is there but us", 0, view{nobody: at(0), local: true}, workHere, 0},
		{"we are at it", 0, view{working: true, able: 1, workers: 1}, wait, 12 * s},
		{"in the queue", s, view{able: 1, workers: 1, attempts: []attemptView{{}}}, wait, 12 * s},
		{"in the queue, we could help later", s, view{able: 1, workers: 1, local: true, attempts: []attemptView{{}}}, wait, 7200 * time.Millisecond},
		{"in the queue for long, we help", 8 * s, view{able: 1, workers: 1, local: true, attempts: []attemptView{{}}}, workHere, 0},
		{"in the queue, the last worker has left", s, view{nobody: at(500 * time.Millisecond), attempts: []attemptView{{}}}, wait, 4500 * time.Millisecond},
		{"in the queue, nobody came back", 5 * s, view{nobody: at(500 * time.Millisecond), attempts: []attemptView{{}}}, unavailable, 0},
		{"a worker is at it", s, view{able: 1, workers: 2, hedge: true, attempts: []attemptView{took(s)}}, wait, 3 * s},
		{"as long as usual", s, view{able: 1, workers: 2, hedge: true, usual: 1500 * time.Millisecond, attempts: []attemptView{took(s)}}, wait, 2500 * time.Millisecond},
		{"never less than half a segment", s, view{able: 1, workers: 2, hedge: true, usual: time.Millisecond, attempts: []attemptView{took(s)}}, wait, 2 * s},
		{"it is slow", 4 * s, view{able: 1, workers: 2, hedge: true, attempts: []attemptView{took(s)}}, send, 0},
		{"it is slow and the only one", 4 * s, view{workers: 1, hedge: true, attempts: []attemptView{took(s)}}, wait, 12 * s},
		{"it is slow, and so are too many", 4 * s, view{able: 1, workers: 2, attempts: []attemptView{took(s)}}, wait, 12 * s},
		{"it is slow, we help", 4 * s, view{workers: 1, local: true, attempts: []attemptView{took(s)}}, workHere, 0},
		{"two are at it", 9 * s, view{able: 3, workers: 5, hedge: true, attempts: []attemptView{took(s), took(4 * s)}}, wait, 12 * s},
		{"usually slow, but the time is running out", 8 * s, view{able: 1, workers: 2, hedge: true, usual: 20 * s, attempts: []attemptView{took(s)}}, send, 0},
		{"it failed", s, view{able: 1, workers: 2, attempts: []attemptView{over}}, send, 0},
		{"it failed everywhere", s, view{workers: 2, attempts: []attemptView{over}}, sendAgain, 0},
		{"it failed, and nobody is left", s, view{nobody: at(s), attempts: []attemptView{over}}, wait, 5 * s},
		{"it failed, and nobody is there", 5 * s, view{nobody: at(s), attempts: []attemptView{over}}, unavailable, 0},
		{"it failed too often", s, view{able: 1, workers: 2, attempts: []attemptView{over, over, over}}, giveUp, 0},
		{"it failed elsewhere", s, view{workers: 2, local: true, attempts: []attemptView{over}}, workHere, 0},
		{"it fails wherever it is tried", s, view{able: 1, workers: 2, local: true, hopeless: true, attempts: []attemptView{over}}, giveUp, 0},
		{"one failed, one is at it", 2 * s, view{able: 1, workers: 2, attempts: []attemptView{over, took(2 * s)}}, wait, 4 * s},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.v.now, c.v.began, c.v.deadline, c.v.length, c.v.tries = at(c.now), at(0), at(12*s), 2*s, 3
			got, until := c.v.next()
			require.Equal(t, c.want, got)
			if got == wait {
				require.Equal(t, at(c.until), until)
			}
		})
	}
}

func TestUsual(t *testing.T) {
	var u usual
	require.Zero(t, u.most())
	for range 50 {
		u.note(s)
	}
	require.InDelta(t, s, u.most(), float64(s)/100, "what never varies")
	for i := range 50 {
		u.note(s + time.Duration(i%2)*s)
	}
	require.Greater(t, u.most(), 2*s)
	require.Less(t, u.most(), 5*s)
}
