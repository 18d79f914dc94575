package transcoder

import (
	"fmt"
	"time"
)

// EventKind is what happened.
type EventKind int

const (
	// Done is a segment of a rendition that was appended.
	Done EventKind = iota
	// Failed is a segment of a rendition, or of all when Rendition is empty, that could not
	// be made: a gap.
	Failed
	// Skipped is a segment that was left out because it was too late: a gap in all
	// renditions when Rendition is empty.
	Skipped
	// Retried is a segment that failed and is tried again.
	Retried
	// Ended is a rendition that left the presentation because it fails again and again.
	// It is still tried with every segment.
	Ended
	// Returned is a rendition that works again after that.
	Returned
)

// String names the kind.
func (k EventKind) String() string {
	switch k {
	case Done:
		return "done"
	case Failed:
		return "failed"
	case Skipped:
		return "skipped"
	case Retried:
		return "retried"
	case Ended:
		return "ended"
	case Returned:
		return "returned"
	}
	return fmt.Sprintf("EventKind(%d)", int(k))
}

// Event is something that happened to a segment.
type Event struct {
	Kind      EventKind
	Seq       uint64
	Rendition string        // empty for all
	Err       error         // why
	Lag       time.Duration // since the source's segment was appended
	Took      time.Duration // Done: the part of it that was work
}

// String is for logs.
func (e Event) String() string {
	name := e.Rendition
	if name == "" {
		name = "all renditions"
	}
	s := fmt.Sprintf("segment %d of %s: %v, %v behind the source", e.Seq, name, e.Kind, e.Lag.Round(time.Millisecond))
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}
