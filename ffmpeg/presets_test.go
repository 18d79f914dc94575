package ffmpeg

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPresets(t *testing.T) {
	want := map[string]VideoProfile{}
	for _, c := range []struct {
		profile    VideoProfile
		name       string
		bitrate    string
		fps        uint
		resolution string
	}{
		{P720p60fps16x9, "P720p60fps16x9", "6000k", 60, "1280x720"},
		{P720p30fps16x9, "P720p30fps16x9", "4000k", 30, "1280x720"},
		{P720p25fps16x9, "P720p25fps16x9", "3500k", 25, "1280x720"},
		{P720p30fps4x3, "P720p30fps4x3", "3500k", 30, "960x720"},
		{P576p30fps16x9, "P576p30fps16x9", "1500k", 30, "1024x576"},
		{P576p25fps16x9, "P576p25fps16x9", "1500k", 25, "1024x576"},
		{P360p30fps16x9, "P360p30fps16x9", "1200k", 30, "640x360"},
		{P360p25fps16x9, "P360p25fps16x9", "1000k", 25, "640x360"},
		{P360p30fps4x3, "P360p30fps4x3", "1000k", 30, "480x360"},
		{P240p30fps16x9, "P240p30fps16x9", "600k", 30, "426x240"},
		{P240p25fps16x9, "P240p25fps16x9", "600k", 25, "426x240"},
		{P240p30fps4x3, "P240p30fps4x3", "600k", 30, "320x240"},
		{P144p30fps16x9, "P144p30fps16x9", "400k", 30, "256x144"},
		{P144p25fps16x9, "P144p25fps16x9", "400k", 25, "256x144"},
		{P240p15fps16x9, "P240p15fps16x9", "250k", 15, "426x240"},
		{P144p15fps16x9, "P144p15fps16x9", "100k", 15, "256x144"},
		{P72p2fps16x9, "P72p2fps16x9", "4k", 2, "128x72"},
	} {
		// The name says height, rate and shape, and nothing else is set.
		var height, fps, across, down int
		_, err := fmt.Sscanf(c.name, "P%dp%dfps%dx%d", &height, &fps, &across, &down)
		require.NoError(t, err)
		require.EqualValues(t, c.fps, fps)
		require.Contains(t, c.resolution, fmt.Sprintf("x%d", height))
		want[c.name] = VideoProfile{Name: c.name, Bitrate: c.bitrate, Framerate: c.fps, Resolution: c.resolution,
			AspectRatio: fmt.Sprintf("%d:%d", across, down)}
		require.Equal(t, want[c.name], c.profile)
		require.NoError(t, c.profile.validate())
	}
	require.Equal(t, want, VideoProfileLookup)
}

func TestPresetLightAudio(t *testing.T) {
	a := LightAudio()
	require.Equal(t, ComponentOptions{Name: "aac", Opts: map[string]string{"b": "3600", "aac_coder": "fast", "ar": "8000", "ac": "1"}}, a)
	a.Opts["b"] = "64k"
	require.Equal(t, "3600", LightAudio().Opts["b"], "each caller has its own")

	r := AudioOnly("radio", LightAudio())
	require.Equal(t, Rendition{
		Profile: VideoProfile{Name: "radio"},
		Video:   ComponentOptions{Name: "drop"},
		Audio:   LightAudio(),
	}, r)
}
