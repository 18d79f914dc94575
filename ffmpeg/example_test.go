package ffmpeg_test

import (
	"fmt"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
)

// A second of silence becomes a segment.
func ExampleNewMuxer() {
	m, err := ffmpeg.NewMuxer(ffmpeg.FormatMPEGTS, ffmpeg.Track{Audio: &ffmpeg.AudioTrack{
		Extradata:  []byte{0x11, 0x90}, // AAC-LC, 48 kHz, stereo
		SampleRate: 48000,
		Channels:   2,
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	frame := []byte{0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c}
	for i := range 47 {
		at := time.Duration(i) * 1024 * time.Second / 48000
		if err := m.WritePacket(0, ffmpeg.Packet{DTS: at, PTS: at, Data: frame}); err != nil {
			fmt.Println(err)
		}
	}
	segment, err := m.Cut()
	if err != nil {
		fmt.Println(err)
	}
	info, err := ffmpeg.Probe(segment)
	if err != nil {
		fmt.Println(err)
		return
	}
	audio := info.Audio()
	fmt.Println(len(segment)/188, "TS packets:", audio.Packets, audio.Codec, "frames at", audio.Audio.SampleRate, "Hz")
	// Output: 49 TS packets: 47 aac frames at 48000 Hz
}
