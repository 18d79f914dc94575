package ffmpeg

import (
	"bytes"
	"cmp"
	"context"
	"math/cmplx"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// alone transcodes segments with a Ladder for each, as on different machines, and joins what comes
// of each rendition. before gives what is known of the segments before segment i.
func alone(t testing.TB, opts LadderOptions, segments [][]byte, before func(i int) []byte) [][]byte {
	t.Helper()
	all := make([][]byte, len(opts.Renditions))
	for i, s := range segments {
		l, err := NewLadder(opts)
		require.NoError(t, err)
		in := Input{Data: s, Discontinuity: i == 0}
		if i > 0 {
			in.Before = before(i)
		}
		res, err := l.Transcode(t.Context(), in, nil)
		l.Close()
		require.NoError(t, err)
		for j, o := range res.Outputs {
			require.NoError(t, o.Err)
			all[j] = append(all[j], o.Data...)
		}
	}
	return all
}

// waver measures how far a file's sine of 440 Hz is from a perfect one: the largest difference of amplitude and
// phase from that at the beginning, as a part of it.
func waver(t testing.TB, data []byte) (worst float64) {
	t.Helper()
	all := sineWaves(t, data)
	const edge = 100 // half a second, in which the codec fades
	for _, w := range all[edge : len(all)-edge] {
		worst = max(worst, cmplx.Abs(w/all[edge]-1))
	}
	return worst
}

func nothing(int) []byte { return nil }

// Sound that Ladders encode which know one segment each, and the end of the sound before it, is the
// sound that one Ladder makes of the whole: the same frames, and no blip.
func TestBeforeSound(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		sound  map[string]string
		offset string
		tail   time.Duration
	}{
		"44.1 kHz":               {source: "-c:a aac -ar 44100", sound: map[string]string{"b": "128k"}},
		"48 kHz":                 {source: "-c:a aac -ar 48000", sound: map[string]string{"b": "128k"}},
		"mono, 32 kbit/s":        {source: "-c:a aac -ar 48000", sound: map[string]string{"b": "32k", "ac": "1"}},
		"48 to 22.05 kHz":        {source: "-c:a aac -ar 48000", sound: map[string]string{"b": "64k", "ar": "22050", "ac": "1"}},
		"22.05 to 48 kHz":        {source: "-c:a aac -ar 22050", sound: map[string]string{"b": "96k", "ar": "48000"}},
		"48 kHz to LightAudio":   {source: "-c:a aac -ar 48000", sound: LightAudio().Opts, tail: 600 * time.Millisecond},
		"44.1 kHz to LightAudio": {source: "-c:a aac -ar 44100", sound: LightAudio().Opts, tail: 600 * time.Millisecond},
		"half a sample":          {source: "-c:a aac -ar 44100", sound: map[string]string{"b": "96k", "ar": "48000"}, offset: "20.123459"},
		"MP3":                    {source: "-c:a libmp3lame -ar 48000", sound: map[string]string{"b": "96k"}},
		"at the wrap":            {source: "-c:a aac -ar 44100", sound: map[string]string{"b": "96k"}, offset: "95439.7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			segments := pieces(t, smallVideo+sine+"-t 8 "+fastX264+"-g 60 -keyint_min 60 -sc_threshold 0 -b:a 128k -ac 2 "+c.source+
				" -output_ts_offset "+cmp.Or(c.offset, "20.1234567"))
			audio := AudioOnly("sound", ComponentOptions{Name: "aac", Opts: c.sound})
			want := joined(t, ladder(t, LadderOptions{Continuous: true, Renditions: []Rendition{audio}}), segments)[0]
			opts := LadderOptions{Joined: true, Renditions: []Rendition{audio}}
			without := alone(t, opts, segments, nothing)[0]
			withTail := alone(t, opts, segments, func(i int) []byte {
				tail, err := SoundTail(segments[i-1], cmp.Or(c.tail, 300*time.Millisecond))
				require.NoError(t, err)
				return tail
			})[0]
			withAll := alone(t, opts, segments, func(i int) []byte { return segments[i-1] })[0]

			for _, got := range [][]byte{without, withTail, withAll} {
				requireTimes(t, soundTimes(t, want), soundTimes(t, got))
			}
			ideal, blip := waver(t, want), waver(t, without)
			t.Logf("in one go %.4f, without %.4f", ideal, blip)
			require.Greater(t, blip, ideal+0.2, "the measure does not see a blip")
			for _, got := range [][]byte{withTail, withAll} {
				worst := waver(t, got)
				t.Logf("with %.4f", worst)
				require.Less(t, worst, ideal+0.02)
			}
		})
	}
}

