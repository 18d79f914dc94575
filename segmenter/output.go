package segmenter

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/nareix/joy4/codec/aacparser"
	"github.com/nareix/joy4/codec/h264parser"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/codec"
	"github.com/livepeer/lpms/stream"
)

// output writes segments with one muxer for as long as the tracks stay the same, so
// that continuity counters go on from one segment to the next.
type output struct {
	muxer  *ffmpeg.Muxer
	video  []byte // the configurations that muxer was opened with
	audio  []byte
	tracks [2]int // the muxer's numbers of video and audio
	info   *stream.RenditionInfo
	groups groups
}

// mux writes a segment. refused counts packets whose bytes are not what their track
// says: they are left out.
func (o *output) mux(seg *segment) (data []byte, refused int, err error) {
	if err := o.open(seg); err != nil {
		return nil, 0, err
	}
	for i := range seg.packets {
		p := &seg.packets[i]
		if p.Audio {
			refused += o.audioFrame(p)
		} else if o.muxer.WritePacket(o.tracks[0], ffmpeg.Packet{DTS: p.Time, PTS: p.PTS(), Key: p.IsKeyFrame, Data: p.Data}) != nil {
			refused++
		}
	}
	refused += o.endGroup()
	data, err = o.muxer.Cut()
	return data, refused, err
}

// audioFrame writes a frame, or keeps it for a group.
func (o *output) audioFrame(p *stream.Packet) (refused int) {
	g := &o.groups
	if g.aac == nil || len(p.Data) > maxADTS {
		refused = o.endGroup()
		if o.muxer.WritePacket(o.tracks[1], ffmpeg.Packet{DTS: p.Time, PTS: p.Time, Data: p.Data}) != nil {
			refused++
		}
		return refused
	}
	if g.frames > 0 && !g.takes(p) {
		refused = o.endGroup()
	}
	g.add(p)
	return refused
}

// endGroup writes the frames that were kept.
func (o *output) endGroup() (refused int) {
	n := int(o.groups.frames)
	if n == 0 || o.muxer.WritePacket(o.tracks[1], o.groups.take()) == nil {
		return 0
	}
	return n
}

func record(c *h264parser.CodecData) []byte {
	if c == nil {
		return nil
	}
	return c.Record
}

func configBytes(c *aacparser.CodecData) []byte {
	if c == nil {
		return nil
	}
	return c.ConfigBytes
}

// open makes the muxer fit the tracks of a segment.
func (o *output) open(seg *segment) error {
	video, audio := record(seg.video), configBytes(seg.audio)
	if o.muxer != nil && bytes.Equal(o.video, video) && bytes.Equal(o.audio, audio) {
		return nil
	}
	o.close()
	var tracks []ffmpeg.Track
	if seg.video != nil {
		o.tracks[0] = len(tracks)
		tracks = append(tracks, ffmpeg.Track{Video: &ffmpeg.VideoTrack{
			Codec: ffmpeg.H264, Extradata: video, Width: seg.video.Width(), Height: seg.video.Height(),
		}})
	}
	if seg.audio != nil {
		o.tracks[1] = len(tracks)
		tracks = append(tracks, ffmpeg.Track{Audio: &ffmpeg.AudioTrack{
			Extradata: audio, SampleRate: seg.audio.SampleRate(), Channels: seg.audio.ChannelLayout().Count(),
		}})
	}
	m, err := ffmpeg.NewMuxer(ffmpeg.FormatMPEGTS, tracks...)
	if err != nil {
		return fmt.Errorf("segmenter: %w", err)
	}
	o.muxer, o.video, o.audio, o.info = m, video, audio, nil
	var aac *codec.AAC
	if audio != nil {
		aac, _ = codec.ParseAACConfig(audio) // what cannot be read is not grouped
	}
	o.groups.reset(aac)
	return nil
}

func (o *output) close() {
	if o.muxer != nil {
		o.muxer.Close()
		o.muxer = nil
	}
}

// describe says what is in the segments since the tracks last changed. The frame rate
// is measured on the first segment with a picture.
func (o *output) describe(seg *segment, frame time.Duration) *stream.RenditionInfo {
	if o.info != nil {
		return o.info
	}
	info := new(stream.RenditionInfo)
	complete := true
	if seg.video != nil {
		c, err := codec.ParseAVCConfig(seg.video.Record)
		if err == nil {
			info.Codecs, info.Width, info.Height = c.CodecString(), c.Width, c.Height
		}
		complete = seg.frames > 1
		if complete && frame > 0 && err == nil {
			info.FrameRate = frameRate(frame, c)
		}
	}
	if seg.audio != nil {
		if c, err := codec.ParseAACConfig(seg.audio.ConfigBytes); err == nil {
			if info.Codecs != "" {
				info.Codecs += ","
			}
			info.Codecs += c.CodecString()
		}
	}
	if complete {
		o.info = info
	}
	return info
}

// frameRate is what the distance of frames says, or what the encoder says when that
// is the same within the error of RTMP's clock.
func frameRate(frame time.Duration, c *codec.AVC) float64 {
	measured := float64(time.Second) / float64(frame)
	if c.FrameRate > 0 && math.Abs(measured/c.FrameRate-1) < 0.01 {
		measured = c.FrameRate
	}
	return math.Round(measured*1000) / 1000
}
