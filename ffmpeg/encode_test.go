package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// decodedPictures are those of a segment.
func decodedPictures(t testing.TB, data []byte) (pictures []*picture, rate rational) {
	t.Helper()
	d, err := openDemuxer(Input{Data: data})
	require.NoError(t, err)
	defer d.close()
	var dec *decoder
	take := func() {
		for {
			p, err := dec.receive()
			if err != nil {
				return
			}
			pictures = append(pictures, p)
		}
	}
	for {
		u, err := d.next()
		if err != nil {
			break
		}
		if dec == nil {
			dec, err = openDecoder(d.tracks[u.track].params, 1, Software, "")
			require.NoError(t, err)
		}
		require.NoError(t, dec.send(&u))
		take()
	}
	require.NoError(t, dec.send(nil))
	take()
	dec.close()
	t.Cleanup(func() {
		for _, p := range pictures {
			p.release()
		}
	})
	var times []clock
	for _, p := range pictures {
		times = append(times, p.pts())
	}
	return pictures, measureRate(times)
}

// smallConfig opens an encoder for pictures like p.
func smallConfig(name string, p *picture, rate rational, opts map[string]string) encoderConfig {
	c := encoderConfig{name: name, size: p.look(), rate: rate, bitRate: 300_000, gop: -1, bFrames: -1, threads: 1}
	c.setOptions(opts)
	return c
}

// An encoder that stays open gives each segment complete when it ends, each with a keyframe
// first and times that rise over all of them.
func TestEncoderStays(t *testing.T) {
	pictures, rate := decodedPictures(t, clip(t, "a.ts", "-f lavfi -i testsrc2=size=64x48:rate=30 -t 2 "+fastX264+"-bf 2 "+asIs))
	require.Len(t, pictures, 60)
	for _, preset := range []string{"ultrafast", "superfast", "veryfast", "medium", "slow"} {
		enc, err := openEncoder(smallConfig("libx264", pictures[0], rate, map[string]string{"preset": preset, "forced-idr": "1"}), true)
		require.NoError(t, err)
		last, next := noTime, 0
		for _, n := range []int{1, 30, 1, 2, 3, 13, 1, 9} {
			enc.begin()
			var units []unit
			for _, p := range pictures[next : next+n] {
				require.NoError(t, enc.encode(p, p.pts(), false, func(u unit) { units = append(units, u) }))
			}
			again, err := enc.end(func(u unit) { units = append(units, u) })
			require.NoError(t, err)
			require.True(t, again, "%s: it goes on", preset)
			require.Len(t, units, n, "%s: complete", preset)
			seen := map[clock]bool{}
			for i, u := range units {
				require.Equal(t, i == 0, u.key, "%s: a keyframe first, and no other", preset)
				require.Greater(t, u.dts, last)
				require.GreaterOrEqual(t, u.pts, u.dts)
				last = u.dts
				seen[u.pts] = true
			}
			for _, p := range pictures[next : next+n] {
				require.True(t, seen[p.pts()])
			}
			require.Equal(t, pictures[next].pts(), units[0].pts)
			next += n
		}
		require.Equal(t, 60, next)
		enc.close()
		enc.close()
	}
}

// Without staying, or with encoders that cannot, it is the same, with a new one each time.
func TestEncoderEnds(t *testing.T) {
	pictures, rate := decodedPictures(t, clip(t, "a.ts", "-f lavfi -i testsrc2=size=64x48:rate=30 -t 2 "+fastX264+"-bf 2 "+asIs))
	for codec, opts := range map[string]map[string]string{
		"libx264":    {"preset": "superfast", "forced-idr": "1"},
		"libx265":    {"preset": "superfast", "forced-idr": "1", "x265-params": "log-level=none"},
		"libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
	} {
		if !encoderExists(codec) {
			t.Log("libavcodec was built without", codec)
			continue
		}
		for _, n := range []int{1, 2, 3, 25} {
			enc, err := openEncoder(smallConfig(codec, pictures[0], rate, opts), false)
			require.NoError(t, err)
			enc.begin()
			last := noTime
			count := 0
			emit := func(u unit) {
				require.Equal(t, count == 0, u.key, "%s: unit %d of %d", codec, count, n)
				require.Greater(t, u.dts, last, "%s: unit %d of %d", codec, count, n)
				require.GreaterOrEqual(t, u.pts, u.dts, "%s: unit %d of %d", codec, count, n)
				last = u.dts
				count++
			}
			for _, p := range pictures[:n] {
				require.NoError(t, enc.encode(p, p.pts(), false, emit))
			}
			again, err := enc.end(emit)
			require.NoError(t, err)
			require.False(t, again)
			require.Equal(t, n, count)
			enc.close()
		}
	}
}

func TestEncoderOptions(t *testing.T) {
	pictures, rate := decodedPictures(t, clip(t, "a.ts", "-f lavfi -i testsrc2=size=64x48:rate=30 -frames:v 1 "+fastX264+asIs))
	before := LiveHandles()
	for _, opts := range []map[string]string{{"no-such-option": "1"}, {"preset": "lightning"}, {"profile": "none such"}} {
		_, err := openEncoder(smallConfig("libx264", pictures[0], rate, opts), true)
		require.ErrorAs(t, err, new(*Error))
	}
	require.Equal(t, before, LiveHandles())
}
