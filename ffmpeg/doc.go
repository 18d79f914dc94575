// Package ffmpeg is the one place where the project meets FFmpeg's libraries.
//
// It stands at the end of the ingest path: H.264 and AAC packets go in, segments
// of an MPEG transport stream come out, and [Probe] tells what is in a media file.
// All C of the project is here; it needs FFmpeg 5.1 or newer.
//
// The smallest use:
//
//	m, err := ffmpeg.NewMuxer(ffmpeg.FormatMPEGTS,
//		ffmpeg.Track{Video: &ffmpeg.VideoTrack{Codec: ffmpeg.H264, Extradata: avcc}},
//		ffmpeg.Track{Audio: &ffmpeg.AudioTrack{Extradata: asc, SampleRate: 48000, Channels: 2}})
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	for p := range packets {
//		if p.Key && longEnough {
//			segment, err := m.Cut()
//			...
//		}
//		if err := m.WritePacket(track, p); err != nil { ... }
//	}
//
// The caller's duties, in order: write the packets of all tracks by rising DTS, cut
// where the next packet is a keyframe, close the muxer. A [Muxer] is for one goroutine
// at a time; different muxers are independent.
//
// The package does not decide where to cut, does not repair timestamps and does not
// log. FFmpeg's own messages are off until [InitFFmpegWithLogLevel] or
// [FfmpegSetLogLevel] asks for them; that level belongs to the process.
package ffmpeg
