package stream

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// masterCache holds the newest master playlist, for the base under which it was asked for.
type masterCache struct {
	newest atomic.Pointer[renderedMaster]
	mu     sync.Mutex // held while rendering
}

type renderedMaster struct {
	version  uint64
	base     string
	playlist *Playlist
}

func (c *masterCache) get(version uint64, base string) *Playlist {
	if m := c.newest.Load(); m != nil && m.version == version && m.base == base {
		return m.playlist
	}
	return nil
}

// MasterPlaylist returns the master playlist (multivariant playlist) with the renditions that
// have a segment. base is the last element of its own path without the extension: a playlist
// at /live/name.m3u8 lists name/source.m3u8 and so on. It blocks like MediaPlaylist.
func (b *HLSBuffer) MasterPlaylist(ctx context.Context, base string) (*Playlist, error) {
	if !ValidName(base) {
		return nil, ErrNotFound
	}
	if err := b.waitStarted(ctx); err != nil {
		return nil, err
	}
	b = b.root()
	version := b.Version()
	if p := b.master.get(version, base); p != nil {
		return p, nil
	}
	b.master.mu.Lock()
	defer b.master.mu.Unlock()
	version = b.Version() // before the views: never call an old playlist a new one
	if p := b.master.get(version, base); p != nil {
		return p, nil
	}
	views := b.variants()
	if len(views) == 0 { // expired in the meantime
		return nil, ErrNotFound
	}
	p := renderMaster(views, base)
	b.master.newest.Store(&renderedMaster{version, base, p})
	return p, nil
}

// variants are the renditions to list: the source, then the largest picture first.
func (b *HLSBuffer) variants() []*view {
	var views []*view
	for _, w := range *b.renditions.Load() {
		if v := w.view.Load(); v.listedInMaster() {
			views = append(views, v)
		}
	}
	height := func(v *view) int {
		if v.info == nil {
			return 0
		}
		return v.info.Height
	}
	slices.SortFunc(views, func(x, y *view) int {
		switch {
		case x.name == Source:
			return -1
		case y.name == Source:
			return 1
		}
		return cmp.Or(cmp.Compare(height(y), height(x)), strings.Compare(x.name, y.name))
	})
	return views
}

func renderMaster(views []*view, base string) *Playlist {
	b := make([]byte, 0, 64+200*len(views))
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:3\n"...)
	independent, ended := true, true
	var modified time.Time
	for _, v := range views {
		independent = independent && (v.resting || v.independent())
		ended = ended && v.ended
		if v.modified.After(modified) {
			modified = v.modified
		}
	}
	if independent {
		b = append(b, independentSegments...)
	}
	for _, v := range views {
		b = append(b, "#EXT-X-STREAM-INF:BANDWIDTH="...)
		b = strconv.AppendUint(b, v.peak, 10)
		b = append(b, ",AVERAGE-BANDWIDTH="...)
		b = strconv.AppendUint(b, v.average, 10)
		if v.info != nil {
			b = v.info.appendAttributes(b)
		}
		b = append(b, '\n')
		b = append(b, base...)
		b = append(b, '/')
		b = append(b, v.name...)
		b = append(b, ".m3u8\n"...)
	}
	return newPlaylist(b, views[0].target, modified, ended)
}

func (i *RenditionInfo) appendAttributes(b []byte) []byte {
	if i.Codecs != "" && !strings.ContainsFunc(i.Codecs, notInQuotedString) {
		b = append(b, `,CODECS="`...)
		b = append(b, i.Codecs...)
		b = append(b, '"')
	}
	if i.Width > 0 && i.Height > 0 {
		b = append(b, ",RESOLUTION="...)
		b = strconv.AppendInt(b, int64(i.Width), 10)
		b = append(b, 'x')
		b = strconv.AppendInt(b, int64(i.Height), 10)
	}
	if i.FrameRate >= 0.0005 && i.FrameRate < 1e6 {
		b = append(b, ",FRAME-RATE="...)
		b = strconv.AppendFloat(b, i.FrameRate, 'f', 3, 64)
	}
	return b
}

func notInQuotedString(r rune) bool { return r < ' ' || r == '"' || r > '~' }
