package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// observer follows a presentation as a player with perfect memory and checks the rules of RFC
// 8216 and Apple's that hold between one playlist and the next.
type observer struct {
	t       *testing.T
	b       *HLSBuffer
	cfg     HLSConfig
	target  uint64
	listed  map[string]map[uint64]parsedSegment // all that was ever listed, by rendition
	breaks  map[uint64]uint64                   // discontinuity sequence by number, of all renditions
	brk     map[uint64]bool
	etags   map[string]string
	last    map[string]*parsedPlaylist
	longest map[string]int64
	media   map[string]int64            // appended so far
	removed map[string]map[uint64]int64 // until when, in appended media
}

func newObserver(t *testing.T, b *HLSBuffer) *observer {
	return &observer{
		t: t, b: b, cfg: b.cfg,
		listed: map[string]map[uint64]parsedSegment{}, breaks: map[uint64]uint64{}, brk: map[uint64]bool{},
		etags: map[string]string{}, last: map[string]*parsedPlaylist{}, longest: map[string]int64{},
		media: map[string]int64{}, removed: map[string]map[uint64]int64{},
	}
}

func (o *observer) check(names ...string) {
	for name, p := range o.last { // forgotten because it stalled: only its numbers count
		if !o.b.Has(name) {
			o.last[name] = &parsedPlaylist{sequence: p.sequence}
			o.longest[name] = 0
			clear(o.removed[name])
		}
	}
	for _, name := range names {
		list, err := o.b.MediaPlaylist(o.t.Context(), name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		require.NoError(o.t, err)
		o.checkPlaylist(name, parsePlaylist(o.t, list.Raw))
		decoded := decodeM3U8(o.t, list.Raw)
		require.EqualValues(o.t, len(o.last[name].segments), decoded.Count())
		require.Equal(o.t, o.last[name].sequence, decoded.SeqNo)
		require.Equal(o.t, !o.last[name].ended, decoded.Live)
	}
}

func (o *observer) checkPlaylist(name string, p *parsedPlaylist) {
	t := o.t
	if o.target == 0 {
		o.target = p.target
	}
	require.Equal(t, o.target, p.target, "the target duration changed")
	before := o.last[name]
	if before == nil {
		before = &parsedPlaylist{sequence: p.sequence}
		o.listed[name] = map[uint64]parsedSegment{}
		o.removed[name] = map[uint64]int64{}
	}
	require.GreaterOrEqual(t, p.sequence, before.sequence, "media sequence goes back")
	require.NotEmpty(t, p.segments)

	independent := true
	appended := int64(0)
	if n := len(before.segments); n > 0 { // gaps that were too many to be listed
		for seq := before.segments[n-1].seq + 1; seq < p.sequence; seq++ {
			appended += o.listed[Source][seq].micros
		}
	}
	for _, s := range p.segments {
		require.LessOrEqual(t, uint64(s.micros+500_000)/1_000_000, p.target, "EXTINF too long")
		require.Equal(t, fmt.Sprintf("%s/%d.ts", name, s.seq), s.uri)
		if old, ok := o.listed[name][s.seq]; ok {
			old.breaks = s.breaks
			require.Equal(t, old, s, "an entry changed")
		} else {
			appended += s.micros
			o.listed[name][s.seq] = s
		}
		if n, ok := o.breaks[s.seq]; ok {
			require.Equal(t, n, s.breaks, "discontinuity sequence number of %s %d", name, s.seq)
			require.Equal(t, o.brk[s.seq], s.brk, "renditions disagree about a discontinuity")
		}
		o.breaks[s.seq], o.brk[s.seq] = s.breaks, s.brk
		if s.gap {
			continue
		}
		seg, err := o.b.Segment(name, s.seq)
		require.NoError(t, err, "a listed segment is not there")
		independent = independent && seg.Independent
		if tag, ok := o.etags[s.uri]; ok {
			require.Equal(t, tag, seg.ETag(), "a URI was used for other bytes")
		}
		o.etags[s.uri] = seg.ETag()
	}
	require.Equal(t, independent, p.independent)

	// The window: not shorter than it may be once something was dropped, and not longer than
	// it has to be.
	sum := p.micros()
	keep := max(3*int64(p.target)*1e6, o.cfg.Window.Microseconds())
	dropped := p.segments[0].seq > before.sequence
	if dropped && len(before.segments) > 0 {
		require.GreaterOrEqual(t, sum, keep)
		require.GreaterOrEqual(t, len(p.segments), o.cfg.MinSegments)
	}
	require.True(t, len(p.segments) <= o.cfg.MinSegments || sum-p.segments[0].micros < keep, "window longer than needed")

	// Retention, counted in media.
	for _, s := range before.segments {
		if s.seq < p.sequence && !s.gap {
			o.removed[name][s.seq] = o.media[name] + appended + s.micros + o.longest[name]
		}
	}
	o.media[name] += appended
	for seq, until := range o.removed[name] {
		_, err := o.b.Segment(name, seq)
		if o.media[name] < until {
			require.NoError(t, err, "%s %d was freed too early", name, seq)
		} else if errors.Is(err, ErrNotFound) {
			delete(o.removed[name], seq)
		}
	}
	require.LessOrEqual(t, len(o.removed[name]), 4*int(keep/200_000)+4*o.cfg.MinSegments)
	o.longest[name] = max(o.longest[name], sum)
	o.last[name] = p
}

// Random segments with random breaks in a source and two renditions that lag behind and lose
// segments.
func TestPresentationRules(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			target := time.Duration(1+rng.IntN(6)) * time.Second
			cfg := HLSConfig{
				TargetDuration: target, FirstSequence: 1 + rng.Uint64N(1e6),
				MinSegments: []int{0, 3, 6, 10}[rng.IntN(4)], Window: time.Duration(rng.IntN(2)*rng.IntN(90)) * time.Second,
			}
			b := NewHLSBufferWithConfig(cfg)
			o := newObserver(t, b)
			r := map[string]*lagging{"a": {}, "b": {}}
			at := time.Duration(rng.Int64N(int64(time.Hour)))
			breaks := uint64(0)
			var pending []Segment
			for i := range 150 {
				d := 200*time.Millisecond + time.Duration(rng.Int64N(int64(target+time.Second/2-201*time.Millisecond)))
				seg := segmentAt(at, d)
				seg.Independent = rng.IntN(50) > 0
				if rng.IntN(20) == 0 { // timestamps jump, backwards too
					at += time.Duration(rng.Int64N(int64(time.Minute)) - int64(time.Minute)/2)
					seg.Start, seg.Discontinuity = at, true
				}
				if rng.IntN(40) == 0 {
					b.Suspend()
					b.Resume()
					seg.Discontinuity = true
				}
				stored, err := b.Append(Source, seg)
				require.NoError(t, err)
				require.Equal(t, cfg.FirstSequence+uint64(i), stored.Seq)
				if seg.Discontinuity && i > 0 {
					breaks++
				}
				require.Equal(t, seg.Discontinuity && i > 0, stored.Discontinuity)
				at += d
				o.check(Source)
				pending = append(pending, *stored)
				for _, name := range []string{"a", "b"} {
					r[name].run(o, name, pending, rng)
				}
			}
			p := mediaPlaylist(t, b, Source)
			last := p.segments[len(p.segments)-1]
			assert.Equal(t, breaks, last.breaks, "every discontinuity counts, listed or not")

			// The lists end one after the other.
			b.End()
			o.check(b.Renditions()...)
			assert.True(t, o.last[Source].ended)
			for name, l := range r {
				for !o.last[name].ended {
					l.lag = 0
					l.next = max(l.next, len(pending)-1)
					l.run(o, name, pending, rng)
				}
			}
			for _, name := range b.Renditions() {
				assert.Equal(t, last.seq, o.last[name].segments[len(o.last[name].segments)-1].seq, name)
				_, err := b.Append(name, segmentAt(at, time.Second))
				assert.ErrorIs(t, err, ErrClosed)
			}
		})
	}
}

