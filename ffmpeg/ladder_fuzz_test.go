package ffmpeg

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever bytes come as a segment, they are transcoded or refused with an error that has a
// type, in bounded time, and nothing stays open. The good segment after it is complete.
func FuzzTranscode(f *testing.F) {
	const tiny = "-f lavfi -i testsrc2=size=32x32:rate=10 " + sine + "-t 0.4 "
	good := clip(f, "a.ts", tiny+fastX264+"-bf 2 "+aac+asIs)
	f.Add(good)
	f.Add(clip(f, "a.mp4", tiny+fastX264+aac))
	f.Add(clip(f, "a.mp4", tiny+fastX264+aac+"-movflags +frag_keyframe+empty_moov+default_base_moof"))
	f.Add(clip(f, "a.flv", tiny+fastX264+aac))
	f.Add(clip(f, "a.ts", tiny+"-c:v libx264 -preset ultrafast -pix_fmt yuv420p10le -flags +ildct+ilme -x264-params tff=1 "+asIs))
	f.Add(clip(f, "a.ts", tiny+"-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p "+aac+asIs))
	f.Add(clip(f, "a.mp4", tiny+"-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p"))
	f.Add([]byte("#EXTM3U\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := LiveHandles()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		l, err := NewLadder(LadderOptions{Continuous: len(data)%2 == 0, Threads: 1, Renditions: []Rendition{
			{Profile: profile("32x32", 0, 1, FormatMPEGTS), Audio: ComponentOptions{Name: "aac"}},
			{Profile: profile("16x16", 5, 1, FormatMP4)},
			{Profile: VideoProfile{Format: FormatMPEGTS}, Video: copied},
		}})
		require.NoError(t, err)
		res, err := l.Transcode(ctx, Input{Data: data}, nil)
		require.NoError(t, ctx.Err(), "it took too long")
		if err != nil {
			require.True(t, typed(err), err)
		} else {
			for _, o := range res.Outputs {
				require.True(t, o.Err == nil || typed(o.Err), o.Err)
				require.Less(t, len(o.Data), 64<<20)
			}
		}
		res, err = l.Transcode(ctx, Input{Data: good, Discontinuity: true}, nil)
		require.NoError(t, err)
		for _, o := range res.Outputs {
			require.NoError(t, o.Err)
		}
		require.Equal(t, 4, res.Outputs[0].Media.Frames)
		l.Close()
		require.Equal(t, before, LiveHandles())
	})
}

// Whatever comes before a segment, the segment is transcoded as without it: with as much sound, and at
// least as many pictures.
func FuzzBefore(f *testing.F) {
	segments := pieces(f, "-f lavfi -i testsrc2=size=32x32:rate=10 "+sine+"-t 4 "+fastX264+"-g 100 -bf 2 "+aac+"-break_non_keyframes 1")
	tail, err := SoundTail(segments[0], 300*time.Millisecond)
	require.NoError(f, err)
	f.Add(segments[0])
	f.Add(tail)
	f.Add(segments[0][:len(segments[0])/2])
	f.Add(segments[1])
	f.Add([]byte("#EXTM3U\n"))
	data := segments[1]
	run := func(t testing.TB, before []byte) *LadderResult {
		l, err := NewLadder(LadderOptions{Joined: true, Threads: 1, Renditions: []Rendition{
			{Profile: profile("32x32", 0, 1, FormatMPEGTS), Audio: LightAudio()},
			AudioOnly("sound", ComponentOptions{Name: "aac"}),
		}})
		require.NoError(t, err)
		defer l.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		res, err := l.Transcode(ctx, Input{Data: data, Before: before}, nil)
		require.NoError(t, err)
		return res
	}
	without := soundTimes(f, run(f, nil).Outputs[1].Data)
	f.Fuzz(func(t *testing.T, before []byte) {
		open := LiveHandles()
		res := run(t, before)
		require.Equal(t, open, LiveHandles())
		for _, o := range res.Outputs {
			require.NoError(t, o.Err)
		}
		requireTimes(t, without, soundTimes(t, res.Outputs[1].Data))
		require.LessOrEqual(t, res.Decoded.Frames, len(rawTimes(t, data)))
	})
}
