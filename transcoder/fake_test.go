package transcoder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

var errBroken = errors.New("broken segment")

// call is one Transcode of a fake engine.
type call struct {
	stream     string
	seq        uint64
	try        int // of this segment, from 1
	session    int // from 1
	seg        *stream.Segment
	before     *stream.Segment
	renditions []ffmpeg.Rendition
	done       func(int, ffmpeg.Output)
}

// all reports every rendition as complete.
func (c *call) all() {
	for i := range c.renditions {
		c.done(i, c.output(i))
	}
}

func (c *call) output(i int) ffmpeg.Output {
	return ffmpeg.Output{
		Data: fmt.Appendf(nil, "%s %d", c.renditions[i].Profile.Name, c.seq),
		Info: ffmpeg.OutputInfo{Codecs: "avc1.42c01e", Width: 320 + i, Height: 180, FrameRate: 30},
	}
}

// fakeEngine transcodes as its script says.
type fakeEngine struct {
	Local  // for its turns
	script func(ctx context.Context, c *call) error
	fail   func(renditions []ffmpeg.Rendition) error // of Open

	mu                     sync.Mutex
	calls                  []call
	opened, closed         int
	running, most, misused int
	turning, mostTurning   int
}

func (e *fakeEngine) Turn(ctx context.Context) (func(), error) {
	e.mu.Lock()
	e.turning++
	e.mostTurning = max(e.mostTurning, e.turning)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.turning--
		e.mu.Unlock()
	}()
	return e.Local.Turn(ctx)
}

func newEngine(jobs int, script func(ctx context.Context, c *call) error) *fakeEngine {
	return &fakeEngine{Local: *NewLocal(LocalOptions{Jobs: jobs}), script: script}
}

// takes is an engine that needs so long for a segment.
func takes(d time.Duration) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		if err := sleep(ctx, d); err != nil {
			return err
		}
		c.all()
		return nil
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *fakeEngine) Open(name string, renditions []ffmpeg.Rendition) (Session, error) {
	if e.fail != nil {
		if err := e.fail(renditions); err != nil {
			return nil, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened++
	return &fakeSession{e: e, stream: name, renditions: renditions, number: e.opened}, nil
}

// counts of an engine.
type counts struct{ calls, opened, closed, most, mostTurning int }

func (e *fakeEngine) counts() counts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return counts{len(e.calls), e.opened, e.closed, e.most, e.mostTurning}
}

type fakeSession struct {
	e          *fakeEngine
	stream     string
	renditions []ffmpeg.Rendition
	number     int
	running    int
	closed     bool
}

func (s *fakeSession) Transcode(ctx context.Context, in Input, done func(int, ffmpeg.Output)) error {
	e, seg := s.e, in.Segment
	e.mu.Lock()
	c := call{stream: s.stream, seq: seg.Seq, try: 1, session: s.number, seg: seg, before: in.Before, renditions: s.renditions, done: done}
	for _, old := range e.calls {
		if old.stream == s.stream && old.seq == seg.Seq {
			c.try++
		}
	}
	if s.closed {
		e.misused++
	}
	e.calls = append(e.calls, c)
	s.running++
	e.running++
	e.most = max(e.most, e.running)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		s.running--
		e.running--
		e.mu.Unlock()
	}()
	return e.script(ctx, &c)
}

func (s *fakeSession) Close() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.running > 0 || s.closed {
		s.e.misused++
	}
	s.closed = true
	s.e.closed++
}

// ladderOf names renditions.
func ladderOf(names ...string) (out []ffmpeg.Rendition) {
	for _, n := range names {
		out = append(out, ffmpeg.Rendition{Profile: ffmpeg.VideoProfile{Name: n}})
	}
	return out
}

const firstSeq = 100

func newBuffer() *stream.HLSBuffer {
	return stream.NewHLSBufferWithConfig(stream.HLSConfig{MinSegments: 1000, FirstSequence: firstSeq, TargetDuration: 2 * s})
}

// rig is a transcoder at work on a presentation, in a bubble of fake time.
type rig struct {
	*Transcoder
	t      *testing.T
	engine *fakeEngine
	cancel context.CancelCauseFunc
	result chan error
	clock  time.Duration // of the source
	mu     sync.Mutex
	events []Event
}

