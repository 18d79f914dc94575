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
func (a *adviser) look(seg *stream.Segment, realtime bool) []string {
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
	keys, reordered := pictures(seg.Data)
	if apart := seg.Duration / time.Duration(max(keys, 1)); video && apart > longGroup {
		rate := seg.Info.FrameRate
		if rate <= 0 {
			rate = 30
		}
		say(&a.keys, "keyframes are %.3g s apart, so viewers start late and are far behind: set the keyframe interval to 2 s (OBS: Keyframe Interval 2 s; ffmpeg: -g %.0f)",
			apart.Seconds(), 2*rate)
	}
	if seg.Info != nil && seg.Info.Codecs != "" && a.media >= enoughMedia && !hasSound(seg.Info.Codecs) {
		say(&a.sound, "there is no sound, and some players wait for it: add an audio track with AAC, a silent one if need be (ffmpeg: -f lavfi -i anullsrc -c:a aac)")
	}
	if realtime && video && reordered {
		say(&a.order, "B-frames delay low-latency playback: turn them off (OBS: Tune zerolatency, or B-frames 0; ffmpeg: -tune zerolatency, or -bf 0)")
	}
	return a.said[before:]
}

// hasSound reports whether one of the codecs, as RFC 6381 names them, is one of sound.
func hasSound(codecs string) bool {
	for name := range strings.SplitSeq(codecs, ",") {
		switch kind, _, _ := strings.Cut(name, "."); kind {
		case "mp4a", "ac-3", "ec-3", "mp3", "opus":
			return true
		}
	}
	return false
}

// pictures counts the keyframes of a transport stream, and reports whether a picture is shown
// at another time than it is decoded. Both stand in front of each picture: as the mark of
// random access, and as two times in its PES header in place of one (ISO 13818-1, sections
// 2.4.3.5 and 2.4.3.7).
func pictures(ts []byte) (keys int, reordered bool) {
	const packet = 188
	for ; len(ts) >= packet; ts = ts[packet:] {
		p := ts[:packet]
		if p[0] != 0x47 || p[1]&0x40 == 0 || p[3]&0x10 == 0 {
			continue
		}
		at, key := 4, false
		if p[3]&0x20 != 0 {
			at += 1 + int(p[4])
			key = p[4] > 0 && p[5]&0x40 != 0
		}
		if at+8 > packet {
			continue
		}
		pes := p[at:]
		if pes[0] != 0 || pes[1] != 0 || pes[2] != 1 || pes[3]>>4 != 0xe {
			continue
		}
		if key {
			keys++
		}
		reordered = reordered || pes[7]>>6 == 3
	}
	return keys, reordered
}

// arrival measures how late media comes in, beyond what came earliest in the last minutes:
// what the publisher and the network add. The clocks of both sides drift apart, so older
// minutes do not count.
type arrival struct {
	earliest [2]time.Duration // of the wall clock minus that of the stream: before, and now
	begun    time.Time        // when the newer one began; zero before the first
}

// arrivalTime is how long one minimum is taken.
const arrivalTime = 2 * time.Minute

// late takes a segment into account.
func (a *arrival) late(seg *stream.Segment) time.Duration {
	offset := time.Duration(seg.Arrived.UnixNano()) - seg.Start - seg.Duration
	switch {
	case a.begun.IsZero() || seg.Discontinuity:
		a.earliest, a.begun = [2]time.Duration{offset, offset}, seg.Arrived
	case seg.Arrived.Sub(a.begun) > arrivalTime:
		a.earliest, a.begun = [2]time.Duration{a.earliest[1], offset}, seg.Arrived
	}
	a.earliest[1] = min(a.earliest[1], offset)
	return offset - min(a.earliest[0], a.earliest[1])
}
