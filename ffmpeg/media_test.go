package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// media is a recording as a publisher would send it.
type media struct {
	tracks  []Track
	packets []mediaPacket // in the order sent
}

type mediaPacket struct {
	track int
	Packet
}

// runFFmpeg runs the ffmpeg program and returns the file it wrote.
func runFFmpeg(args string, name string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "lpms-ffmpeg")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, name)
	cmd := exec.Command("ffmpeg", append(append([]string{"-nostdin", "-v", "error"}, strings.Fields(args)...), out)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ffmpeg %s: %w: %s", args, err, text)
	}
	return os.ReadFile(out)
}

const (
	testVideo = "-f lavfi -i testsrc2=size=320x240:rate=30 "
	testAudio = "-f lavfi -i sine=frequency=440:sample_rate=44100 "
	x264      = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 60 -keyint_min 60 -sc_threshold 0 -bf 2 "
	aac       = "-c:a aac -b:a 128k -ac 2 "
)

// recordedFLV is eight seconds of H.264 with B-frames and AAC, a keyframe every two.
var recordedFLV = sync.OnceValues(func() ([]byte, error) {
	return runFFmpeg(testVideo+testAudio+"-t 8 "+x264+aac, "av.flv")
})

func recorded(t testing.TB) media {
	t.Helper()
	flv, err := recordedFLV()
	require.NoError(t, err)
	m := readFLV(t, flv)
	require.Len(t, m.tracks, 2)
	return m
}

// readFLV reads the H.264 and AAC tags of a file in order.
func readFLV(t testing.TB, flv []byte) media {
	t.Helper()
	require.True(t, bytes.HasPrefix(flv, []byte("FLV\x01")))
	var m media
	video, audio := -1, -1
	b := flv[binary.BigEndian.Uint32(flv[5:])+4:]
	for len(b) >= 11 {
		kind, size := b[0], int(b[1])<<16|int(b[2])<<8|int(b[3])
		dts := time.Duration(int64(b[7])<<24|int64(b[4])<<16|int64(b[5])<<8|int64(b[6])) * time.Millisecond
		body := b[11 : 11+size]
		b = b[11+size+4:]
		switch {
		case kind == 9 && body[0]&0x0f == 7 && body[1] == 0:
			video = len(m.tracks)
			m.tracks = append(m.tracks, Track{Video: &VideoTrack{Codec: H264, Extradata: body[5:], Width: 320, Height: 240}})
		case kind == 9 && body[0]&0x0f == 7 && body[1] == 1:
			cts := time.Duration(int32(binary.BigEndian.Uint32(body[1:])<<8)>>8) * time.Millisecond
			m.packets = append(m.packets, mediaPacket{video, Packet{DTS: dts, PTS: dts + cts, Key: body[0]>>4 == 1, Data: body[5:]}})
		case kind == 8 && body[0]>>4 == 10 && body[1] == 0:
			audio = len(m.tracks)
			m.tracks = append(m.tracks, Track{Audio: &AudioTrack{Extradata: body[2:], SampleRate: 44100, Channels: 2}})
		case kind == 8 && body[0]>>4 == 10 && body[1] == 1:
			m.packets = append(m.packets, mediaPacket{audio, Packet{DTS: dts, PTS: dts, Key: true, Data: body[2:]}})
		}
	}
	return m
}

// only keeps one track, as track 0.
func (m media) only(track int) media {
	one := media{tracks: m.tracks[track : track+1]}
	for _, p := range m.packets {
		if p.track == track {
			one.packets = append(one.packets, mediaPacket{0, p.Packet})
		}
	}
	return one
}

// shift moves all times.
func (m media) shift(by time.Duration) media {
	moved := media{tracks: m.tracks}
	for _, p := range m.packets {
		p.DTS += by
		p.PTS += by
		moved.packets = append(moved.packets, p)
	}
	return moved
}

// of gives the packets of one track.
func (m media) of(track int) []Packet {
	var ps []Packet
	for _, p := range m.packets {
		if p.track == track {
			ps = append(ps, p.Packet)
		}
	}
	return ps
}

// segments muxes everything, with a cut before each keyframe of the first track
// that is at least two seconds after the last cut.
func (m media) segments(t testing.TB) [][]byte {
	t.Helper()
	mux, err := NewMuxer(FormatMPEGTS, m.tracks...)
	require.NoError(t, err)
	defer mux.Close()
	var all [][]byte
	cut := func() {
		b, err := mux.Cut()
		require.NoError(t, err)
		require.NotEmpty(t, b)
		all = append(all, b)
	}
	start := m.packets[0].DTS
	for _, p := range m.packets {
		if p.track == 0 && p.Key && p.DTS-start >= 2*time.Second-50*time.Millisecond {
			cut()
			start = p.DTS
		}
		require.NoError(t, mux.WritePacket(p.track, p.Packet))
	}
	cut()
	return all
}

// probed is what ffprobe says of a file.
type probed struct {
	Streams []struct {
		Index     int    `json:"index"`
		CodecName string `json:"codec_name"`
		CodecType string `json:"codec_type"`
		Frames    string `json:"nb_read_frames"`
	} `json:"streams"`
	Packets []struct {
		Stream int    `json:"stream_index"`
		PTS    int64  `json:"pts"`
		DTS    int64  `json:"dts"`
		Size   string `json:"size"`
		Flags  string `json:"flags"`
	} `json:"packets"`
}

// ffprobe reads data with the ffprobe program, decoding every frame; errors that it
// reports fail the test.
func ffprobe(t testing.TB, data []byte) probed {
	t.Helper()
	cmd := exec.Command("ffprobe", "-v", "error", "-of", "json", "-count_frames", "-show_streams", "-show_packets", "-i", "pipe:0")
	cmd.Stdin = bytes.NewReader(data)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	require.Empty(t, stderr.String())
	var p probed
	require.NoError(t, json.Unmarshal(out, &p))
	return p
}
