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
