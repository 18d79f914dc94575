package cluster

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
)

var (
	// errGarbage is a result that no segment can be the reason of.
	errGarbage = errors.New("cluster: garbage")
	// errMismatch is a result that does not fit the segment. A segment that is broken may be the
	// reason, so it is held against a worker only when another one did better.
	errMismatch = errors.New("cluster: it does not fit the segment")
)

func garbage(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errGarbage}, args...)...)
}

func mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errMismatch}, args...)...)
}

// codecsText is what may stand in a playlist (RFC 6381); nothing is fine.
var codecsText = regexp.MustCompile(`^([A-Za-z0-9.-]{1,40}(,[A-Za-z0-9.-]{1,40})?)?$`)

const (
	// startSlack is how far the first picture may be from that of the source: a rendition with fewer
	// pictures begins with the same one.
	startSlack = 50 * time.Millisecond
	// lengthSlack is by how much the length may differ, beyond some pictures of the rendition.
	lengthSlack = 250 * time.Millisecond
	// soundSlack is how far the sound may begin from that of the source: encoded sound is joined, and begins
	// up to three frames earlier, of 128 ms at 8 kHz.
	soundSlack = 600 * time.Millisecond
	// fewUnits is so little sound that an encoder may make nothing of it.
	fewUnits = 2
	// deepEvery is how many results of a rendition are taken for each that is looked into.
	deepEvery = 16
)

// compare judges a rendition by what its packets and those of the source say: its tracks, its
// timestamps and how many pictures it has.
func compare(made, source *ffmpeg.TSSummary, spec *ffmpeg.Rendition) error {
	wantsVideo := spec.Video.Name != "drop" && source.Video != nil
	switch {
	case wantsVideo != (made.Video != nil):
		return mismatch("pictures: %v, wanted: %v", made.Video != nil, wantsVideo)
	case wantsVideo:
		if err := comparePictures(made.Video, source.Video, spec); err != nil {
			return err
		}
	}
	wantsSound := spec.Audio.Name != "drop" && source.Audio != nil
	switch {
	case wantsSound && made.Audio == nil && source.Audio.Units > fewUnits, !wantsSound && made.Audio != nil:
		return mismatch("sound: %v, wanted: %v", made.Audio != nil, wantsSound)
	case wantsSound && made.Audio != nil && made.Audio.Units > 0 && apart(made.Audio.Start, source.Audio.Start) > soundSlack:
		return mismatch("its sound begins at %v, that of the source at %v", made.Audio.Start, source.Audio.Start)
	}
	return nil
}

func comparePictures(made, source *ffmpeg.TSTrack, spec *ffmpeg.Rendition) error {
	codec := map[ffmpeg.VideoCodec]string{ffmpeg.H264: "h264", ffmpeg.H265: "hevc"}[spec.Profile.Encoder]
	copied := spec.Video.Name == "copy"
	if copied {
		codec = source.Codec
	}
	switch {
	case made.Codec != codec:
		return mismatch("its pictures are %s, not %s", made.Codec, codec)
	case made.Units == 0:
		return mismatch("it has no pictures")
	case !source.Key:
		return nil // what cannot be decoded alone may be missing
	case apart(made.Start, source.Start) > startSlack:
		return mismatch("it begins at %v, the source at %v", made.Start, source.Start)
	case !copied && !made.Key:
		return mismatch("it begins without a keyframe")
	}
	fps := float64(spec.Profile.Framerate) / float64(max(spec.Profile.FramerateDen, 1))
	if copied || fps == 0 {
		if made.Units > source.Units+1 || made.Units < source.Units-1 {
			return mismatch("%d pictures of %d", made.Units, source.Units)
		}
		return nil
	}
	frame := time.Duration(float64(time.Second) / fps)
	want := apart(source.Last, source.Start)
	if got := time.Duration(made.Units) * frame; got > want+3*frame+lengthSlack || got < want-2*frame-lengthSlack {
		return mismatch("%d pictures at %.4g a second for %v", made.Units, fps, want.Round(time.Millisecond))
	}
	return nil
}

// apart is the distance of two times that are written modulo 2^33 at 90 kHz.
func apart(a, b time.Duration) time.Duration {
	const turn = (1 << 33) * time.Second / 90000
	d := (a - b).Abs() % turn
	return min(d, turn-d)
}

// look decodes the first pictures of a rendition, and checks that it is what its worker says.
func look(out *ffmpeg.Output, spec *ffmpeg.Rendition) error {
	info, err := ffmpeg.Probe(out.Data)
	if err != nil {
		return mismatch("%v", err)
	}
	v := info.Video()
	switch {
	case !codecsText.MatchString(out.Info.Codecs):
		return garbage("it is said to have the codecs %.80q", out.Info.Codecs)
	case !(out.Info.FrameRate >= 0 && out.Info.FrameRate < 1000): // also not a number
		return garbage("it is said to have %v pictures a second", out.Info.FrameRate)
	case v == nil:
	case v.Video.Width != out.Info.Width || v.Video.Height != out.Info.Height:
		return mismatch("its pictures are %dx%d, said to be %dx%d", v.Video.Width, v.Video.Height, out.Info.Width, out.Info.Height)
	case v.Video.PixFormat.RawValue == ffmpeg.PixelFormatNone && spec.Video.Name != "copy":
		return mismatch("its pictures cannot be decoded")
	}
	return nil
}

// looked is what was found in results of one rendition.
type looked struct {
	info  ffmpeg.OutputInfo
	count int
}

// check judges a result. What a worker says of a rendition is looked into when it says something
// new, and now and then.
func (t *task) check(r *result) error {
	if t.have[r.rendition] {
		return nil // another one was first
	}
	if f := t.origin.opts.Check; f != nil {
		r.err = f(&r.out, &t.specs[r.rendition], t.in.Segment)
		return r.err
	}
	r.err = t.verify(r)
	return r.err
}

func (t *task) verify(r *result) error {
	spec := &t.specs[r.rendition]
	made, err := ffmpeg.SummarizeTS(r.out.Data)
	if err != nil {
		return garbage("%v", err)
	}
	if t.source == nil {
		if t.source, err = ffmpeg.SummarizeTS(t.in.Segment.Data); err != nil {
			return look(&r.out, spec) // there is nothing to compare with
		}
	}
	r.summary = made
	if err := compare(made, t.source, spec); err != nil && !t.agreed(r) {
		return err
	}
	if !t.due(r) {
		return nil
	}
	if err := look(&r.out, spec); err != nil {
		return err
	}
	t.note(r)
	return nil
}

// agreed reports whether another attempt had the same result: then it is the segment that is broken.
func (t *task) agreed(r *result) bool {
	return slices.ContainsFunc(t.suspects, func(s suspect) bool {
		return s.rendition == r.rendition && reflect.DeepEqual(s.summary, r.summary)
	})
}

// due reports whether a result is to be looked into.
func (s *session) due(r *result) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looked == nil {
		s.looked = make([]looked, len(s.specs))
	}
	l := &s.looked[r.rendition]
	l.count++
	return l.info != r.out.Info || l.count%deepEvery == 0
}

// note remembers what was found to be true.
func (s *session) note(r *result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked[r.rendition].info = r.out.Info
}
