package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/livepeer/lpms/ffmpeg"
)

// codecs are what a worker may be asked to encode, by name.
var codecs = map[string]ffmpeg.VideoCodec{"h264": ffmpeg.H264, "hevc": ffmpeg.H265}

// EncodersHere are the names of the codecs that this process really encodes with an acceleration:
// each is tried on some pictures, because a library may have an encoder that the machine has no
// device for. The error is why H.264 is not among them. It takes some tenths of a second.
func EncodersHere(ctx context.Context, accel ffmpeg.Acceleration, device string) (names []string, err error) {
	sample, err := sampleSegment()
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(codecs)) {
		failed := encodeSample(ctx, sample, codecs[name], accel, device)
		switch {
		case failed == nil:
			names = append(names, name)
		case codecs[name] == ffmpeg.H264:
			return nil, fmt.Errorf("this machine cannot encode H.264 (%s): %w", ffmpeg.AccelerationNameLookup[accel], failed)
		}
	}
	return names, nil
}

func encodeSample(ctx context.Context, sample []byte, codec ffmpeg.VideoCodec, accel ffmpeg.Acceleration, device string) error {
	p := ffmpeg.VideoProfile{Name: "sample", Resolution: "256x144", Bitrate: "100k", Encoder: codec}
	l, err := ffmpeg.NewLadder(ffmpeg.LadderOptions{Renditions: []ffmpeg.Rendition{{Profile: p}}, Accel: accel, Device: device})
	if err != nil {
		return err
	}
	defer l.Close()
	r, err := l.Transcode(ctx, ffmpeg.Input{Data: sample}, nil)
	if err != nil {
		return err
	}
	return r.Outputs[0].Err
}

// sampleSegment is some grey pictures.
func sampleSegment() ([]byte, error) {
	const width, height, pictures = 320, 180, 5
	enc, err := ffmpeg.NewRawVideoEncoder(ffmpeg.RawVideoOptions{Width: width, Height: height})
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	m, err := ffmpeg.NewMuxer(ffmpeg.FormatMPEGTS, ffmpeg.Track{Video: &ffmpeg.VideoTrack{
		Codec: ffmpeg.H264, Extradata: enc.Extradata(), Width: width, Height: height,
	}})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	luma, chroma := slices.Repeat([]byte{128}, width*height), slices.Repeat([]byte{128}, width*height/4)
	var all []ffmpeg.Packet
	for n := range int64(pictures) {
		packets, err := enc.Encode(n, luma, chroma, chroma)
		if err != nil {
			return nil, err
		}
		all = append(all, packets...)
	}
	packets, err := enc.Flush()
	for _, p := range append(all, packets...) {
		err = errors.Join(err, m.WritePacket(0, p))
	}
	if err != nil {
		return nil, err
	}
	return m.Cut()
}
