package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ticks converts a time of MPEG-TS.
func ticks(n int64) time.Duration { return time.Duration(n) * time.Second / 90_000 }

// probe reads each segment by itself with ffprobe. One that is cut out of the middle of a
// group of pictures lacks what its pictures refer to: then ffprobe may say so.
func (v *viewer) probe(t testing.TB, independent bool) {
	t.Helper()
	dir := t.TempDir()
	for _, s := range v.segments {
		s.path = filepath.Join(dir, strconv.FormatUint(s.sequence, 10)+".ts")
		require.NoError(t, os.WriteFile(s.path, s.data, 0o600))
	}
	for _, s := range v.segments {
		complaint := s.probe(t)
		if independent {
			require.Empty(t, complaint, "what ffprobe says of segment %d", s.sequence)
		}
	}
}

func (s *segment) probe(t testing.TB) (complaint string) {
	t.Helper()
	stdout, complaint := output(t, "ffprobe", "-v", "error", "-of", "json", "-show_entries",
		"stream=id,codec_name:packet=stream_index,codec_type,pts,dts,flags", s.path)
	var found struct {
		Packets []struct {
			CodecType string `json:"codec_type"`
			PTS, DTS  *int64
			Flags     string
		}
		Streams []struct {
			ID        string
			CodecName string `json:"codec_name"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &found))
	for _, st := range found.Streams {
		s.tracks = append(s.tracks, st.CodecName+" as "+st.ID)
	}
	for _, p := range found.Packets {
		require.NotNil(t, p.PTS, "a packet of segment %d has no time", s.sequence)
		f := frame{pts: ticks(*p.PTS), dts: ticks(*p.PTS), key: strings.HasPrefix(p.Flags, "K")}
		if p.DTS != nil {
			f.dts = ticks(*p.DTS)
		}
		if p.CodecType == "video" {
			s.video = append(s.video, f)
		} else {
			s.audio = append(s.audio, f)
		}
	}
	return complaint
}

// H.264 NAL unit types (ITU-T H.264, table 7-1).
const (
	nalIDR = 5
	nalSPS = 7
	nalPPS = 8
)

var errFirst = errors.New("that was the first")

// firstUnits are the types of the NAL units of a segment's first picture, as a second
// reader that is not ours sees them.
func (s *segment) firstUnits(t testing.TB) []int {
	t.Helper()
	var types []int
	r := &mpegts.Reader{R: bytes.NewReader(s.data)}
	require.NoError(t, r.Initialize())
	for _, track := range r.Tracks() {
		if _, ok := track.Codec.(*codecs.H264); ok {
			r.OnDataH264(track, func(_, _ int64, au [][]byte) error {
				for _, unit := range au {
					types = append(types, int(unit[0]&0x1f))
				}
				return errFirst
			})
		}
	}
	for {
		if err := r.Read(); err != nil {
			break // errFirst, or the end
		}
	}
	return types
}

// checkContinuity checks what must hold between two discontinuities: the tracks stay what
// they are, and the counters of the packets go on (ISO/IEC 13818-1, 2.4.3.3). A segment is
// whole packets with the tables in front (RFC 8216, 3.2).
func (r segments) checkContinuity(t testing.TB) {
	t.Helper()
	last := map[int]byte{}
	for _, s := range r {
		require.Zero(t, len(s.data)%188)
		assert.Equal(t, r[0].tracks, s.tracks, "tracks and PIDs of segment %d", s.sequence)
		require.True(t, tablesFirst(s.data), "segment %d begins with PAT and PMT", s.sequence)
		for p := s.data; len(p) > 0; p = p[188:] {
			require.Equal(t, byte(0x47), p[0])
			pid := int(p[1]&0x1f)<<8 | int(p[2])
			if p[3]&0x10 == 0 { // no payload
				continue
			}
			counter := p[3] & 0xf
			if before, ok := last[pid]; ok {
				require.Equal(t, (before+1)&0xf, counter, "continuity counter of %#x in segment %d", pid, s.sequence)
			}
			last[pid] = counter
		}
	}
}

// tablesFirst reports whether PAT and PMT come before any media.
func tablesFirst(data []byte) bool {
	pmt := -1
	for ; len(data) >= 188; data = data[188:] {
		switch pid := int(data[1]&0x1f)<<8 | int(data[2]); pid {
		case 0: // one program behind the pointer field and the 8 bytes of the head
			pmt = int(data[5+8+2]&0x1f)<<8 | int(data[5+8+3])
		case 0x11: // description of the service
		default:
			return pid == pmt
		}
	}
	return false
}

// decoders bounds how many run at a time.
var decoders = make(chan struct{}, 2)

// decode lets ffmpeg decode everything in one go, and each segment alone, and wants no
// word of complaint.
func (r segments) decode(t testing.TB, alone bool) {
	t.Helper()
	all := filepath.Join(t.TempDir(), "all.ts")
	require.NoError(t, os.WriteFile(all, r.bytes(), 0o600))
	paths := []string{all}
	if alone {
		for _, s := range r {
			paths = append(paths, s.path)
		}
	}
	var wg sync.WaitGroup
	for _, path := range paths {
		wg.Go(func() {
			decoders <- struct{}{}
			defer func() { <-decoders }()
			_, stderr, err := run(t.Context(), "ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", path,
				"-enc_time_base", "-1", "-f", "null", "-") // do not round times to a guessed frame rate
			assert.NoError(t, err, filepath.Base(path))
			assert.Empty(t, stderr, "what ffmpeg says of %s", filepath.Base(path))
		})
	}
	wg.Wait()
}
