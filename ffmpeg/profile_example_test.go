package ffmpeg_test

import (
	"fmt"

	"github.com/livepeer/lpms/ffmpeg"
)

// Errors say which profile is meant and what to write.
func ExampleParseProfiles() {
	profiles, err := ffmpeg.ParseProfiles([]byte(`[{"width": 640, "height": 360, "bitrate": 800000, "fps": 30, "gop": "2"}]`))
	fmt.Println(profiles[0].Name, profiles[0].GOP, err)

	_, err = ffmpeg.ParseProfiles([]byte(`[{"name": "low", "width": 256, "height": 144, "gop": "never"}]`))
	fmt.Println(err)
	// Output:
	// 640x360_800000 2s <nil>
	// ffmpeg: invalid profile: profile 1 of 1 ("low"): gop "never": write "intra", or seconds up to 3600, as "2" or "0.5"
}