// soundTimes are the times of the frames of a transport stream with sound only; the clock may wrap.
func soundTimes(t testing.TB, ts []byte) []clock {
	t.Helper()
	d, err := openDemuxer(Input{Data: ts})
	require.NoError(t, err)
	defer d.close()
	r := repair{last: noTime}
	var all []clock
	for {
		u, err := d.next()
		if err != nil {
			return all
		}
		rate, _ := audioHeader("aac", u.data)
		r.step = 1024 * clockRate / clock(rate)
		r.times(&u)
		all = append(all, u.pts)
	}
}

// A segment that does not begin with an IDR picture is complete when the group of pictures before
// it is given.
func TestBeforePictures(t *testing.T) {
	for name, c := range map[string]struct {
		source   string
		complete bool // all times are there without, too
	}{
		"long GOP, cut": {smallVideo + sine + "-t 6 " + fastX264 + "-g 360 -sc_threshold 0 -bf 2 " + aac + "-break_non_keyframes 1", false},
		"without B":     {smallVideo + sine + "-t 6 " + fastX264 + "-g 360 -sc_threshold 0 -bf 0 " + aac + "-break_non_keyframes 1 -output_ts_offset 20", false},
		"open GOP":      {openGOP + aac + "-output_ts_offset 20", true},
		"HEVC, open":    {hevcOpenGOP + aac + "-output_ts_offset 20", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			segments := pieces(t, c.source)
			opts := LadderOptions{Joined: true, Renditions: []Rendition{{Profile: profile("160x90", 0, 1, FormatMPEGTS), Audio: ComponentOptions{Name: "drop"}}}}
			with := alone(t, opts, segments, func(i int) []byte { return bytes.Join(segments[:i], nil) })[0]
			source := bytes.Join(segments, nil)
			requireTimes(t, rawTimes(t, source), rawTimes(t, with))
			out := inspectLoose(t, with)
			require.Equal(t, len(out.Video.packets), out.Video.decoded)
			requireRisingPES(t, with)
			l := ladder(t, LadderOptions{Continuous: true, Renditions: opts.Renditions})
			want, got := similarity(t, joined(t, l, segments)[0], source, "null"), similarity(t, with, source, "null")
			t.Logf("SSIM %.4f, in one go %.4f", got, want)
			require.Greater(t, got, want-0.003)

			if c.complete {
				return
			}
			l = ladder(t, opts)
			less, err := l.Transcode(t.Context(), Input{Data: segments[1]}, nil)
			if err == nil {
				require.Less(t, less.Decoded.Frames, len(rawTimes(t, segments[1])))
			}
			full, err := l.Transcode(t.Context(), Input{Data: segments[1], Before: segments[0]}, nil)
			require.NoError(t, err)
			require.Equal(t, len(rawTimes(t, segments[1])), full.Decoded.Frames)
			// It is of no use for the next input.
			again, err := l.Transcode(t.Context(), Input{Data: segments[2]}, nil)
			if err == nil {
				require.Less(t, again.Decoded.Frames, len(rawTimes(t, segments[2])))
			}
		})
	}
}