// lagging is a transcoder that is up to 6 segments late and fails now and then.
type lagging struct{ lag, next int }

func (l *lagging) run(o *observer, name string, source []Segment, rng *rand.Rand) {
	l.lag = min(max(l.lag+rng.IntN(3)-1, 0), 6)
	for ; l.next < len(source)-l.lag; l.next++ {
		if rng.IntN(15) == 0 && l.next < len(source)-1 {
			continue
		}
		seg := source[l.next]
		seg.Data = fmt.Append(nil, name, seg.Seq)
		seg.Discontinuity = rng.IntN(2) == 0 // only the source decides
		seg.ProgramTime = time.Time{}
		_, err := o.b.Append(name, seg)
		require.NoError(o.t, err)
		o.check(name)
	}
}

func TestAppendRefuses(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{TargetDuration: 2 * time.Second, FirstSequence: 10, MaxRenditions: 2})
	seg := func(seq uint64, change func(*Segment)) Segment {
		s := segmentAt(0, 2*time.Second)
		s.Seq = seq
		if change != nil {
			change(&s)
		}
		return s
	}
	try := func(rendition string, s Segment) error {
		before := b.Version()
		_, err := b.Append(rendition, s)
		if err != nil {
			require.Equal(t, before, b.Version())
		}
		return err
	}
	require.ErrorIs(t, try("a", seg(10, nil)), ErrSequence, "before the source")
	require.ErrorIs(t, try(Source, seg(0, func(s *Segment) { s.Duration = 2500 * time.Millisecond })), ErrTargetDuration)
	assert.False(t, b.Started())
	require.NoError(t, try(Source, seg(0, func(s *Segment) { s.Duration = 2499 * time.Millisecond })))
	require.NoError(t, try(Source, seg(11, nil)))
	require.NoError(t, try("a", seg(10, nil)))
	for name, c := range map[string]struct {
		rendition string
		seg       Segment
		want      error
	}{
		"number used":           {Source, seg(11, nil), ErrSequence},
		"number used by other":  {"a", seg(10, nil), ErrSequence},
		"ahead of the source":   {"a", seg(12, nil), ErrSequence},
		"not held":              {"a", seg(9, nil), ErrSequence},
		"no number":             {"a", seg(0, nil), ErrSequence},
		"too long":              {"a", seg(11, func(s *Segment) { s.Duration = 2500 * time.Millisecond }), ErrTargetDuration},
		"no data":               {Source, seg(0, func(s *Segment) { s.Data = nil }), nil},
		"no duration":           {Source, seg(0, func(s *Segment) { s.Duration = 0 }), nil},
		"negative":              {Source, seg(0, func(s *Segment) { s.Duration = -time.Second }), nil},
		"format":                {Source, seg(0, func(s *Segment) { s.Format = 1 }), nil},
		"no name":               {"", seg(11, nil), nil},
		"name with slash":       {"../a", seg(11, nil), nil},
		"name with new line":    {"a\n#", seg(11, nil), nil},
		"too many renditions":   {"b", seg(11, nil), nil},
		"long name":             {string(make([]byte, 1000)), seg(11, nil), nil},
		"name with a first dot": {".a", seg(11, nil), nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := try(c.rendition, c.seg)
			require.Error(t, err)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
		})
	}
	b.End()
	require.ErrorIs(t, try(Source, seg(0, nil)), ErrClosed)
	require.NoError(t, try("a", seg(11, nil)), "a rendition may be completed")
	require.ErrorIs(t, try("a", seg(12, nil)), ErrClosed)
}

