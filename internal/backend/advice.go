package backend

import (
	"fmt"
	"strings"
	"time"

	"github.com/livepeer/lpms/stream"
)

// adviser finds settings of a publisher that hurt its viewers. Each is said once.
type adviser struct {
	segments int
	media    time.Duration
	said     []string
	keys     bool
	sound    bool
	order    bool
}

const (
	// longGroup is a distance of keyframes that makes viewers wait.
	longGroup = 4 * time.Second
	// enoughMedia is how much of a stream tells whether it has sound.
	enoughMedia = 4 * time.Second
)

// look takes a segment of the source into account, and returns what is new to say.
func (a *adviser) look(seg *stream.Segment, realtime bool, target time.Duration) []string {
	before := len(a.said)
	say := func(once *bool, format string, args ...any) {
		if !*once {
			*once = true
			a.said = append(a.said, fmt.Sprintf(format, args...))
		}
	}
	a.segments++
	a.media += seg.Duration
	video := seg.Info != nil && seg.Info.Width > 0
	if video && seg.Duration > max(longGroup, target+target/2) {
		rate := seg.Info.FrameRate
		if rate <= 0 {
			rate = 30
		}
		say(&a.keys, "keyframes are %.3g s apart, so viewers start late and are far behind: set the keyframe interval to 2 s (OBS: Keyframe Interval 2 s; ffmpeg: -g %.0f)",
			seg.Duration.Seconds(), 2*rate)
	}
	if seg.Info != nil && seg.Info.Codecs != "" && a.media >= enoughMedia && !strings.Contains(seg.Info.Codecs, "mp4a") {
		say(&a.sound, "there is no sound, and some players wait for it: add an audio track with AAC, a silent one if need be (ffmpeg: -f lavfi -i anullsrc -c:a aac)")
	}
	if realtime && video && reorders(seg.Data) {
		say(&a.order, "B-frames delay low-latency playback: turn them off (OBS: Tune zerolatency, or B-frames 0; ffmpeg: -tune zerolatency, or -bf 0)")
	}
	return a.said[before:]
}

// reorders reports whether a picture of a transport stream is shown at another time than it
// is decoded: its PES header then has both times (ISO 13818-1, section 2.4.3.7).
func reorders(ts []byte) bool {
	const packet = 188
	for ; len(ts) >= packet; ts = ts[packet:] {
		p := ts[:packet]
		if p[0] != 0x47 || p[1]&0x40 == 0 || p[3]&0x10 == 0 {
			continue
		}
		at := 4
		if p[3]&0x20 != 0 {
			at += 1 + int(p[4])
		}
		if at+8 > packet {
			continue
		}
		pes := p[at:]
		if pes[0] == 0 && pes[1] == 0 && pes[2] == 1 && pes[3]>>4 == 0xe && pes[7]>>6 == 3 {
			return true
		}
	}
	return false
}

// arrival measures how late media comes in, beyond what came earliest: what the publisher
// and the network add.
type arrival struct {
	known    bool
	earliest time.Duration // of the wall clock minus that of the stream
}

// late takes a segment into account.
func (a *arrival) late(seg *stream.Segment) time.Duration {
	offset := time.Duration(seg.Arrived.UnixNano()) - seg.Start - seg.Duration
	if !a.known || seg.Discontinuity || offset < a.earliest {
		a.known, a.earliest = true, offset
	}
	return offset - a.earliest
}
