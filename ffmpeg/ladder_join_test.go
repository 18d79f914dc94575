package ffmpeg

import (
	"bytes"
	"fmt"
	"math"
	"math/cmplx"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// liveSource is eight seconds with a keyframe every two, as a publisher would send it.
const liveSource = smallVideo + sine + "-t 8 " + fastX264 + "-g 60 -keyint_min 60 -sc_threshold 0 -bf 2 " + aac + "-output_ts_offset 20"

// Segments that were transcoded one by one are one stream when they are put together: no
// picture is lost or shown twice, decoding times rise, distances are the same at the joins.
func TestLadderJoins(t *testing.T) {
	for name, c := range map[string]struct {
		source     string
		continuous bool
		segments   int
		step       clock
	}{
		"continuous":           {liveSource, true, 4, clockRate / 30},
		"one by one":           {liveSource, false, 4, clockRate / 30},
		"without B":            {smallVideo + sine + "-t 6 " + fastX264 + "-g 60 -bf 0 -sc_threshold 0 " + aac + "-output_ts_offset 20", true, 3, clockRate / 30},
		"30000/1001":           {"-f lavfi -i testsrc2=size=320x180:rate=30000/1001 " + sine + "-t 6 " + fastX264 + "-g 60 -sc_threshold 0 " + aac + "-output_ts_offset 20", true, 3, clockRate * 1001 / 30000},
		"interlaced":           {"-f lavfi -i testsrc2=size=320x180:rate=50,tinterlace=interleave_top " + sine + "-t 6 -c:v libx264 -preset superfast -pix_fmt yuv420p -g 50 -sc_threshold 0 -flags +ildct+ilme -x264-params tff=1 " + aac + "-output_ts_offset 20", true, 3, clockRate / 25},
		"long GOP, cut":        {smallVideo + sine + "-t 6 " + fastX264 + "-g 360 -sc_threshold 0 -bf 2 " + aac + "-break_non_keyframes 1", true, 4, clockRate / 30},
		"open GOP":             {openGOP + aac + "-output_ts_offset 20", true, 4, clockRate / 30},
		"open GOP, one by one": {openGOP + aac + "-output_ts_offset 20", false, 4, clockRate / 30},
		"HEVC, open GOP":       {hevcOpenGOP + aac + "-output_ts_offset 20", true, 3, clockRate / 30},
		"at the wrap":          {smallVideo + sine + "-t 6 " + fastX264 + "-g 60 -sc_threshold 0 -bf 2 " + aac + "-output_ts_offset 95440.7", true, 3, clockRate / 30},
		"before the wrap":      {smallVideo + sine + "-t 6 " + fastX264 + "-g 60 -sc_threshold 0 -bf 2 " + aac + "-output_ts_offset 95380.7", true, 3, clockRate / 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			segments := pieces(t, c.source)
			require.Equal(t, c.segments, len(segments))
			l := ladder(t, LadderOptions{Continuous: c.continuous, Renditions: []Rendition{
				{Profile: profile("160x90", 0, 1, FormatMPEGTS)},
				{Profile: profile("128x72", 15, 1, FormatMPEGTS)},
				{Profile: profile("128x72", 15, 1, FormatMPEGTS), Video: ComponentOptions{Name: "drop"}, Audio: ComponentOptions{Name: "aac"}},
			}})
			outs := joined(t, l, segments)
			source := bytes.Join(segments, nil)
			src := inspectLoose(t, source)

			full := rawTimes(t, outs[0])
			requireTimes(t, rawTimes(t, source), full)
			for i := 1; i < len(full); i++ {
				require.True(t, (full[i] - full[i-1] - c.step).within(2*tick), "after picture %d", i)
			}
			for i, o := range outs[:2] {
				out := inspectLoose(t, o)
				require.Equal(t, len(out.Video.packets), out.Video.decoded)
				requireRisingPES(t, o)
				checkJoins(t, o)
				if i == 0 {
					requireSameSound(t, source, o)
					require.Equal(t, src.Video.decoded, out.Video.decoded)
				}
			}
			if c.continuous {
				requireSameSine(t, source, outs[2])
			}
		})
	}
}

