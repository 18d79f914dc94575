package clusterbench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/stream"
)

// media is what stands for it: segments are a piece of the pattern, and so are results behind a mark
// that says what they are results of.
type media struct {
	opts    *Options
	pattern []byte // never changes
}

func newMedia(o *Options) *media {
	p := make([]byte, max(o.Size, o.Result))
	x := uint32(1)
	for i := range p { // it looks random, so that nothing on the way gains by its being simple
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return &media{o, p}
}

// segment is one of a stream. All share their bytes. Its number is another one in each stream.
func (m *media) segment(of, n int) *stream.Segment {
	return &stream.Segment{
		Seq: uint64(of)<<32 | uint64(n), Data: m.pattern[:m.opts.Size],
		Start: time.Duration(n) * m.opts.Segment, Duration: m.opts.Segment, Independent: true,
	}
}

// ladder are the renditions; the name of each is its number.
func (m *media) ladder() (all []ffmpeg.Rendition) {
	for i := range m.opts.Renditions {
		all = append(all, ffmpeg.Rendition{Profile: ffmpeg.VideoProfile{Name: strconv.Itoa(i), Resolution: "640x360", Bitrate: "400k", Framerate: 30}})
	}
	return all
}

// markSize is that of the mark in front of a result: the number of the segment and of the rendition.
const markSize = 9

func mark(b []byte, seq uint64, rendition string) {
	binary.BigEndian.PutUint64(b, seq)
	b[8] = rendition[0]
}

var errMedia = errors.New("clusterbench: what came is not what was sent")

// work is a cluster.Work.
func (m *media) work(ctx context.Context, in cluster.Segment, done func(int, ffmpeg.Output)) error {
	if !bytes.Equal(in.Data, m.pattern[:m.opts.Size]) {
		return errMedia
	}
	if m.opts.Work > 0 {
		end := time.NewTimer(m.opts.Work)
		defer end.Stop()
		select {
		case <-end.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for i, r := range in.Renditions {
		data := make([]byte, m.opts.Result)
		copy(data, m.pattern)
		mark(data, in.Seq, r.Profile.Name)
		done(i, ffmpeg.Output{Data: data, Duration: in.Length, Info: ffmpeg.OutputInfo{Codecs: "avc1.42c01e", Width: 640, Height: 360, FrameRate: 30}})
	}
	return nil
}

// check judges a result, for cluster.OriginOptions.
func (m *media) check(out *ffmpeg.Output, spec *ffmpeg.Rendition, seg *stream.Segment) error {
	var want [markSize]byte
	mark(want[:], seg.Seq, spec.Profile.Name)
	switch {
	case len(out.Data) != m.opts.Result:
		return fmt.Errorf("%w: %d bytes of %d", errMedia, len(out.Data), m.opts.Result)
	case !bytes.Equal(out.Data[:markSize], want[:]), !bytes.Equal(out.Data[markSize:], m.pattern[markSize:m.opts.Result]):
		return errMedia
	}
	return nil
}