func TestTargetDuration(t *testing.T) {
	b := NewHLSBuffer()
	assert.Zero(t, b.TargetDuration())
	for _, d := range []time.Duration{0, -1, 2 * time.Hour} {
		require.ErrorIs(t, b.SetTargetDuration(d), ErrTargetDuration)
	}
	require.NoError(t, b.SetTargetDuration(3001*time.Millisecond))
	assert.Equal(t, 4*time.Second, b.TargetDuration())
	require.NoError(t, b.SetTargetDuration(2*time.Second), "before the first segment it may change")
	appendN(t, b, 0, 1, 2*time.Second)
	require.NoError(t, b.SetTargetDuration(1900*time.Millisecond), "says the same")
	require.ErrorIs(t, b.SetTargetDuration(3*time.Second), ErrTargetDuration)
	assert.EqualValues(t, 2, mediaPlaylist(t, b, Source).target)

	for d, want := range map[time.Duration]time.Duration{
		10 * time.Millisecond: time.Second, time.Second: time.Second, 3200 * time.Millisecond: 4 * time.Second,
	} {
		b := NewHLSBuffer()
		appendN(t, b, 0, 1, d)
		assert.Equal(t, want, b.TargetDuration(), "from a first segment of %v", d)
	}
}

func TestFirstSequenceIsTheClock(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{Now: fixedClock})
	seg, err := b.Append(Source, Segment{Data: []byte{1}, Start: time.Hour, Duration: 2 * time.Second})
	require.NoError(t, err)
	assert.EqualValues(t, fixedClock().Unix(), seg.Seq)
	assert.Equal(t, fixedClock().Add(-2*time.Second), seg.ProgramTime, "derived from the time of the call")
	seg, err = b.Append(Source, Segment{Data: []byte{1}, Start: time.Hour + 2*time.Second, Duration: 2 * time.Second})
	require.NoError(t, err)
	assert.EqualValues(t, fixedClock().Unix()+1, seg.Seq)
	assert.Equal(t, fixedClock(), seg.ProgramTime, "derived from the segment before")
}