const (
	openGOP = smallVideo + sine + "-t 8 -c:v libx264 -preset superfast -pix_fmt yuv420p -b:v 1M -g 60 -keyint_min 60 -sc_threshold 0 -bf 3 -b_strategy 0 -x264-params open_gop=1 -flags:v +global_header -bsf:v dump_extra=freq=keyframe "
	// x265 makes CRA pictures with leading pictures by default.
	hevcOpenGOP = smallVideo + sine + "-t 6 -c:v libx265 -preset ultrafast -x265-params log-level=none:open-gop=1:keyint=60:min-keyint=60:scenecut=0:bframes=3:b-adapt=0 -pix_fmt yuv420p "
)

func inspectLoose(t testing.TB, data []byte) *ladderFile {
	t.Helper()
	f, _ := probeMedia(t, data)
	return f
}

// rawTimes are the presentation times of the pictures as they stand in the PES headers, in
// order, from the first on; the 33 bits may wrap.
func rawTimes(t testing.TB, ts []byte) []clock {
	t.Helper()
	var all []clock
	first := int64(-1)
	for _, u := range readPES(t, readLooseTS(t, ts)) {
		if u.pid != 0x100 {
			continue
		}
		if first < 0 {
			first = u.pts - 1<<32
		}
		all = append(all, clock((u.pts-first)&(1<<33-1)+first)*tick)
	}
	slices.Sort(all)
	return all
}

// readLooseTS is readTS for files of other makers.
func readLooseTS(t testing.TB, b []byte) []tsPacket {
	t.Helper()
	var ps []tsPacket
	for ; len(b) >= 188; b = b[188:] {
		if b[3]&0x10 == 0 {
			continue
		}
		p := tsPacket{pid: int(b[1]&0x1f)<<8 | int(b[2]), start: b[1]&0x40 != 0, pcr: -1, payload: b[4:188]}
		if b[3]&0x20 != 0 {
			p.payload = p.payload[1+p.payload[0]:]
		}
		ps = append(ps, p)
	}
	return ps
}

// requireRisingPES asserts that the decoding times of each track rise, over the wrap too.
func requireRisingPES(t testing.TB, ts []byte) {
	t.Helper()
	last := map[int]int64{}
	n := 0
	for _, u := range readPES(t, readTS(t, ts)) {
		if d, seen := last[u.pid]; seen {
			step := (u.dts - d) << 31 >> 31 // of 33 bits
			require.Positive(t, step, "unit %d of PID %d", n, u.pid)
		}
		last[u.pid] = u.dts
		n++
	}
}

// checkJoins asserts that the tables stand before each keyframe that begins a segment.
func checkJoins(t testing.TB, ts []byte) {
	t.Helper()
	ps := readTS(t, ts)
	require.Equal(t, 0, ps[0].pid)
	require.Equal(t, 0x1000, ps[1].pid)
}

// requireSameSine asserts that got sounds like want, a sine, at every moment: the same phase
// and strength at the same time. A lost sample would turn the phase for all that follows.
func requireSameSine(t testing.TB, want, got []byte) {
	t.Helper()
	w, g := sineWaves(t, want), sineWaves(t, got)
	require.Greater(t, len(g), len(w)*95/100)
	// At the very beginning and end the codec fades.
	worst, strength := 0., 1.
	for i := 12; i < len(g)-12; i++ {
		turn := math.Abs(cmplx.Phase(g[i] / g[12]))
		worst = max(worst, turn)
		strength = min(strength, cmplx.Abs(g[i])/cmplx.Abs(w[12]))
	}
	t.Logf("%d parts of a sine: worst phase %.4f, weakest %.3f", len(g), worst, strength)
	require.Less(t, worst, 0.02, "phase: samples are lost or put in")
	require.Greater(t, strength, 0.97, "dropout")
}

// sineWaves measures amplitude and phase of a sine of 440 Hz, each 5 ms over 50 ms.
func sineWaves(t testing.TB, data []byte) []complex128 {
	t.Helper()
	const window, step = 2205, 220
	sums := []complex128{0}
	for i, v := range samples(t, data, "-ar 44100") {
		sums = append(sums, sums[i]+complex(v, 0)*cmplx.Rect(1, -2*math.Pi*440*float64(i)/44100))
	}
	var all []complex128
	for at := 0; at+window < len(sums); at += step {
		all = append(all, (sums[at+window]-sums[at])/window)
	}
	return all
}