// A Before that is of no use changes nothing.
func TestBeforeOther(t *testing.T) {
	segments := pieces(t, liveSource)
	cut := pieces(t, smallVideo+sine+"-t 6 "+fastX264+"-g 360 -sc_threshold 0 -bf 2 "+aac+"-break_non_keyframes 1")
	opts := LadderOptions{Joined: true, Renditions: []Rendition{
		{Profile: profile("160x90", 0, 1, FormatMPEGTS), Audio: ComponentOptions{Name: "aac"}},
		{Profile: profile("128x72", 15, 1, FormatMPEGTS), Audio: LightAudio()},
	}}
	run := func(t *testing.T, data, before []byte) (*LadderResult, []byte) {
		var thumbnail []byte
		opts := opts
		opts.Thumbnail = func(jpeg []byte) { thumbnail = jpeg }
		l := ladder(t, opts)
		res, err := l.Transcode(t.Context(), Input{Data: data, Before: before}, nil)
		if err != nil {
			return nil, nil
		}
		return res, thumbnail
	}
	flipped := bytes.Clone(segments[0])
	for i := 1000; i < len(flipped); i += 997 {
		flipped[i] ^= 0x55
	}
	for name, before := range map[string][]byte{
		"empty":          {},
		"text":           []byte("#EXTM3U\n"),
		"noise":          randomBytes(10000),
		"zeros":          make([]byte, 188*100),
		"too much":       bytes.Repeat(segments[0], maxBefore/len(segments[0])+1),
		"itself":         segments[1],
		"a later one":    segments[3],
		"HEVC":           pieces(t, hevcOpenGOP+aac+"-output_ts_offset 20")[0],
		"no sound":       clip(t, "a.ts", smallVideo+"-t 2 "+fastX264+asIs),
		"other sound":    clip(t, "a.ts", sine+"-t 2 -c:a aac -ar 32000 -ac 1 -output_ts_offset 20 "+asIs),
		"MP3":            clip(t, "a.ts", sine+"-t 2 -c:a libmp3lame -output_ts_offset 20 "+asIs),
		"half":           segments[0][:len(segments[0])/2],
		"damaged":        flipped,
		"only the end":   segments[0][len(segments[0])/2/188*188:],
		"what it is for": segments[0],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, data := range [][]byte{segments[1], cut[1]} {
				want, wantJPEG := run(t, data, nil)
				got, jpeg := run(t, data, before)
				if want == nil {
					continue
				}
				require.NotNil(t, got)
				require.Equal(t, want.Decoded, got.Decoded)
				require.Equal(t, wantJPEG, jpeg)
				for i, o := range got.Outputs {
					w := want.Outputs[i]
					require.NoError(t, o.Err)
					require.Equal(t, w.Media, o.Media)
					require.Equal(t, w.Start, o.Start)
					require.Equal(t, w.Duration, o.Duration)
					requireTimes(t, rawTimes(t, w.Data), rawTimes(t, o.Data))
					requireTimes(t, inspectLoose(t, w.Data).Audio.times(), inspectLoose(t, o.Data).Audio.times())
				}
			}
		})
	}
}

// A Continuous Ladder needs Before where it begins, and ignores it where it goes on.
func TestBeforeContinuous(t *testing.T) {
	segments := pieces(t, smallVideo+sine+"-t 6 "+fastX264+"-g 360 -sc_threshold 0 -bf 2 "+aac+"-break_non_keyframes 1")
	l := ladder(t, LadderOptions{Continuous: true, Renditions: []Rendition{{Profile: profile("160x90", 0, 1, FormatMPEGTS), Audio: ComponentOptions{Name: "aac"}}}})
	for i := 1; i < len(segments); i++ {
		in := Input{Data: segments[i], Discontinuity: i == 1, Before: bytes.Join(segments[:i], nil)}
		if i == 2 {
			in.Before = nil // the group of the segment before, which began with Before, is kept
		}
		res, err := l.Transcode(t.Context(), in, nil)
		require.NoError(t, err)
		require.NoError(t, res.Outputs[0].Err)
		require.Equal(t, len(rawTimes(t, segments[i])), res.Decoded.Frames)
	}
}

func TestBeforeCancel(t *testing.T) {
	segments := pieces(t, liveSource)
	l := ladder(t, LadderOptions{Joined: true, Renditions: []Rendition{AudioOnly("sound", LightAudio())}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Transcode(ctx, Input{Data: segments[1], Before: segments[0]}, nil)
	require.ErrorIs(t, err, context.Canceled)
}
