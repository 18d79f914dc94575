package ffmpeg

// The presets. A name says the height, the pictures per second and the shape.
var (
	P720p60fps16x9 = VideoProfile{Name: "P720p60fps16x9", Bitrate: "6000k", Framerate: 60, AspectRatio: "16:9", Resolution: "1280x720"}
	P720p30fps16x9 = VideoProfile{Name: "P720p30fps16x9", Bitrate: "4000k", Framerate: 30, AspectRatio: "16:9", Resolution: "1280x720"}
	P720p25fps16x9 = VideoProfile{Name: "P720p25fps16x9", Bitrate: "3500k", Framerate: 25, AspectRatio: "16:9", Resolution: "1280x720"}
	P720p30fps4x3  = VideoProfile{Name: "P720p30fps4x3", Bitrate: "3500k", Framerate: 30, AspectRatio: "4:3", Resolution: "960x720"}
	P576p30fps16x9 = VideoProfile{Name: "P576p30fps16x9", Bitrate: "1500k", Framerate: 30, AspectRatio: "16:9", Resolution: "1024x576"}
	P576p25fps16x9 = VideoProfile{Name: "P576p25fps16x9", Bitrate: "1500k", Framerate: 25, AspectRatio: "16:9", Resolution: "1024x576"}
	P360p30fps16x9 = VideoProfile{Name: "P360p30fps16x9", Bitrate: "1200k", Framerate: 30, AspectRatio: "16:9", Resolution: "640x360"}
	P360p25fps16x9 = VideoProfile{Name: "P360p25fps16x9", Bitrate: "1000k", Framerate: 25, AspectRatio: "16:9", Resolution: "640x360"}
	P360p30fps4x3  = VideoProfile{Name: "P360p30fps4x3", Bitrate: "1000k", Framerate: 30, AspectRatio: "4:3", Resolution: "480x360"}
	P240p30fps16x9 = VideoProfile{Name: "P240p30fps16x9", Bitrate: "600k", Framerate: 30, AspectRatio: "16:9", Resolution: "426x240"}
	P240p25fps16x9 = VideoProfile{Name: "P240p25fps16x9", Bitrate: "600k", Framerate: 25, AspectRatio: "16:9", Resolution: "426x240"}
	P240p30fps4x3  = VideoProfile{Name: "P240p30fps4x3", Bitrate: "600k", Framerate: 30, AspectRatio: "4:3", Resolution: "320x240"}
	P144p30fps16x9 = VideoProfile{Name: "P144p30fps16x9", Bitrate: "400k", Framerate: 30, AspectRatio: "16:9", Resolution: "256x144"}
	P144p25fps16x9 = VideoProfile{Name: "P144p25fps16x9", Bitrate: "400k", Framerate: 25, AspectRatio: "16:9", Resolution: "256x144"}
)

// The light presets, for slow connections.
var (
	P240p15fps16x9 = VideoProfile{Name: "P240p15fps16x9", Bitrate: "250k", Framerate: 15, AspectRatio: "16:9", Resolution: "426x240"}
	P144p15fps16x9 = VideoProfile{Name: "P144p15fps16x9", Bitrate: "100k", Framerate: 15, AspectRatio: "16:9", Resolution: "256x144"}

	// P72p2fps16x9 is the 2G rung. With the audio of LightAudio and the container it is
	// about 11 kbit/s: 900 times less than a source of 10 Mbit/s.
	P72p2fps16x9 = VideoProfile{Name: "P72p2fps16x9", Bitrate: "4k", Framerate: 2, AspectRatio: "16:9", Resolution: "128x72"}
)

// VideoProfileLookup gives the preset of a name.
var VideoProfileLookup = byName(
	P720p60fps16x9, P720p30fps16x9, P720p25fps16x9, P720p30fps4x3,
	P576p30fps16x9, P576p25fps16x9,
	P360p30fps16x9, P360p25fps16x9, P360p30fps4x3,
	P240p30fps16x9, P240p25fps16x9, P240p30fps4x3, P240p15fps16x9,
	P144p30fps16x9, P144p25fps16x9, P144p15fps16x9,
	P72p2fps16x9,
)

func byName(profiles ...VideoProfile) map[string]VideoProfile {
	m := make(map[string]VideoProfile, len(profiles))
	for _, p := range profiles {
		m[p.Name] = p
	}
	return m
}

// LightAudio is the audio of the 2G rung: mono AAC at 8 kHz, about 4 kbit/s. The fast coder
// of libav's encoder keeps to the bitrate, the default one does not. The map is the caller's.
func LightAudio() ComponentOptions {
	return ComponentOptions{Name: "aac", Opts: map[string]string{"b": "3600", "aac_coder": "fast", "ar": "8000", "ac": "1"}}
}

// AudioOnly is a rendition without pictures.
func AudioOnly(name string, audio ComponentOptions) Rendition {
	return Rendition{
		Profile: VideoProfile{Name: name},
		Video:   ComponentOptions{Name: "drop"},
		Audio:   audio,
	}
}
