package cluster

import (
	"slices"

	"github.com/livepeer/lpms/ffmpeg"
)

// need is what a job asks of a worker.
type need struct {
	hevc   bool // to encode HEVC; all encode H.264
	nvidia bool
}

// String is one token of a subject.
func (n need) String() string {
	s := "h264"
	if n.hevc {
		s = "hevc"
	}
	if n.nvidia {
		s += "-nvidia"
	}
	return s
}

// allNeeds are those that there are queues for.
func allNeeds() []need {
	return []need{{}, {hevc: true}, {nvidia: true}, {hevc: true, nvidia: true}}
}

// allLanes are the queues: the live ones first.
func allLanes() (lanes []lane) {
	for _, pushed := range []bool{false, true} {
		for _, n := range allNeeds() {
			lanes = append(lanes, lane{n, pushed})
		}
	}
	return lanes
}

// needOf says what these renditions need.
func needOf(renditions []ffmpeg.Rendition, accel ffmpeg.Acceleration) need {
	n := need{nvidia: accel == ffmpeg.Nvidia}
	for _, r := range renditions {
		encodes := r.Video.Name != "copy" && r.Video.Name != "drop"
		n.hevc = n.hevc || encodes && r.Profile.Encoder == ffmpeg.H265
	}
	return n
}

// can reports whether somebody with these encoders and this acceleration can do what is needed.
func can(n need, encoders []string, accel string) bool {
	return slices.Contains(encoders, "h264") &&
		(!n.hevc || slices.Contains(encoders, "hevc")) &&
		(!n.nvidia || accel == ffmpeg.AccelerationNameLookup[ffmpeg.Nvidia])
}

// lanesOf are the queues that such a worker takes jobs from.
func lanesOf(encoders []string, accel string) []lane {
	return slices.DeleteFunc(allLanes(), func(l lane) bool { return !can(l.need, encoders, accel) })
}
