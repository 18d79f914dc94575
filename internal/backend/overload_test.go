package backend

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// testMachine is a simulation of one that carries so much work: what is more makes segments
// late.
type testMachine struct {
	capacity float64
	loads    []load
	c        *controller
	now      time.Time
	history  []int // renditions shed, each second
}

func newMachine(capacity float64, loads ...load) *testMachine {
	return &testMachine{capacity: capacity, loads: loads, c: newController(), now: time.Unix(1e9, 0)}
}

func (m *testMachine) work() (sum float64) {
	for i := range m.loads {
		if !m.loads[i].idle {
			sum += m.c.active(&m.loads[i])
		}
	}
	return sum
}

// total is how many renditions are shed, of all streams.
func (c *controller) total() (n int) {
	for _, k := range c.shed {
		n += k
	}
	return n
}

// run lets seconds pass.
func (m *testMachine) run(seconds int) {
	for range seconds {
		m.now = m.now.Add(time.Second)
		m.c.forget(m.loads)
		work := m.work()
		for i := range m.loads {
			l := &m.loads[i]
			if work > m.capacity && len(l.costs) > m.c.shed[l.name] {
				l.waiting += time.Second
			} else {
				l.waiting = max(l.waiting-2*time.Second, 0)
			}
			if l.waiting > 6*time.Second {
				l.waiting -= 2 * time.Second
				l.skipped++
			}
		}
		m.c.step(m.now, min(work/m.capacity, 1), true, m.loads)
		m.history = append(m.history, m.c.total())
	}
}

func oneStream(name string, costs ...float64) load {
	return load{name: name, costs: costs, segment: 2 * time.Second}
}

func TestNothingIsShedWithoutNeed(t *testing.T) {
	m := newMachine(20, oneStream("a", 8, 4, 2), oneStream("b", 3, 1))
	m.run(600)
	require.Zero(t, m.c.sheds)
	require.Zero(t, m.c.total())
}

func TestTheLargestGoFirst(t *testing.T) {
	m := newMachine(8, oneStream("a", 9, 4, 2), oneStream("b", 5, 1))
	m.run(60)
	require.Equal(t, map[string]int{"a": 1, "b": 1}, m.c.shed, "9 and 5 of 21 go, 7 are left")
	require.Equal(t, []string{"a", "b"}, m.c.order)
	require.Zero(t, m.loads[0].waiting)
}

// With twice the work that the testMachine can do, all is well again soon, and stays so.
func TestTwoHundredPercent(t *testing.T) {
	m := newMachine(50)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		m.loads = append(m.loads, oneStream(name, 10, 6, 3, 1))
	}
	m.run(30)
	require.LessOrEqual(t, m.work(), m.capacity)
	skipped := uint64(0)
	for _, l := range m.loads {
		skipped += l.skipped
	}
	m.run(3600)
	after := uint64(0)
	for _, l := range m.loads {
		after += l.skipped
	}
	// What comes back too early costs a few segments, less and less often.
	require.Less(t, after-skipped, uint64(5*60))
	require.Greater(t, m.work(), 0.4*m.capacity, "and no more is shed than needed")
}

func TestTheyComeBack(t *testing.T) {
	m := newMachine(5, oneStream("a", 6, 3, 2))
	m.run(60)
	require.Equal(t, 1, m.c.total())
	m.capacity = 100
	m.run(int(2 * maxCalm / time.Second))
	require.Zero(t, m.c.total())
	require.Empty(t, m.c.order)
}

// A rendition that is too much whenever it comes back is tried less and less often.
func TestTriesBecomeRare(t *testing.T) {
	m := newMachine(5, oneStream("a", 6, 3, 1))
	m.run(3600)
	require.Less(t, m.c.sheds, uint64(20))
}

