package ffmpeg

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tailFrames are the frames of sound of a transport stream.
func tailFrames(t testing.TB, ts []byte) (frames [][]byte, times []clock) {
	t.Helper()
	d, err := openDemuxer(Input{Data: ts})
	require.NoError(t, err)
	defer d.close()
	for {
		u, err := d.next()
		if err != nil {
			return frames, times
		}
		if d.tracks[u.track].audio {
			frames, times = append(frames, u.data), append(times, u.pts)
		} else {
			require.Fail(t, "there are pictures")
		}
	}
}

func TestSoundTail(t *testing.T) {
	for name, args := range map[string]string{
		"AAC":         aac + "-output_ts_offset 20",
		"MP3":         "-c:a libmp3lame -b:a 128k -output_ts_offset 20",
		"AC-3":        "-c:a ac3 -b:a 192k -output_ts_offset 20",
		"at the wrap": aac + "-output_ts_offset 95442.5",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ts := clip(t, "a.ts", smallVideo+sine+"-t 2 "+fastX264+"-bf 2 "+args+" "+asIs)
			all, _ := tailFrames(t, soundOf(t, ts))
			for _, d := range []time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond, time.Hour} {
				tail, err := SoundTail(ts, d)
				require.NoError(t, err)
				require.Zero(t, len(tail)%188)
				got, times := tailFrames(t, tail)
				require.NotEmpty(t, got)
				for i := range got {
					require.True(t, bytes.Equal(all[len(all)-len(got)+i], got[i]), "frame %d of the end", i)
				}
				if d == time.Hour {
					require.Len(t, got, len(all))
					continue
				}
				long := (times[len(times)-1] - times[0]).duration()
				t.Logf("%v: %v in %d bytes", d, long, len(tail))
				require.GreaterOrEqual(t, long, d-30*time.Millisecond)
				require.Less(t, long, d+600*time.Millisecond)
				again, err := SoundTail(tail, d)
				require.NoError(t, err)
				require.Equal(t, tail, again)
				shifted, err := SoundTail(ts[100:], d)
				require.NoError(t, err)
				require.True(t, len(shifted) == 0 || bytes.Equal(tail[188:], shifted[188:]))
			}
		})
	}
}

// soundOf is a transport stream with the sound of another.
func soundOf(t testing.TB, ts []byte) []byte {
	t.Helper()
	return remux(t, ts, "-copyts", "-map 0:a -c copy "+asIs, "a.ts")
}

func TestSoundTailOther(t *testing.T) {
	silent, err := SoundTail(clip(t, "a.ts", smallVideo+"-t 1 "+fastX264+asIs), time.Second)
	require.NoError(t, err)
	require.Nil(t, silent)
	for name, data := range map[string][]byte{
		"nothing": nil,
		"text":    []byte("#EXTM3U\n"),
		"MP4":     clip(t, "a.mp4", sine+"-t 1 "+aac),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := SoundTail(data, time.Second)
			require.ErrorIs(t, err, ErrFormat)
		})
	}
}

// Whatever comes, the end of its sound is a transport stream of its packets, no larger than it, which
// is its own end.
func FuzzSoundTail(f *testing.F) {
	ts := clip(f, "a.ts", "-f lavfi -i testsrc2=size=32x32:rate=10 "+sine+"-t 0.4 "+fastX264+aac+asIs)
	f.Add(ts, int64(300*time.Millisecond))
	f.Add(ts[50:], int64(0))
	f.Add(ts[:188], int64(-1))
	f.Add([]byte{0x47}, int64(1<<62))
	f.Fuzz(func(t *testing.T, data []byte, d int64) {
		tail, err := SoundTail(data, time.Duration(d))
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		require.LessOrEqual(t, len(tail), 3*len(data)) // tables and sound may be the same PID
		if tail == nil {
			return
		}
		require.True(t, isTS(tail))
		for i := 0; i < len(tail); i += 188 {
			require.True(t, bytes.Contains(data, tail[i:i+188]))
		}
		again, err := SoundTail(tail, time.Duration(d))
		require.NoError(t, err)
		require.LessOrEqual(t, len(again), 3*len(tail))
	})
}

func BenchmarkSoundTail(b *testing.B) {
	ts := bytes.Repeat(clip(b, "a.ts", smallVideo+sine+"-t 2 "+fastX264+aac+asIs), 4)
	b.SetBytes(int64(len(ts)))
	for b.Loop() {
		if _, err := SoundTail(ts, 300*time.Millisecond); err != nil {
			b.Fatal(err)
		}
	}
}
