package segmenter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nareix/joy4/codec/aacparser"
	"github.com/nareix/joy4/codec/h264parser"

	"github.com/livepeer/lpms/internal/codec"
	"github.com/livepeer/lpms/stream"
)

const (
	// DefaultTarget is the wanted duration of a segment.
	DefaultTarget = 2 * time.Second
	// DefaultMaxGOP and DefaultMaxBytes end a group of pictures that has no end.
	DefaultMaxGOP   = 30 * time.Second
	DefaultMaxBytes = 64 << 20
)

// Options of New. The zero value is a sound default.
type Options struct {
	// Target is the wanted duration of a segment; the source's keyframes decide.
	// Default 2 s. Much below 1 s makes playlists that change too often for the
	// rules; much above 6 s makes viewers wait.
	Target time.Duration
	// MaxGOP and MaxBytes end a segment whose group of pictures does not; the next
	// is then not independent, and its playlist says so. Defaults 30 s, 64 MiB.
	MaxGOP   time.Duration
	MaxBytes int
}

// Segmenter fills the source rendition of one presentation.
type Segmenter struct {
	dst    *stream.HLSBuffer
	reader *stream.Reader
	plan   *planner
	opts   Options
	stats  Stats

	seg     segment
	idrs    int           // how many there were
	brk     bool          // the clock broke: the next keyframe starts a segment
	keyint  int           // the longest group in frames, as the encoder says; 0 unknown
	frame   time.Duration // the distance of video frames
	lastDTS time.Duration // of video
	cutTime time.Duration // where the last segment ends
	out     output

	// Wall clock: the arrival of one packet and its time.
	wall    time.Time
	wallAt  time.Duration
	arrival int64 // of the newest packet
}

// segment is the one being gathered. The next one inherits its tracks.
type segment struct {
	packets     []stream.Packet
	bytes       int
	video       *h264parser.CodecData // nil without video
	audio       *aacparser.CodecData
	begun       bool
	start       time.Duration
	end         time.Duration // of the last frame, by presentation
	independent bool
	brk         bool          // an encoding break precedes it
	frames      int           // of video
	firstDTS    time.Duration // of video
	videoEnd    time.Duration // of the last picture shown
}

// Stats counts what a segmenter has done.
type Stats struct {
	Segments       uint64
	NotIndependent uint64
	// Dropped packets: video before the first keyframe, and packets that the muxer
	// refuses because their bytes are not what their track says.
	Dropped uint64
}