func TestEvenTheLastRenditionGoes(t *testing.T) {
	m := newMachine(0.5, oneStream("a", 1))
	m.run(30)
	require.Equal(t, 1, m.c.total())
	m.run(10)
	require.Equal(t, 1, m.c.total(), "and nothing more than there is")
}

func TestStreamsThatLeaveAreForgotten(t *testing.T) {
	m := newMachine(1, oneStream("a", 6, 3), oneStream("b", 2))
	m.run(60)
	require.Equal(t, 3, m.c.total())
	m.loads = m.loads[:1]
	m.run(1)
	require.Equal(t, 2, m.c.total())
	m.loads[0].costs = []float64{3} // the ladder was planned anew
	m.run(1)
	require.Equal(t, 1, m.c.total())
	m.loads = nil
	m.run(1)
	require.Zero(t, m.c.total())
	require.Empty(t, m.c.order)
	require.Empty(t, m.c.skipped)
}

// Whatever happens, no stream is without more renditions than it has.
func TestControllerProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newController()
		now := time.Unix(1e9, 0)
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(0, 60_000).Draw(t, "ms")) * time.Millisecond)
			var loads []load
			for _, name := range []string{"a", "b", "c"} {
				if rapid.Bool().Draw(t, "here") {
					loads = append(loads, load{
						name: name, segment: 2 * time.Second, costs: rapid.SliceOfN(rapid.Float64Range(0, 10), 0, 5).Draw(t, "costs"),
						waiting: time.Duration(rapid.IntRange(0, 10_000).Draw(t, "waiting")) * time.Millisecond,
						skipped: rapid.Uint64Range(0, 3).Draw(t, "skipped"),
					})
				}
			}
			c.step(now, rapid.Float64Range(0, 1).Draw(t, "cpu"), rapid.Bool().Draw(t, "full"), loads)
			have := make(map[string]int)
			for _, l := range loads {
				have[l.name] = len(l.costs)
			}
			for name, n := range c.shed {
				require.Positive(t, n)
				require.LessOrEqual(t, n, have[name])
			}
			require.Len(t, c.order, c.total())
			require.Equal(t, c.total(), c.missing, "all have publishers")
			require.LessOrEqual(t, c.calm, maxCalm)
		}
	})
}

// Streams without a publisher cost nothing: nothing is gained by taking from them, and they
// are not in the way of those that could have theirs back.
func TestStreamsWithoutPublisherAreLeftAlone(t *testing.T) {
	away := oneStream("a", 9, 8, 7)
	away.idle = true
	m := newMachine(3, away, oneStream("b", 6, 3))
	m.c.step(m.now, 1, true, []load{away, {name: "b", costs: []float64{6, 3}, segment: 2 * time.Second, waiting: 10 * time.Second}})
	require.Equal(t, map[string]int{"b": 1}, m.c.shed)

	both := newMachine(4, oneStream("a", 6, 2), oneStream("b", 6, 2))
	both.run(60)
	require.Equal(t, map[string]int{"a": 1, "b": 1}, both.c.shed)
	both.capacity = 20
	last := both.c.order[len(both.c.order)-1]
	for i := range both.loads {
		both.loads[i].idle = both.loads[i].name == last
	}
	both.run(60)
	require.Equal(t, map[string]int{last: 1}, both.c.shed, "the other has all it wants, and this one is remembered")
	require.Zero(t, both.c.missing)
	require.Equal(t, calmTime, both.c.calm)
}

// Segments that are late while there is room are late because somebody is away: nothing is shed.
func TestLateWithRoom(t *testing.T) {
	c := newController()
	loads := []load{{name: "a", costs: []float64{6, 3}, segment: 2 * time.Second, waiting: 10 * time.Second, skipped: 5}}
	now := time.Unix(1000, 0)
	for range 10 {
		now = now.Add(time.Second)
		c.step(now, 0.5, false, loads)
	}
	require.Empty(t, c.shed)
	c.step(now.Add(time.Second), 1, true, loads)
	require.NotEmpty(t, c.shed)
}