func TestSourceLeavesNumbersOut(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1})
	appendN(t, b, 0, 3, time.Second)
	seg := segmentAt(9*time.Second, time.Second)
	seg.Seq = 10
	_, err := b.Append(Source, seg)
	require.NoError(t, err)
	p := mediaPlaylist(t, b, Source)
	assert.EqualValues(t, 10, p.sequence)
	require.Len(t, p.segments, 1)
	assert.True(t, p.segments[0].brk)
	assert.EqualValues(t, 0, p.breaks, "its tag is listed")
	_, err = b.Segment(Source, 2)
	require.NoError(t, err, "still available")
	_, err = b.Segment(Source, 5)
	require.ErrorIs(t, err, ErrNotFound)

	seg.Seq = 1
	_, err = b.Append("a", seg)
	require.NoError(t, err)
	seg.Seq = 10
	_, err = b.Append("a", seg)
	require.NoError(t, err)
	assert.Equal(t, p.breaks, mediaPlaylist(t, b, "a").breaks)
	assert.EqualValues(t, 10, mediaPlaylist(t, b, "a").sequence)
}

func TestGap(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1})
	appendN(t, b, 0, 4, time.Second)
	for _, seq := range []uint64{1, 4} {
		seg := segmentAt(time.Duration(seq-1)*time.Second, time.Second)
		seg.Seq = seq
		_, err := b.Append("a", seg)
		require.NoError(t, err)
	}
	p := mediaPlaylist(t, b, "a")
	require.Len(t, p.segments, 4)
	assert.True(t, !p.segments[0].gap && p.segments[1].gap && p.segments[2].gap && !p.segments[3].gap)
	_, err := b.Segment("a", 2)
	require.ErrorIs(t, err, ErrNotFound)
	assert.Len(t, b.SegmentsAfter("a", 0), 2)
	s := b.Stats().Renditions[1]
	assert.Equal(t, [4]int{1, 4, 4, 2}, [4]int{int(s.First), int(s.Last), s.Listed, s.Held})
}

