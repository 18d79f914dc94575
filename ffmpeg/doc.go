// Package ffmpeg is the one place where the project meets FFmpeg's libraries.
//
// At the end of the ingest path a [Muxer] makes segments of an MPEG transport stream out of
// H.264 and AAC packets. A [Ladder] transcodes such segments, or files, to several
// renditions with one decode. [Probe] tells what is in a media file. All C of the project
// is here; it needs FFmpeg 5.1 or newer.
//
// The smallest use of a Ladder:
//
//	l, err := ffmpeg.NewLadder(ffmpeg.LadderOptions{
//		Continuous: true, // the segments are those of one stream
//		Renditions: []ffmpeg.Rendition{{Profile: ffmpeg.P240p30fps16x9}, {Profile: ffmpeg.P144p30fps16x9}},
//	})
//	if err != nil {
//		return err
//	}
//	defer l.Close()
//	for segment := range segments {
//		result, err := l.Transcode(ctx, ffmpeg.Input{Data: segment}, nil)
//		...
//	}
//
// and of a Muxer:
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
// The caller's duties with a Muxer, in order: write the packets of all tracks by rising DTS, cut
// where the next packet is a keyframe, close the muxer. A [Muxer] is for one goroutine
// at a time, as is a Ladder; different ones are independent.
//
// [Transcode3] and [Transcoder] are the faces of the Ladder that embedders of the published
// LPMS know.
//
// Segments of one stream can also be transcoded by a Ladder for each, on different machines
// ([LadderOptions].Joined). Encoded sound and pictures that refer to those of the segment before
// need its end then: [Input].Before, which may be no more than its [SoundTail].
//
// The package does not decide where to cut, does not repair timestamps and does not
// log. FFmpeg's own messages are off until [InitFFmpegWithLogLevel] or
// [FfmpegSetLogLevel] asks for them; that level belongs to the process.
package ffmpeg