// The sound of a continuous ladder, encoded again, has as many samples as the source's, at
// the same times, in the source's rate and channels.
func TestLadderSoundEncoded(t *testing.T) {
	for _, format := range []string{"-ac 2", "-ac 1 -ar 48000", "-ac 1 -ar 22050"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			segments := pieces(t, smallVideo+sine+"-t 6 "+fastX264+"-g 60 -sc_threshold 0 -c:a aac -b:a 128k "+format+" -output_ts_offset 20")
			source := bytes.Join(segments, nil)
			src := inspectLoose(t, source)
			l := ladder(t, LadderOptions{Continuous: true, Renditions: []Rendition{
				{Profile: profile("160x90", 0, 1, FormatMPEGTS), Audio: ComponentOptions{Name: "aac", Opts: map[string]string{"b": "128k"}}},
				{Profile: profile("160x90", 0, 1, FormatMPEGTS), Audio: LightAudio()},
			}})
			outs := joined(t, l, segments)
			out := inspectLoose(t, outs[0])
			require.Equal(t, src.Audio.Samples, out.Audio.Samples)
			require.Equal(t, src.Audio.Channels, out.Audio.Channels)
			// Frames follow each other without a gap.
			times, rate := out.Audio.times(), 0
			_, err := fmt.Sscan(src.Audio.Samples, &rate)
			require.NoError(t, err)
			frame := clockRate * 1024 / clock(rate)
			for i := 1; i < len(times); i++ {
				require.True(t, (times[i] - times[i-1] - frame).within(2*tick), "frame %d: %v", i, (times[i] - times[i-1]).duration())
			}
			// What is missing is what the encoder still holds.
			w, g := len(samples(t, source, "")), len(samples(t, outs[0], ""))
			t.Logf("%d samples of %d", g, w)
			require.InDelta(t, w, g, 3*1024)
			// The first frame is the encoder's delay before the source's first.
			require.True(t, (src.Audio.times()[0] - times[0]).within(frame+2*tick), "the first frame is the encoder's delay before the source's")
			if rate == 44100 {
				requireSameSine(t, source, outs[0])
			}
			light := inspectLoose(t, outs[1])
			require.Equal(t, "8000", light.Audio.Samples)
			require.Equal(t, 1, light.Audio.Channels)
		})
	}
}

// A live stream that is transcoded segment by segment looks like one that is encoded in one
// go with the same settings.
func TestLadderSimilarity(t *testing.T) {
	source := "-f lavfi -i testsrc2=size=320x180:rate=30,noise=alls=12:allf=t+u "
	segments := pieces(t, source+"-t 6 "+fastX264+"-b:v 4M -g 60 -keyint_min 60 -sc_threshold 0 -output_ts_offset 20")
	whole := bytes.Join(segments, nil)
	ref := remux(t, whole, "", "-vf scale=160:90:flags=bicubic -c:v libx264 -preset superfast -b:v 300k -maxrate 375k -bufsize 450k -forced-idr 1 "+
		"-force_key_frames expr:gte(n,n_forced*60) -threads 1", "ref.mp4")
	p := profile("160x90", 0, 1, FormatMPEGTS)
	p.Bitrate = "300k"
	want, refBits := similarity(t, ref, whole, "null"), videoBits(t, ref)
	t.Logf("in one go: %.4f with %d bits", want, refBits)
	for _, continuous := range []bool{true, false} {
		l := ladder(t, LadderOptions{Continuous: continuous, Renditions: []Rendition{{Profile: p}}, Threads: 1})
		out := joined(t, l, segments)[0]
		got, bits := similarity(t, out, whole, "null"), videoBits(t, out)
		t.Logf("continuous %v: %.4f with %d bits (%+.1f %%)", continuous, got, bits, 100*float64(bits-refBits)/float64(refBits))
		if continuous {
			require.InDelta(t, refBits, bits, float64(refBits)*0.05)
			require.GreaterOrEqual(t, got, want-0.002)
		}
	}
}

func videoBits(t testing.TB, data []byte) int {
	n := 0
	for _, p := range inspectLoose(t, data).Video.packets {
		n += 8 * p.size
	}
	return n
}
