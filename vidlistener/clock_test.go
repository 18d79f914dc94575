package vidlistener

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

type tick struct {
	audio bool
	at    uint32 // what the publisher says, in ms
	want  time.Duration
	brk   bool
}

func TestClock(t *testing.T) {
	v := func(at uint32, want time.Duration) tick { return tick{at: at, want: want} }
	a := func(at uint32, want time.Duration) tick { return tick{audio: true, at: at, want: want} }
	for _, c := range []struct {
		name  string
		ticks []tick
	}{
		{"plain", []tick{v(0, 0), a(5, 5*ms), v(33, 33*ms), a(28, 28*ms), v(67, 67*ms)}},
		{"starts late, keeps its time", []tick{v(3_600_000, time.Hour), v(3_600_040, time.Hour+40*ms)}},
		{"wraps at 24 bits of the header without notice", []tick{v(0xFFFFF0, 0xFFFFF0*ms), v(0x1000010, 0x1000010*ms)}},
		{"passes 2^31 ms", []tick{v(1<<31-10, (1<<31-10)*ms), v(1<<31+10, (1<<31+10)*ms)}},
		{"wraps at 2^32 ms, both tracks", []tick{
			v(math.MaxUint32-9, (1<<32-10)*ms), a(math.MaxUint32-4, (1<<32-5)*ms),
			v(20, (1<<32+20)*ms), a(15, (1<<32+15)*ms), v(60, (1<<32+60)*ms),
		}},
		{"equal and slightly earlier decoding times are moved up", []tick{v(100, 100*ms), v(100, 101*ms), v(90, 102*ms), v(140, 140*ms)}},
		{"a pause of nine seconds is time passing", []tick{v(0, 0), v(40, 40*ms), v(9040, 9040*ms)}},
		{"a jump ahead is a break and goes on where the stream was", []tick{
			v(0, 0), a(10, 10*ms), v(40, 40*ms), a(50, 50*ms),
			{at: 50_000, want: 90 * ms, brk: true}, a(50_010, 100*ms), v(50_040, 130*ms),
		}},
		{"a jump back is a break", []tick{
			v(100_000, 100*time.Second), v(100_040, 100*time.Second+40*ms),
			{at: 0, want: 100*time.Second + 80*ms, brk: true}, v(40, 100*time.Second+120*ms),
		}},
		{"a jump back of two seconds is a break too", []tick{
			v(5000, 5*time.Second), v(5040, 5*time.Second+40*ms), {at: 3000, want: 5*time.Second + 80*ms, brk: true},
		}},
		{"after a break the other track may still come with the old time", []tick{
			v(0, 0), a(0, 0), v(40, 40*ms), a(40, 40*ms),
			{at: 90_000, want: 80 * ms, brk: true}, a(60, 60*ms), v(90_040, 120*ms), a(90_040, 120*ms),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var k clock
			for i, x := range c.ticks {
				var got time.Duration
				var brk bool
				if x.audio {
					got, brk = k.audioTime(x.at, nil)
				} else {
					got, _, brk = k.videoTime(x.at)
				}
				require.Equal(t, x.want, got, "packet %d", i)
				require.Equal(t, x.brk, brk, "packet %d", i)
			}
		})
	}
}

func aacFrames(rate int64) func(int64) time.Duration {
	return func(n int64) time.Duration { return time.Duration(n * 1024 * int64(time.Second) / rate) }
}

// Audio times that were rounded to milliseconds become exact again, for hours.
func TestAudioRoundingIsUndone(t *testing.T) {
	for _, rate := range []int64{48000, 44100, 32000, 22050} {
		for name, round := range map[string]time.Duration{"down": 0, "nearest": ms / 2, "up": ms - 1} {
			var k clock
			exact := aacFrames(rate)
			first := (round) / ms * ms
			for n := range int64(500_000) {
				in := uint32((exact(n) + round) / ms)
				if got, brk := k.audioTime(in, exact); brk || got != first+exact(n) {
					t.Fatalf("%d Hz rounded %s, frame %d: %v, want %v, break %v", rate, name, n, got, first+exact(n), brk)
				}
			}
		}
	}
}

// A sound card whose clock is off is followed, without steps.
func TestAudioDriftIsFollowed(t *testing.T) {
	var k clock
	exact := aacFrames(48000)
	var last time.Duration
	for n := range int64(200_000) {
		true_ := exact(n) + time.Duration(float64(exact(n))*300e-6) // 300 ppm
		got, _ := k.audioTime(uint32(true_/ms), exact)
		require.InDelta(t, true_.Seconds(), got.Seconds(), 0.003)
		if n > 0 {
			require.InDelta(t, exact(1).Seconds(), (got - last).Seconds(), 0.0005)
		}
		last = got
	}
}

// A lost frame stays a gap: nothing is moved to hide it.
func TestAudioGapIsKept(t *testing.T) {
	var k clock
	exact := aacFrames(48000)
	k.audioTime(0, exact)
	k.audioTime(21, exact)
	got, brk := k.audioTime(64, exact) // the frame at 43 is missing
	require.Equal(t, 64*ms, got)
	require.False(t, brk)
}

// Whatever a publisher says, decoding times of a track rise.
func FuzzClock(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 1, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		var k clock
		last := map[bool]time.Duration{}
		exact := aacFrames(48000)
		for ; len(b) >= 5; b = b[5:] {
			at := uint32(b[1])<<24 | uint32(b[2])<<16 | uint32(b[3])<<8 | uint32(b[4])
			audio := b[0]&1 == 1
			var got time.Duration
			if audio {
				got, _ = k.audioTime(at, exact)
			} else {
				got, _, _ = k.videoTime(at)
			}
			if l, ok := last[audio]; ok && got <= l {
				t.Fatalf("audio %v: %v after %v", audio, got, l)
			}
			last[audio] = got
		}
	})
}
