package cluster

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// errGarbage is a result that is not what was asked for.
var errGarbage = errors.New("cluster: not what was asked for")

var codecsText = regexp.MustCompile(`^[A-Za-z0-9.]{1,40}(,[A-Za-z0-9.]{1,40})?$`)

// Verify checks that out is a rendition of a segment: its container, its tracks, its timestamps and
// how many pictures it has. What the pictures show is not looked at.
func Verify(out *ffmpeg.Output, spec *ffmpeg.Rendition, seg *stream.Segment) error {
	info, err := ffmpeg.Probe(out.Data)
	if err != nil {
		return fmt.Errorf("%w: %w", errGarbage, err)
	}
	source, err := ffmpeg.Probe(seg.Data)
	if err != nil {
		return nil // there is nothing to compare with
	}
	return compare(out, info, source, spec)
}

const (
	// startSlack is how far the first picture may be from that of the source: a rendition with fewer
	// pictures begins with the same one.
	startSlack = 50 * time.Millisecond
	// lengthSlack is by how much the length may differ, beyond a picture of the rendition.
	lengthSlack = 250 * time.Millisecond
	// audioSlack is how far the sound may begin from that of the source: frames of AAC are up to
	// 128 ms long (at 8 kHz), and begin where they do.
	audioSlack = 300 * time.Millisecond
)

// compare judges a result by what was found in it and in the source.
func compare(out *ffmpeg.Output, info, source *ffmpeg.Info, spec *ffmpeg.Rendition) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{errGarbage}, args...)...)
	}
	if !strings.Contains(info.Format, "mpegts") {
		return bad("its container is %s", info.Format)
	}
	if !codecsText.MatchString(out.Info.Codecs) {
		return bad("it is said to have the codecs %.80q", out.Info.Codecs)
	}
	video, from := info.Video(), source.Video()
	wantsVideo := spec.Video.Name != "drop" && from != nil
	switch {
	case wantsVideo != (video != nil):
		return bad("pictures: %v, wanted: %v", video != nil, wantsVideo)
	case video == nil:
	case video.Video.Width != out.Info.Width || video.Video.Height != out.Info.Height:
		return bad("its pictures are %dx%d, said to be %dx%d", video.Video.Width, video.Video.Height, out.Info.Width, out.Info.Height)
	case (video.Start - from.Start).Abs() > startSlack:
		return bad("it begins at %v, the source at %v", video.Start, from.Start)
	case spec.Video.Name != "copy" && !video.Video.StartsWithKey:
		return bad("it begins without a keyframe")
	default:
		if err := compareCount(video, from, spec); err != nil {
			return err
		}
	}
	sound, heard := info.Audio(), source.Audio()
	wantsSound := spec.Audio.Name != "drop" && heard != nil
	switch {
	case wantsSound && sound == nil && heard.Packets > 2, !wantsSound && sound != nil:
		return bad("sound: %v, wanted: %v", sound != nil, wantsSound)
	case sound == nil:
	case (sound.Start - heard.Start).Abs() > audioSlack:
		return bad("its sound begins at %v, that of the source at %v", sound.Start, heard.Start)
	}
	return nil
}

// compareCount checks the number of pictures and how long they last.
func compareCount(video, from *ffmpeg.TrackInfo, spec *ffmpeg.Rendition) error {
	fps := float64(spec.Profile.Framerate) / float64(max(spec.Profile.FramerateDen, 1))
	if spec.Video.Name == "copy" || fps == 0 {
		// Pictures of the source that cannot be decoded are missing.
		if video.Packets > from.Packets+1 || 2*video.Packets < from.Packets {
			return fmt.Errorf("%w: %d pictures of %d", errGarbage, video.Packets, from.Packets)
		}
		return nil
	}
	frame := time.Duration(float64(time.Second) / fps)
	want := from.Duration
	if from.Packets <= 1 || want <= 0 {
		return nil
	}
	got := time.Duration(video.Packets) * frame
	if got > want+2*frame+lengthSlack || got < want/2-2*frame-lengthSlack {
		return fmt.Errorf("%w: %d pictures at %.4g a second for %v", errGarbage, video.Packets, fps, want.Round(time.Millisecond))
	}
	return nil
}
