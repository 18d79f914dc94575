package testsignal

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nareix/joy4/av"
	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/stream"
)

var (
	_ av.DemuxCloser      = (*Source)(nil)
	_ stream.PacketSource = (*Source)(nil)
)

// small options are quick to encode.
func small() Options { return Options{Width: 128, Height: 72} }

func TestOptions(t *testing.T) {
	for option, change := range map[string]func(*Options){
		"Name":         func(o *Options) { o.Name = strings.Repeat("x", 129) },
		"Width":        func(o *Options) { o.Width = 129 },
		"Height":       func(o *Options) { o.Height = 73 },
		"FrameRate":    func(o *Options) { o.FrameRate = 121 },
		"Keyframe":     func(o *Options) { o.Keyframe = -time.Second },
		"Bitrate":      func(o *Options) { o.Bitrate = 1 },
		"AudioBitrate": func(o *Options) { o.AudioBitrate = 1_000_000 },
		"SampleRate":   func(o *Options) { o.SampleRate = 48_001 },
		"Duration":     func(o *Options) { o.Duration = -1 },
	} {
		o := small()
		change(&o)
		_, err := New(o)
		var bad *OptionError
		require.ErrorAs(t, err, &bad, option)
		require.Equal(t, option, bad.Option)
		require.Contains(t, err.Error(), option)
	}
	_, err := New(Options{Width: 1280})
	require.ErrorAs(t, err, new(*OptionError), "half a size")
	s, err := New(Options{Width: 128, Height: 72, SampleRate: 16000, AudioBitrate: 320_000, FrameRate: 120, Bitrate: 50_000_000})
	require.NoError(t, err, "the limits")
	require.NoError(t, s.Close())
}

// Every picture is given at its time, no sooner and no later, and sound with the next picture.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(123 * time.Millisecond)
		s, err := New(small())
		require.NoError(t, err)
		defer s.Close()
		time.Sleep(5 * time.Second) // time starts with the first packet
		pictures := 0
		for last := time.Duration(0); last < 3*time.Second; {
			p, err := s.ReadStreamPacket()
			require.NoError(t, err)
			// The signal begins 23 ms before the first read, at the picture before.
			late := time.Since(s.line.begin) - p.Time
			if p.Time < 33*time.Millisecond {
				require.LessOrEqual(t, late, 33333333*time.Nanosecond)
			} else if p.Audio {
				require.GreaterOrEqual(t, late, time.Duration(0))
				require.LessOrEqual(t, late, time.Second/30+1)
			} else {
				require.Zero(t, late)
			}
			require.Equal(t, time.Now().UnixNano(), p.Arrival)
			require.GreaterOrEqual(t, p.Time, last)
			require.False(t, p.Discontinuity)
			require.Same(t, s.headers, p.Headers)
			require.Equal(t, p.Audio, p.Idx == 1)
			if last = p.Time; !p.Audio {
				require.Equal(t, pictures%60 == 0, p.IsKeyFrame)
				pictures++
			}
		}
		require.Equal(t, 91, pictures)
	})
}

// held reads for two seconds, holds the source up, and gives what comes in the second after.
func held(t *testing.T, hold time.Duration) (before, after []stream.Packet) {
	s, err := New(small())
	require.NoError(t, err)
	defer s.Close()
	start := time.Now()
	for time.Since(start) < 2*time.Second {
		p, err := s.ReadStreamPacket()
		require.NoError(t, err)
		before = append(before, p)
	}
	time.Sleep(hold)
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		p, err := s.ReadStreamPacket()
		require.NoError(t, err)
		after = append(after, p)
	}
	return before, after
}

func TestHeldUp(t *testing.T) {
	for name, c := range map[string]struct {
		hold           time.Duration
		video, audio   bool // there is a hole
		atMost, breaks int  // pictures, discontinuities
	}{
		"nothing is lost":     {900 * time.Millisecond, false, false, 58, 0},
		"pictures are":        {5 * time.Second, true, false, 62, 0},
		"and sound after 10s": {time.Minute, true, true, 62, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before, after := held(t, c.hold)
				pictures, breaks := 0, 0
				var last [2]time.Duration
				for _, p := range before {
					last[p.Idx] = p.Time
				}
				var holes [2]time.Duration
				gop := last[0] / (2 * time.Second)
				for _, p := range after {
					holes[p.Idx] = max(holes[p.Idx], p.Time-last[p.Idx])
					last[p.Idx] = p.Time
					if p.Discontinuity {
						breaks++
					}
					if !p.Audio {
						require.Equal(t, p.Time/(2*time.Second) != gop, p.IsKeyFrame, "the first picture of a group's time is its keyframe")
						gop = p.Time / (2 * time.Second)
						pictures++
					}
				}
				require.LessOrEqual(t, pictures, c.atMost)
				require.Equal(t, c.breaks, breaks)
				require.Equal(t, c.video, holes[0] > 34*time.Millisecond, holes)
				require.Equal(t, c.audio, holes[1] > 22*time.Millisecond, holes)
				// True to the clock, and both tracks where they belong.
				require.InDelta(t, 3*time.Second+c.hold, last[0], float64(70*time.Millisecond))
				require.InDelta(t, last[0], last[1], float64(50*time.Millisecond))
			})
		})
	}
}

// With few pictures the sound does not wait for them.
func TestSlowPictures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small()
		o.FrameRate, o.Duration = 1, 3*time.Second
		s, err := New(o)
		require.NoError(t, err)
		defer s.Close()
		for p, err := s.ReadStreamPacket(); err == nil; p, err = s.ReadStreamPacket() {
			require.LessOrEqual(t, time.Since(s.line.begin)-p.Time, soundWait)
		}
	})
}

func TestCloseEndsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small()
		o.FrameRate = 1
		s, err := New(o)
		require.NoError(t, err)
		ended := make(chan error)
		go func() {
			for {
				if _, err := s.ReadPacket(); err != nil {
					ended <- err
					return
				}
			}
		}()
		synctest.Wait() // it waits for the next packet's time
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-ended, io.EOF)
		require.NoError(t, s.Close())
		_, err = s.ReadStreamPacket()
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestContextEndsWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(small())
		require.NoError(t, err)
		defer s.Close()
		v := stream.NewVideoStream("test", stream.RTMP)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, v.WriteRTMPToStream(ctx, s), context.DeadlineExceeded)
		require.Greater(t, v.Stats().Packets, uint64(100))
	})
}

func TestDurationOfPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small()
		o.Duration = time.Second
		start := time.Now()
		_, packets := readAll(t, o)
		require.Len(t, packets, 30+47)
		require.Less(t, time.Since(start), time.Second+40*time.Millisecond)
	})
}