func start(t *testing.T, e *fakeEngine, buf *stream.HLSBuffer, opts Options) *rig {
	r := &rig{t: t, engine: e, result: make(chan error, 1)}
	opts.Engine = e
	if opts.Stream == "" {
		opts.Stream = "x"
	}
	opts.OnEvent = func(ev Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, ev)
	}
	tr, err := New(buf, opts)
	require.NoError(t, err)
	r.Transcoder = tr
	ctx, cancel := context.WithCancelCause(t.Context())
	r.cancel = cancel
	go func() { r.result <- tr.Run(ctx) }()
	synctest.Wait()
	return r
}

// add appends a segment of 2 s to the source.
func (r *rig) add() {
	r.clock += 2 * s
	_, err := r.buf.Append(stream.Source, stream.Segment{Data: []byte("source"), Start: r.clock, Duration: 2 * s, Independent: true})
	require.NoError(r.t, err)
	synctest.Wait()
}

// publish appends segments as they are filmed: the first at once, and time passes for the last.
func (r *rig) publish(n int) {
	for range n {
		r.add()
		time.Sleep(2 * s)
		synctest.Wait()
	}
}

// end ends the presentation and waits for Run.
func (r *rig) end() {
	r.buf.End()
	require.NoError(r.t, r.wait())
}

func (r *rig) wait() error {
	select {
	case err := <-r.result:
		e := r.engine
		e.mu.Lock()
		defer e.mu.Unlock()
		require.Zero(r.t, e.misused, "sessions used after Close, or closed while used")
		require.Equal(r.t, e.opened, e.closed, "sessions opened and closed")
		return err
	case <-time.After(time.Hour):
		require.FailNow(r.t, "Run does not return")
		return nil
	}
}

func (r *rig) kinds(kind EventKind) (out []Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func (r *rig) of(name string) RenditionStats {
	for _, rs := range r.Stats().Renditions {
		if rs.Name == name {
			return rs
		}
	}
	require.FailNow(r.t, "no such rendition", name)
	return RenditionStats{}
}

// numbers are the segments of a rendition that are there, counted from the first.
func numbers(b *stream.HLSBuffer, rendition string) (out []int) {
	for _, seg := range b.SegmentsAfter(rendition, 0) {
		out = append(out, int(seg.Seq-firstSeq))
	}
	return out
}

// listed are those that players see, gaps included.
func listed(t *testing.T, b *stream.HLSBuffer, rendition string) (out []int) {
	list, _ := playlist(t, b, rendition)
	for _, e := range list {
		out = append(out, e.seq)
	}
	return out
}

// entry is a segment in a playlist.
type entry struct {
	seq   int
	gap   bool
	times string // what must be as in the source: PROGRAM-DATE-TIME, EXTINF, DISCONTINUITY
}

// playlist reads what viewers get.
func playlist(t *testing.T, b *stream.HLSBuffer, rendition string) (out []entry, ended bool) {
	p, err := b.MediaPlaylist(t.Context(), rendition)
	require.NoError(t, err)
	var e entry
	for line := range strings.Lines(string(p.Raw)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "#EXT-X-GAP":
			e.gap = true
		case line == "#EXT-X-ENDLIST":
			ended = true
		case strings.HasPrefix(line, "#EXT-X-PROGRAM"), strings.HasPrefix(line, "#EXTINF"), line == "#EXT-X-DISCONTINUITY":
			e.times += line + " "
		case !strings.HasPrefix(line, "#"):
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(line, rendition+"/"), ".ts"))
			require.NoError(t, err)
			e.seq = n - firstSeq
			out = append(out, e)
			e = entry{}
		}
	}
	return out, ended
}

// aligned checks that a rendition has the numbers and times of the source, without a hole,
// and returns the numbers of its gaps.
func aligned(t *testing.T, b *stream.HLSBuffer, rendition string) (gaps []int) {
	source, _ := playlist(t, b, stream.Source)
	return alignedTo(t, source, b, rendition)
}

func alignedTo(t *testing.T, source []entry, b *stream.HLSBuffer, rendition string) (gaps []int) {
	list, _ := playlist(t, b, rendition)
	require.NotEmpty(t, list)
	first := slices.IndexFunc(source, func(e entry) bool { return e.seq == list[0].seq })
	require.GreaterOrEqual(t, first, 0)
	for i, e := range list {
		require.Equal(t, source[first+i].seq, e.seq)
		require.Equal(t, source[first+i].times, e.times, "segment %d of %s", e.seq, rendition)
		if e.gap {
			gaps = append(gaps, e.seq)
			continue
		}
		seg, err := b.Segment(rendition, uint64(e.seq+firstSeq))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%s %d", rendition, seg.Seq), string(seg.Data))
	}
	return gaps
}
