package stream

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// Listed reports whether the master playlist lists a rendition.
func (b *HLSBuffer) Listed(rendition string) bool {
	v := b.find(rendition)
	return v != nil && v.listedInMaster()
}

// Resting reports whether a rendition rests: its playlist must be waited for.
func (b *HLSBuffer) Resting(rendition string) bool {
	v := b.find(rendition)
	return v != nil && v.resting
}

// Ended reports whether End was called, and not Resume after it.
func (b *HLSBuffer) Ended() bool { return !b.EndedAt().IsZero() }

// EndedAt is the time of End, the zero time while the presentation is live.
func (b *HLSBuffer) EndedAt() time.Time {
	b = b.root()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.endedAt
}

// Started reports whether there is a segment, so that playlists need not be waited for.
func (b *HLSBuffer) Started() bool { return len(*b.root().renditions.Load()) > 0 }

// Has reports whether a rendition exists.
func (b *HLSBuffer) Has(rendition string) bool { return b.find(rendition) != nil }

// Renditions names what exists, the source first.
func (b *HLSBuffer) Renditions() []string {
	b = b.root()
	names := slices.Collect(maps.Keys(*b.renditions.Load()))
	slices.SortFunc(names, func(x, y string) int {
		switch {
		case x == y:
			return 0
		case x == Source:
			return -1
		case y == Source:
			return 1
		}
		return strings.Compare(x, y)
	})
	return names
}

// find returns the current view of a rendition, or nil. It takes no lock.
func (b *HLSBuffer) find(rendition string) *view {
	b = b.root()
	if w := (*b.renditions.Load())[rendition]; w != nil {
		return w.view.Load()
	}
	return nil
}

// Segment returns a segment that a playlist lists, or listed not long ago: it stays
// available until as much media as itself and the longest playlist that had it was
// appended (RFC 8216bis, section 6.2.2). ErrNotFound otherwise.
func (b *HLSBuffer) Segment(rendition string, seq uint64) (*Segment, error) {
	b = b.root()
	if v := b.find(rendition); v != nil {
		if e := v.find(seq); e != nil && !e.gap() {
			return e.seg, nil
		}
	}
	return b.retiredSegment(rendition, seq)
}

// SegmentsAfter returns the segments of a rendition that are held and have a higher number
// than seq, oldest first, listed or not.
func (b *HLSBuffer) SegmentsAfter(rendition string, seq uint64) []*Segment {
	v := b.find(rendition)
	if v == nil {
		return nil
	}
	var segs []*Segment
	for _, e := range v.entries {
		if e.seg.Seq > seq && !e.gap() {
			segs = append(segs, e.seg)
		}
	}
	return segs
}

// MediaPlaylist returns the playlist of a rendition. Before the first segment of the source
// it blocks until there is one or ctx ends, and as long as the rendition rests. ErrNotFound
// is a rendition that does not exist, or a presentation that ended without media.
func (b *HLSBuffer) MediaPlaylist(ctx context.Context, rendition string) (*Playlist, error) {
	if err := b.waitStarted(ctx); err != nil {
		return nil, err
	}
	for {
		version := b.Version()
		v := b.find(rendition)
		switch {
		case v == nil || !v.listedInMaster():
			return nil, ErrNotFound
		case !v.resting:
			return v.playlist(), nil
		}
		if _, err := b.Wait(ctx, version); err != nil {
			return nil, err
		}
	}
}

// Version changes with everything that readers can see.
func (b *HLSBuffer) Version() uint64 { return b.root().version.Load() }

// Wait blocks until the version is another one than that given, and returns it. It returns
// the cause when ctx ends first. To miss nothing, take the version before looking at what
// it stands for.
func (b *HLSBuffer) Wait(ctx context.Context, version uint64) (uint64, error) {
	for {
		own := b.changes() // Attach and Detach
		r := b.root()
		changed := r.changes()
		v := r.version.Load()
		if v != version {
			return v, nil
		}
		select {
		case <-own:
		case <-changed:
		case <-ctx.Done():
			return v, context.Cause(ctx)
		}
	}
}

func (b *HLSBuffer) changes() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

func (b *HLSBuffer) waitStarted(ctx context.Context) (err error) {
	for version := uint64(0); !b.Started(); {
		if b.Ended() {
			return ErrNotFound
		}
		if version, err = b.Wait(ctx, version); err != nil {
			return err
		}
	}
	return nil
}
