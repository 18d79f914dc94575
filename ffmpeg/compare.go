package ffmpeg

import (
	"slices"
	"time"
)

const (
	// sameBrightness is how far two encodings of one video are apart at most. Of real
	// transcodes, to 100 kbit/s and 256x144, the worst were at 2.4 of 255, and different
	// videos at 12 and more.
	sameBrightness = 6.0
	// A video that fits clearly better when it is moved is another part of the same one.
	signatureMoves = 2 * time.Second
	signatureMove  = 100 * time.Millisecond
)

// CompareSignatureByBuffer reports whether two signatures, made by TranscodeOptions.CalcSign,
// are of the same video: the same pictures at the same times, whatever their size, rate and
// quality. What is no signature is ErrFormat; those of the published LPMS are none.
//
// A signature is small and knows the brightness of 64 places only. It finds the wrong video,
// a missing part and a shift in what moves; it is no proof against somebody who makes a
// video to deceive it.
func CompareSignatureByBuffer(data1 []byte, data2 []byte) (bool, error) {
	a, err := parseSignature(data1)
	if err != nil {
		return false, err
	}
	b, err := parseSignature(data2)
	if err != nil {
		return false, err
	}
	return sameSignature(a, b), nil
}

func sameSignature(a, b []signedPicture) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	endA, stepA := extent(a)
	endB, stepB := extent(b)
	if max(endA-endB, endB-endA) > signatureMove+max(stepA, stepB) {
		return false
	}
	d, _ := distance(a, b, 0)
	if d > sameBrightness {
		return false
	}
	for move := signatureMove; move <= signatureMoves; move += signatureMove {
		for _, offset := range []time.Duration{move, -move} {
			if moved, n := distance(a, b, offset); n > len(a)/4 && 2*moved+0.5 < d {
				return false
			}
		}
	}
	return true
}

// extent is where the last picture ends, about, and how long one is shown on average.
func extent(ps []signedPicture) (end, step time.Duration) {
	last := ps[len(ps)-1].at
	if len(ps) > 1 {
		step = last / time.Duration(len(ps)-1)
	}
	return last + step, step
}

// CompareVideoByBuffer reports whether two media files hold equivalent media: tracks of the
// same codecs and picture sizes, with as many packets, at the same times. It does not look
// at the pictures. A file that cannot be read is an error, see Probe.
func CompareVideoByBuffer(data1 []byte, data2 []byte) (bool, error) {
	a, err := outline(data1)
	if err != nil {
		return false, err
	}
	b, err := outline(data2)
	if err != nil {
		return false, err
	}
	return slices.EqualFunc(a, b, func(a, b trackOutline) bool {
		return a.codec == b.codec && a.width == b.width && a.height == b.height && slices.Equal(a.times, b.times)
	}), nil
}

// trackOutline is what of a track must be the same.
type trackOutline struct {
	codec         string
	width, height int
	times         []clock // of presentation, in order
}

func outline(data []byte) ([]trackOutline, error) {
	info, err := Probe(data)
	if err != nil {
		return nil, err
	}
	d, err := openDemuxer(Input{Data: data})
	if err != nil {
		return nil, err
	}
	defer d.close()
	times := make(map[int][]clock)
	// Tables of a file can name the same bytes over and over.
	for left := len(data) + 1<<15; left > 0; {
		u, err := d.next()
		if err != nil {
			break // the end, or the end of what can be read
		}
		times[u.track] = append(times[u.track], u.pts)
		left -= len(u.data)
	}
	var tracks []trackOutline
	for i, t := range d.tracks {
		if (!t.video && !t.audio) || len(tracks) == len(info.Tracks) {
			continue
		}
		about := info.Tracks[len(tracks)] // in the same order
		o := trackOutline{codec: about.Codec, times: times[i]}
		if about.Video != nil {
			o.width, o.height = about.Video.Width, about.Video.Height
		}
		slices.Sort(o.times)
		tracks = append(tracks, o)
	}
	return tracks, nil
}
