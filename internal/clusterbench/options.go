package clusterbench

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
)

// Options of Load, Latency and Scaling. Zero values take the defaults.
type Options struct {
	// Streams is how many give segments. Default 1000, at most 100,000.
	Streams int
	// Segment is how long a segment is, and how often a stream gives one. Default 2 s.
	Segment time.Duration
	// Size is that of a segment, in bytes. Default 50,000, at most 32 MiB.
	Size int
	// Renditions is how many results each segment has. Default 3.
	Renditions int
	// Result is the size of each of them, in bytes, at least 16. Default: a quarter of Size.
	Result int
	// Work is how long a worker is at a segment, at most 5 s. The default, 0, returns at once.
	Work time.Duration
	// Workers is how many there are, at most 1000, and Slots how many segments each takes at the
	// same time. Default: ten, with room for half as much again as the streams give.
	Workers, Slots int
	// Origins is how many processes the streams come from, as far as the engine knows. Default 1,
	// at most 1000.
	Origins int
	// Duration is how long segments are given; results are waited for beyond it. Default 30 s, at
	// most an hour. In Scaling, it is about that of each step.
	Duration time.Duration
	// Warnf is told what the engine warns of. Default: nobody.
	Warnf func(format string, args ...any)
}

const (
	maxStreams  = 100_000
	maxSize     = 32 << 20
	minResult   = 16
	maxResults  = 64 << 20 // of one segment, together
	maxWork     = 5 * time.Second
	maxMachines = 1000
	maxSlots    = 10_000
	maxDuration = time.Hour
	maxJobs     = 5_000_000 // of one run: each is a sample
)

// ErrOptions is a measurement that cannot be made.
var ErrOptions = errors.New("clusterbench: impossible options")

// filled returns the options with their defaults, checked.
func (o Options) filled() (Options, error) {
	o.Streams, o.Segment = cmp.Or(o.Streams, 1000), cmp.Or(o.Segment, 2*time.Second)
	o.Size, o.Renditions = cmp.Or(o.Size, 50_000), cmp.Or(o.Renditions, 3)
	o.Result = cmp.Or(o.Result, max(o.Size/4, minResult))
	o.Workers, o.Origins, o.Duration = cmp.Or(o.Workers, 10), cmp.Or(o.Origins, 1), cmp.Or(o.Duration, 30*time.Second)
	if o.Warnf == nil {
		o.Warnf = func(string, ...any) {}
	}
	for _, c := range []struct {
		what             string
		got, least, most int64
		isLength         bool
	}{
		{what: "streams", got: int64(o.Streams), least: 1, most: maxStreams},
		{what: "segment", got: int64(o.Segment), least: int64(10 * time.Millisecond), most: int64(time.Minute), isLength: true},
		{what: "size", got: int64(o.Size), least: 1, most: maxSize},
		{what: "renditions", got: int64(o.Renditions), least: 1, most: ffmpeg.MaxRenditions},
		{what: "result", got: int64(o.Result), least: minResult, most: maxSize},
		{what: "work", got: int64(o.Work), least: 0, most: int64(maxWork), isLength: true},
		{what: "workers", got: int64(o.Workers), least: 1, most: maxMachines},
		{what: "slots", got: int64(o.Slots), least: 0, most: maxSlots},
		{what: "origins", got: int64(o.Origins), least: 1, most: maxMachines},
		{what: "duration", got: int64(o.Duration), least: int64(100 * time.Millisecond), most: int64(maxDuration), isLength: true},
	} {
		if c.got < c.least || c.got > c.most {
			return o, outOfRange(c.what, c.got, c.least, c.most, c.isLength)
		}
	}
	if o.Renditions*o.Result > maxResults {
		return o, fmt.Errorf("%w: %d renditions of %d bytes: together, at most %d bytes are possible", ErrOptions, o.Renditions, o.Result, maxResults)
	}
	if jobs := float64(o.Streams) * o.Duration.Seconds() / o.Segment.Seconds(); jobs > maxJobs {
		return o, fmt.Errorf("%w: %.0f segments: at most %d are possible, so take fewer streams or a shorter duration", ErrOptions, jobs, maxJobs)
	}
	if o.Slots == 0 {
		at := float64(o.Streams) * o.Work.Seconds() / o.Segment.Seconds() // segments in work, when all goes well
		o.Slots = min(max(int(1.5*at/float64(o.Workers)+0.999), 2), maxSlots)
	}
	return o, nil
}

func outOfRange(what string, got, least, most int64, isLength bool) error {
	if isLength {
		return fmt.Errorf("%w: %s is %v: it may be %v to %v", ErrOptions, what, time.Duration(got), time.Duration(least), time.Duration(most))
	}
	return fmt.Errorf("%w: %s is %d: it may be %d to %d", ErrOptions, what, got, least, most)
}
