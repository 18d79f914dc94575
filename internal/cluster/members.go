package cluster

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/livepeer/lpms/internal/status"
)

// member is what a worker says of itself. The bytes of another version of the protocol are read
// by the same rules as far as they go.
type member struct {
	Protocol int                `json:"protocol"`
	ID       string             `json:"id"`
	Name     string             `json:"name"`
	Version  string             `json:"version"`
	State    status.WorkerState `json:"state"`
	Reason   string             `json:"reason,omitempty"`
	Gone     bool               `json:"gone,omitempty"` // its last word
	Capacity int                `json:"capacity"`
	Load     int                `json:"load"`
	Speed    float64            `json:"speed"`
	Done     uint64             `json:"done"`
	Failed   uint64             `json:"failed"`
	Encoders []string           `json:"encoders"`
	Accel    string             `json:"accel"`
	Started  time.Time          `json:"started"`
}

const (
	maxMembers    = 4096
	maxMemberText = 100
	maxMemberHead = 8 << 10
)

func decodeMember(message []byte) (*member, error) {
	m := &member{}
	if len(message) > maxMemberHead {
		return nil, fmt.Errorf("%w: a member of %d bytes", ErrMessage, len(message))
	}
	if err := json.Unmarshal(message, m); err != nil { // another version may have more to say
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if !ValidID(m.ID) || len(m.Encoders) > 16 {
		return nil, fmt.Errorf("%w: a member with impossible values", ErrMessage)
	}
	for i := range m.Encoders {
		m.Encoders[i] = printable(m.Encoders[i], 16)
	}
	m.Name, m.Version = printable(m.Name, maxMemberText), printable(m.Version, maxMemberText)
	m.Reason, m.Accel = printable(m.Reason, maxErrorText), printable(m.Accel, 16)
	switch m.State {
	case status.WorkerReady, status.WorkerBenched, status.WorkerLeaving:
	default:
		m.State = status.WorkerForeign
	}
	if m.Protocol != Protocol {
		m.State = status.WorkerForeign
	}
	m.Capacity, m.Load = min(max(m.Capacity, 0), 1<<20), min(max(m.Load, 0), 1<<20)
	return m, nil
}

// members are the workers that are known. It may be used by any goroutine.
type members struct {
	mu      sync.Mutex
	known   map[string]*known
	changed chan struct{} // closed when one comes or goes, or can take jobs again, or not any more
}

type known struct {
	member
	seen    time.Time
	refused uint64        // jobs whose results were refused here
	benched time.Time     // until when, by us
	bench   time.Duration // the last one
}

func newMembers() *members {
	return &members{known: make(map[string]*known), changed: make(chan struct{})}
}

// note takes what a worker says. It reports what should be told to people, if anything.
func (ms *members) note(m *member, now time.Time) (news string) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	k := ms.known[m.ID]
	switch {
	case k == nil && (m.Gone || len(ms.known) >= maxMembers):
		return ""
	case m.Gone:
		delete(ms.known, m.ID)
		ms.change()
		return fmt.Sprintf("worker %s has left", k)
	case k == nil:
		k = &known{member: *m, seen: now}
		ms.known[m.ID] = k
		ms.change()
		if m.Protocol != Protocol {
			return fmt.Sprintf("worker %s (version %s) speaks protocol %d, this program %d: it gets no jobs from here until both have the same version",
				k, m.Version, m.Protocol, Protocol)
		}
		return fmt.Sprintf("worker %s is there: %d segments at a time, %v", k, m.Capacity, m.Encoders)
	}
	before := k.State
	k.member, k.seen = *m, now
	if before != m.State {
		ms.change()
		switch m.State {
		case status.WorkerBenched:
			return fmt.Sprintf("worker %s is benched: %s", k, m.Reason)
		case status.WorkerLeaving:
			return fmt.Sprintf("worker %s is about to leave", k)
		}
	}
	return ""
}

// String names a worker for people.
func (k *known) String() string {
	if k.Name == "" {
		return k.ID
	}
	return k.Name + " (" + k.ID[:8] + ")"
}

// expire forgets those that have been silent for too long.
func (ms *members) expire(now time.Time) (news []string) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for id, k := range ms.known {
		if now.Sub(k.seen) > memberTimeout {
			delete(ms.known, id)
			news = append(news, fmt.Sprintf("worker %s is gone: it has said nothing for %v", k, memberTimeout))
		}
	}
	if len(news) > 0 {
		ms.change()
	}
	slices.Sort(news)
	return news
}

// change wakes up who waits for workers. The caller holds mu.
func (ms *members) change() {
	close(ms.changed)
	ms.changed = make(chan struct{})
}

// news is closed when the workers that can take jobs are others.
func (ms *members) news() <-chan struct{} {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return ms.changed
}

// able counts the workers that can take a job, without those excluded, and how much room they have:
// at least 1 when there is a worker, and more where less is in work.
func (ms *members) able(n need, exclude []string, now time.Time) (count, room int) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for id, k := range ms.known {
		if k.State == status.WorkerReady && now.After(k.benched) && can(n, k.Encoders, k.Accel) && !slices.Contains(exclude, id) {
			count++
			room += max(k.Capacity-k.Load, 0)
		}
	}
	return count, max(room, min(count, 1))
}

// name is what people call a worker.
func (ms *members) name(id string) string {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if k := ms.known[id]; k != nil {
		return k.String()
	}
	return id[:min(len(id), 8)]
}

// has reports whether a worker is there.
func (ms *members) has(id string) bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return ms.known[id] != nil
}

// slots adds up what the workers that take jobs have room for, and what they have.
func (ms *members) slots(now time.Time) (capacity, load int) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, k := range ms.known {
		if k.State == status.WorkerReady && now.After(k.benched) {
			capacity, load = capacity+k.Capacity, load+k.Load
		}
	}
	return capacity, load
}

const (
	firstBench = 10 * time.Second
	longBench  = 10 * time.Minute
)

// refuse notes that the result of a worker was no good, and says for how long it is benched: each
// time for twice as long.
func (ms *members) refuse(id string, now time.Time) (bench time.Duration, name string) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	k := ms.known[id]
	if k == nil {
		return 0, id
	}
	k.refused++
	if now.Before(k.benched) {
		return 0, k.String()
	}
	if now.Sub(k.benched) > longBench { // it has done well since
		k.bench = 0
	}
	k.bench = min(max(2*k.bench, firstBench), longBench)
	k.benched = now.Add(k.bench)
	ms.change()
	return k.bench, k.String()
}

// list is for people.
func (ms *members) list(now time.Time) []status.Worker {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	workers := make([]status.Worker, 0, len(ms.known))
	for _, k := range ms.known {
		workers = append(workers, status.Worker{
			ID: k.ID, Name: k.Name, Version: k.Version, State: k.State, Reason: k.Reason, Capacity: k.Capacity, Load: k.Load,
			Speed: k.Speed, Done: k.Done, Failed: k.Failed, Refused: k.refused, Encoders: slices.Clone(k.Encoders), Accel: k.Accel,
			Started: k.Started, Seen: now.Sub(k.seen).Seconds(),
		})
	}
	slices.SortFunc(workers, func(a, b status.Worker) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return workers
}