func TestStalledRenditionIsForgotten(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1})
	appendN(t, b, 0, 2, time.Second)
	seg := segmentAt(0, time.Second)
	seg.Seq = 1
	_, err := b.Append("a", seg)
	require.NoError(t, err)
	assert.Equal(t, []string{Source, "a"}, b.Renditions())
	appendN(t, b, 2*time.Second, 20, time.Second)
	assert.Equal(t, []string{Source}, b.Renditions())
	_, err = b.MediaPlaylist(t.Context(), "a")
	require.ErrorIs(t, err, ErrNotFound)
	seg.Seq = 2
	_, err = b.Append("a", seg)
	require.ErrorIs(t, err, ErrSequence, "numbers do not come back")
	seg.Seq = 20
	_, err = b.Append("a", seg)
	require.NoError(t, err)
	assert.EqualValues(t, 20, mediaPlaylist(t, b, "a").sequence)
}

func TestEndRendition(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1})
	appendN(t, b, 0, 3, time.Second)
	require.ErrorIs(t, b.EndRendition("a"), ErrNotFound)
	require.ErrorIs(t, b.EndRendition(Source), ErrNotFound)
	master := func() string {
		p, err := b.MasterPlaylist(t.Context(), "x")
		require.NoError(t, err)
		return string(p.Raw)
	}
	add := func(seq uint64) {
		seg := segmentAt(0, time.Second)
		seg.Seq = seq
		_, err := b.Append("a", seg)
		require.NoError(t, err)
	}
	add(1)
	assert.Contains(t, master(), "x/a.m3u8")
	require.NoError(t, b.EndRendition("a"))
	require.NoError(t, b.EndRendition("a"))
	assert.NotContains(t, master(), "x/a.m3u8")
	_, err := b.MediaPlaylist(t.Context(), "a")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = b.Segment("a", 1)
	require.NoError(t, err, "a player may be about to fetch it")
	add(2)
	assert.Contains(t, master(), "x/a.m3u8")
	b.End()
	assert.False(t, mediaPlaylist(t, b, "a").ended, "one segment behind")
	require.NoError(t, b.EndRendition("a"))
	assert.True(t, mediaPlaylist(t, b, "a").ended)
	assert.Contains(t, master(), "x/a.m3u8")
}

func TestMemoryIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		cfg    HLSConfig
		d      time.Duration
		listed int
		bytes  int64
	}{
		"tiny segments": {HLSConfig{TargetDuration: 10 * time.Second, MaxSegments: 50}, time.Millisecond, 50, 100 * 1000},
		"few bytes":     {HLSConfig{TargetDuration: 10 * time.Second, MaxBytes: 20_000}, time.Second, 20, 20_000},
		"one byte":      {HLSConfig{TargetDuration: 10 * time.Second, MaxBytes: 1}, time.Second, 1, 1000},
		"default":       {HLSConfig{TargetDuration: 2 * time.Second}, 2 * time.Second, 6, 13_000},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewHLSBufferWithConfig(c.cfg)
			for i := range 500 {
				seg := segmentAt(time.Duration(i)*c.d, c.d)
				seg.Data = make([]byte, 1000)
				_, err := b.Append(Source, seg)
				require.NoError(t, err)
				s := b.Stats().Renditions[0]
				require.LessOrEqual(t, s.Bytes, c.bytes)
				require.LessOrEqual(t, s.Listed, c.listed)
				require.EqualValues(t, s.Held*1000, s.Bytes)
			}
			p := mediaPlaylist(t, b, Source)
			assert.Len(t, p.segments, c.listed)
			for _, s := range p.segments {
				_, err := b.Segment(Source, s.seq)
				require.NoError(t, err)
			}
		})
	}
}

func TestRemovedSegmentsAreGarbage(t *testing.T) {
	b := NewHLSBuffer()
	var refs []weak.Pointer[Segment]
	for i := range 40 {
		seg := segmentAt(time.Duration(i)*time.Second, time.Second)
		seg.Data = make([]byte, 1<<16)
		stored, err := b.Append(Source, seg)
		require.NoError(t, err)
		refs = append(refs, weak.Make(stored))
	}
	runtime.GC()
	held := 0
	for _, r := range refs {
		if r.Value() != nil {
			held++
		}
	}
	assert.Equal(t, b.Stats().Renditions[0].Held, held)
	assert.Less(t, held, 15)
	runtime.KeepAlive(b)
}

func TestPlaylistWaitsForTheFirstSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewHLSBuffer()
		var wg sync.WaitGroup
		for _, rendition := range []string{Source, "unknown", "master"} {
			wg.Go(func() {
				var err error
				if rendition == "master" {
					_, err = b.MasterPlaylist(t.Context(), "x")
				} else {
					_, err = b.MediaPlaylist(t.Context(), rendition)
				}
				if rendition == "unknown" {
					assert.ErrorIs(t, err, ErrNotFound)
				} else {
					assert.NoError(t, err)
				}
				assert.Equal(t, time.Second, time.Since(started(b)))
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := b.MediaPlaylist(ctx, Source)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(500 * time.Millisecond)
		appendN(t, b, 0, 1, time.Second)
		wg.Wait()
	})
}

// started is when a synctest bubble began.
func started(*HLSBuffer) time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

func TestWaitersLearnOfAnEndWithoutMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewHLSBuffer()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := b.MediaPlaylist(t.Context(), Source)
			assert.ErrorIs(t, err, ErrNotFound)
		})
		synctest.Wait()
		b.Resume() // wakes nobody for nothing
		b.End()
		wg.Wait()
	})
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewHLSBuffer()
		changes := []func(){
			func() { appendN(t, b, 0, 1, time.Second) },
			func() { appendN(t, b, time.Second, 1, time.Second) },
			b.End,
			b.Resume,
			func() { b.Attach(NewHLSBuffer()) },
		}
		version := b.Version()
		for _, change := range changes {
			done := make(chan uint64)
			go func() {
				v, err := b.Wait(t.Context(), version)
				assert.NoError(t, err)
				done <- v
			}()
			synctest.Wait()
			select {
			case <-done:
				t.Fatal("did not wait")
			default:
			}
			change()
			next := <-done
			require.NotEqual(t, version, next)
			version = next
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("cause")
		time.AfterFunc(time.Second, func() { cancel(cause) })
		_, err := b.Wait(ctx, version)
		require.ErrorIs(t, err, cause)
	})
}

// A viewer who waits on a buffer that is attached to another one in the meantime gets that
// one's playlist, although both have changed equally often.
func TestAttachWakesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, other := NewHLSBuffer(), NewHLSBuffer()
		b.EndRendition("x")
		b.Suspend()
		appendN(t, other, 0, 1, time.Second)
		var wg sync.WaitGroup
		wg.Go(func() {
			p, err := b.MediaPlaylist(t.Context(), Source)
			if assert.NoError(t, err) {
				assert.Len(t, parsePlaylist(t, p.Raw).segments, 1)
			}
		})
		synctest.Wait()
		b.Attach(other)
		wg.Wait()
		assert.Equal(t, other.Version(), b.Version())
	})
}