// New makes a segmenter that reads src from the oldest packet that it holds. Run must
// be called; it frees what New has taken.
func New(src *stream.VideoStream, dst *stream.HLSBuffer, o Options) *Segmenter {
	if o.Target <= 0 {
		o.Target = DefaultTarget
	}
	if o.MaxGOP <= 0 {
		o.MaxGOP = DefaultMaxGOP
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	return &Segmenter{
		dst:    dst,
		reader: src.NewReader(stream.ReaderOptions{Lossless: true, Lazy: 500 * time.Millisecond}),
		plan:   newPlanner(o.Target, max(o.MaxGOP, o.Target), dst.TargetDuration()),
		opts:   o,
	}
}

// Run segments until the stream ends, and returns nil then, or until ctx ends or the
// presentation refuses a segment. The last, partial segment is appended in each case.
// It does not end the presentation.
func (s *Segmenter) Run(ctx context.Context) error {
	defer s.reader.Close()
	defer s.out.close()
	batch := make([]stream.Packet, 16) // on the stack of each publisher
	for {
		n, err := s.reader.Read(ctx, batch)
		if err != nil {
			last := s.last()
			if errors.Is(err, io.EOF) {
				return last
			}
			return errors.Join(err, last)
		}
		for i := range batch[:n] {
			if err := s.add(&batch[i]); err != nil {
				return err
			}
		}
		clear(batch[:n])
	}
}

// Stats is for the goroutine of Run, or after it.
func (s *Segmenter) Stats() Stats { return s.stats }

// add puts a packet into the open segment, after a cut when it belongs to the next.
func (s *Segmenter) add(p *stream.Packet) error {
	s.arrival = p.Arrival
	s.brk = s.brk || p.Discontinuity || p.Gap
	if p.Audio {
		return s.addAudio(p)
	}
	return s.addVideo(p)
}

func (s *Segmenter) addVideo(p *stream.Packet) error {
	config, ok := p.Headers.Video.(h264parser.CodecData)
	if !ok {
		return fmt.Errorf("segmenter: video codec %v is not supported", p.Headers.Video.Type())
	}
	nalSize := int(config.RecordInfo.LengthSizeMinusOne) + 1
	idr := p.IsKeyFrame && codec.HasIDR(p.Data, nalSize)
	if idr {
		s.idrs++
	}
	if s.idrs == 0 {
		s.stats.Dropped++ // nobody could show it
		return nil
	}
	// With open groups of pictures only the first keyframe is an IDR. The others are
	// where such a stream can be cut, and its segments are not independent.
	key := idr || p.IsKeyFrame && s.idrs == 1
	pts := p.PTS()
	appears := s.seg.video == nil && s.stats.Segments > 0
	changed := appears || s.seg.video != nil && !bytes.Equal(s.seg.video.Record, config.Record)
	due := key && s.plan.keyframe(pts) && s.worthCutting(pts)
	if due || changed || s.brk && key || s.plan.mustCut(pts+s.frame) || s.seg.bytes+len(p.Data) > s.opts.MaxBytes {
		if err := s.cutAt(s.boundary(pts, idr)); err != nil {
			return err
		}
	}
	if changed || s.brk && key {
		s.seg.brk, s.brk = true, false
	}
	s.seg.video = &config
	if s.stats.Segments == 0 && s.seg.frames == 0 {
		s.keyint, _, _ = codec.X264Keyint(p.Data, nalSize)
	}
	if s.seg.frames == 0 {
		s.firstFrame(p, idr)
	}
	s.seg.frames++
	s.measure(p.Time)
	s.seg.videoEnd = max(s.seg.videoEnd, pts+s.frame)
	s.push(p, pts+s.frame)
	return nil
}

// worthCutting reports whether there is something to cut before a keyframe: a picture, or,
// behind the first segment, sound of its own while the picture was away. Sound in front of
// the very first picture belongs to its segment.
func (s *Segmenter) worthCutting(pts time.Duration) bool {
	return s.seg.frames > 0 || s.stats.Segments > 0 && pts-s.seg.start > small
}

// boundary is where the segment ends when the next begins with a picture at pts in the
// order of decoding. Before an IDR every picture is shown earlier. Before another, some
// that follow are shown earlier than it: the boundary is where the last one shown ends.
func (s *Segmenter) boundary(pts time.Duration, idr bool) time.Duration {
	if end := s.seg.videoEnd; !idr && s.seg.frames > 0 && end < pts && pts-end <= reorder {
		return end
	}
	return pts
}

// measure updates the distance of frames: the mean of the segment, or, for its first
// frame when nothing is known, the distance to the last.
func (s *Segmenter) measure(dts time.Duration) {
	switch step := dts - s.lastDTS; {
	case s.seg.frames > 1:
		s.frame = (dts - s.seg.firstDTS) / time.Duration(s.seg.frames-1)
	case s.frame == 0 && s.lastDTS > 0 && step < hole:
		s.frame = step
	}
	s.lastDTS = dts
}

// firstFrame begins the segment at its first picture. The first segment of all begins
// there even when it has sound from before, as behind a relay that joined in the middle
// of a group: its duration is that of its pictures.
func (s *Segmenter) firstFrame(p *stream.Packet, idr bool) {
	if !s.seg.begun || s.stats.Segments == 0 {
		s.begin(p.PTS())
	}
	s.seg.independent = idr
	s.seg.firstDTS = p.Time
}

func (s *Segmenter) addAudio(p *stream.Packet) error {
	config, ok := p.Headers.Audio.(aacparser.CodecData)
	if !ok {
		return fmt.Errorf("segmenter: audio codec %v is not supported", p.Headers.Audio.Type())
	}
	alone := p.Headers.Video == nil || s.seg.video == nil && s.seg.begun && p.Time-s.seg.start > patience
	changed := s.seg.audio != nil && !bytes.Equal(s.seg.audio.ConfigBytes, config.ConfigBytes)
	brk := changed || alone && s.brk
	switch {
	case brk || alone && s.plan.timeToCut(p.Time):
		if err := s.cutAt(p.Time); err != nil {
			return err
		}
	case s.plan.mustCut(p.Time+audioStep(&config)) && p.Time-s.lastDTS > stalled:
		// The picture stands still and the sound goes on.
		if err := s.cutAt(p.Time); err != nil {
			return err
		}
	}
	if brk {
		s.seg.brk, s.brk = true, false
	}
	if s.seg.audio == nil {
		// The segment is muxed at its end, so sound that comes late is in it; but the
		// segments before had none.
		s.seg.brk = s.seg.brk || s.stats.Segments > 0
	}
	s.seg.audio = &config
	if !s.seg.begun {
		s.begin(p.Time)
		s.seg.independent = alone
	}
	s.push(p, p.Time+audioStep(&config))
	return nil
}

const (
	// patience is how long a video header may be there without a picture before the
	// stream is taken for audio alone.
	patience = 3 * time.Second
	// stalled is how far audio may be ahead of video before video is late.
	stalled = time.Second
	// hole is how much time may pass without media before it counts as a break.
	hole = time.Second
	// reorder is how far decoding and showing may be apart.
	reorder = 500 * time.Millisecond
	// small is what may be missing between two segments without a break.
	small = 200 * time.Millisecond
)

// cutAt cuts before a packet at the given time. When that is too far from the start of
// the segment, because a track stands still or the publisher's time jumps, what was
// gathered is cut at the target duration first.
func (s *Segmenter) cutAt(at time.Duration) error {
	for len(s.seg.packets) > 0 && at-s.seg.start > s.plan.limit() {
		if err := s.split(s.seg.start + s.plan.limit() - slack); err != nil {
			return err
		}
	}
	return s.cut(at)
}

// split cuts at a time that has passed: audio behind it goes to the next segment.
func (s *Segmenter) split(at time.Duration) error {
	var rest []stream.Packet
	var end time.Duration
	s.seg.packets = slices.DeleteFunc(s.seg.packets, func(q stream.Packet) bool {
		if q.Audio && q.Time >= at {
			rest = append(rest, q)
			return true
		}
		end = max(end, s.endOf(&q))
		return false
	})
	s.seg.end = end
	if err := s.cut(at); err != nil {
		return err
	}
	if len(rest) > 0 {
		if s.seg.brk {
			at = rest[0].Time
		}
		s.begin(at)
		s.seg.independent = false
	}
	for i := range rest {
		s.push(&rest[i], s.endOf(&rest[i]))
	}
	return nil
}

// endOf is when the frame of a packet ends.
func (s *Segmenter) endOf(p *stream.Packet) time.Duration {
	if p.Audio {
		return p.Time + audioStep(s.seg.audio)
	}
	return p.PTS() + s.frame
}

// begin opens the segment at its first frame. Where the last segment ended earlier, the
// little that is missing counts to this one, and more is a break.
func (s *Segmenter) begin(pts time.Duration) {
	if gap := pts - s.cutTime; s.stats.Segments > 0 && !s.seg.brk && gap > 0 {
		if gap > small {
			s.seg.brk = true
		} else {
			pts = s.cutTime
		}
	}
	s.seg.begun, s.seg.start = true, pts
	s.plan.open(pts)
}

func (s *Segmenter) push(p *stream.Packet, end time.Duration) {
	if s.wall.IsZero() || s.seg.brk && len(s.seg.packets) == 0 {
		s.wall, s.wallAt = time.Unix(0, p.Arrival), p.PTS()
	}
	s.seg.packets = append(s.seg.packets, *p)
	s.seg.bytes += len(p.Data)
	s.seg.end = max(s.seg.end, end)
}

// last cuts what is left when the stream has ended.
func (s *Segmenter) last() error { return s.cutAt(s.seg.end) }

// cut ends the open segment at the given time, which is where the next begins, and
// appends it to the presentation. An empty segment is nothing. Time without media at its
// end is not counted, and makes a break.
func (s *Segmenter) cut(at time.Duration) error {
	seg := &s.seg
	if len(seg.packets) == 0 {
		return nil
	}
	broken := at-seg.end > hole
	if broken {
		at = seg.end
	}
	d := min(max(at-seg.start, time.Millisecond), s.plan.limit())
	if s.plan.target == 0 {
		s.plan.announce(time.Duration(s.keyint) * s.frame)
	}
	target := s.plan.cut(d)
	if s.stats.Segments == 0 && s.dst.TargetDuration() == 0 {
		if err := s.dst.SetTargetDuration(target); err != nil {
			return err
		}
	}
	data, refused, err := s.out.mux(seg)
	s.stats.Dropped += uint64(refused)
	if err != nil {
		return err
	}
	s.cutTime = seg.start + d
	next := segment{packets: seg.packets[:0], video: seg.video, audio: seg.audio, brk: broken || len(data) == 0}
	if len(data) > 0 {
		err = s.append(seg, data, d)
	}
	clear(seg.packets)
	s.seg = next
	return err
}

func (s *Segmenter) append(seg *segment, data []byte, d time.Duration) error {
	s.stats.Segments++
	if !seg.independent {
		s.stats.NotIndependent++
	}
	_, err := s.dst.Append(stream.Source, stream.Segment{
		Data:          data,
		Start:         seg.start,
		Duration:      d,
		ProgramTime:   s.wall.Add(seg.start - s.wallAt),
		Arrived:       arrived(s.arrival),
		Discontinuity: seg.brk,
		Independent:   seg.independent,
		Info:          s.out.describe(seg, s.frame),
	})
	return err
}

// arrived is a time of Packet.Arrival.
func arrived(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

func audioStep(c *aacparser.CodecData) time.Duration {
	if c == nil || c.Config.SampleRate <= 0 {
		return 0
	}
	return 1024 * time.Second / time.Duration(c.Config.SampleRate)
}