func TestResumeAfterEndBeginsANewPlaylist(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1, TargetDuration: 2 * time.Second})
	assert.True(t, b.Publishing())
	appendN(t, b, 0, 3, 2*time.Second)
	b.Suspend()
	assert.False(t, b.Publishing())
	b.Resume()
	appendN(t, b, 0, 1, 2*time.Second)
	b.End()
	assert.True(t, b.Ended())
	assert.False(t, b.Publishing())
	old, err := b.MediaPlaylist(t.Context(), Source)
	require.NoError(t, err)
	before := parsePlaylist(t, old.Raw)
	assert.True(t, before.ended)
	assert.EqualValues(t, 1, before.segments[3].breaks)

	b.Resume()
	assert.True(t, b.Publishing() && !b.Ended() && !b.Started())
	require.NoError(t, b.SetTargetDuration(3*time.Second))
	for i := range 5 {
		appendN(t, b, time.Duration(i)*3*time.Second, 1, 3*time.Second)
		_, err = b.Segment(Source, 4)
		require.NoError(t, err, "viewers of the old playlist still read")
	}
	after := mediaPlaylist(t, b, Source)
	assert.EqualValues(t, 3, after.target)
	assert.EqualValues(t, 5, after.sequence, "numbers go on")
	assert.EqualValues(t, 2, after.breaks)
	assert.False(t, after.segments[0].brk)
	appendN(t, b, 15*time.Second, 1, 3*time.Second)
	_, err = b.Segment(Source, 4)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestExpire(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1})
	appendN(t, b, 0, 3, time.Second)
	b.Expire()
	assert.True(t, b.Started(), "only what has ended expires")
	b.End()
	b.Expire()
	assert.Empty(t, b.Stats().Renditions)
	_, err := b.MediaPlaylist(t.Context(), Source)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = b.MasterPlaylist(t.Context(), "x")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = b.Segment(Source, 3)
	require.ErrorIs(t, err, ErrNotFound)
	b.Resume()
	appendN(t, b, 0, 1, time.Second)
	p := mediaPlaylist(t, b, Source)
	assert.EqualValues(t, 4, p.sequence)
	assert.EqualValues(t, 1, p.breaks)
}

func TestDetach(t *testing.T) {
	b, other := NewHLSBuffer(), NewHLSBuffer()
	appendN(t, other, 0, 1, time.Second)
	b.Attach(other)
	other.Attach(b) // no circle
	assert.Equal(t, []string{Source}, b.Renditions())
	b.Detach()
	assert.True(t, b.Ended())
	assert.False(t, other.Ended())
	_, err := b.MediaPlaylist(t.Context(), Source)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestConcurrentUse(t *testing.T) {
	b := NewHLSBufferWithConfig(HLSConfig{FirstSequence: 1, TargetDuration: time.Second})
	ctx, stop := context.WithCancel(t.Context())
	const n = 2000
	var writers, readers sync.WaitGroup
	writers.Go(func() {
		for i := range n {
			if _, err := b.Append(Source, segmentAt(time.Duration(i)*time.Second, time.Second)); err != nil {
				t.Error(err)
			}
			if i%100 == 99 {
				b.Resume()
			}
		}
	})
	for _, name := range []string{"a", "b"} {
		writers.Go(func() { // a transcoder: never ahead, may be late
			for seq, version := uint64(0), uint64(0); seq < n; {
				var err error
				if version, err = b.Wait(ctx, version); err != nil {
					return
				}
				for _, seg := range b.SegmentsAfter(Source, seq) {
					seq = seg.Seq
					if _, err := b.Append(name, *seg); err != nil && !errors.Is(err, ErrSequence) {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 4 {
		readers.Go(func() {
			sequence := map[string]uint64{}
			for version := uint64(0); ; {
				for _, name := range append(b.Renditions(), Source) {
					list, err := b.MediaPlaylist(ctx, name)
					if err != nil {
						if ctx.Err() == nil && !errors.Is(err, ErrNotFound) {
							t.Error(err)
						}
						continue
					}
					p := parsePlaylist(t, list.Raw)
					if p.sequence < sequence[name] {
						t.Error("media sequence goes back")
					}
					sequence[name] = p.sequence
					list.Gzip()
				}
				if _, err := b.MasterPlaylist(ctx, "x"); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				b.Stats()
				var err error
				if version, err = b.Wait(ctx, version); err != nil {
					return
				}
			}
		})
	}
	writers.Wait()
	b.End()
	stop()
	readers.Wait()
	assert.True(t, mediaPlaylist(t, b, Source).ended)
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "A-z_0.9": true, "720p": true, "..": false, ".a": false, "": false, "a/b": false,
		"a b": false, "ä": false, "a\x00": false, "a%2e": false,
		string(make([]byte, 129)): false,
	} {
		assert.Equal(t, want, ValidName(name), "%q", name)
	}
}
