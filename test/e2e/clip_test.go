package e2e

import (
	"fmt"
	"hash/maphash"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/rtmp"
	"github.com/livepeer/lpms/internal/testmedia"
)

// frame is one access unit of a track.
type frame struct {
	dts, pts time.Duration
	key      bool
	sum      uint64 // of its bytes; 0 where they are not compared
}

// clip is a file with what is in it, for comparison with what arrives.
type clip struct {
	path         string
	video, audio []frame
	codecs       string        // as RFC 6381 names them
	perFrame     time.Duration // of video, on average
	perSound     time.Duration // of an audio frame
}

var clips struct {
	mu sync.Mutex
	of map[string]*clip
}

// makeClip makes a clip once for the whole run.
func makeClip(t testing.TB, name string, c testmedia.Clip) *clip {
	t.Helper()
	clips.mu.Lock()
	defer clips.mu.Unlock()
	if made := clips.of[name]; made != nil {
		return made
	}
	path, err := c.Make(workDir, name)
	require.NoError(t, err)
	made := readClip(t, path)
	if clips.of == nil {
		clips.of = make(map[string]*clip)
	}
	clips.of[name] = made
	return made
}

var seed = maphash.MakeSeed()

// readClip reads an FLV file.
func readClip(t testing.TB, path string) *clip {
	t.Helper()
	messages, err := testmedia.ReadFLV(path)
	require.NoError(t, err, filepath.Base(path))
	c := &clip{path: path}
	sound := ""
	for _, m := range messages {
		at := time.Duration(m.Timestamp) * time.Millisecond
		switch m.Type {
		case rtmp.TypeVideo:
			v, err := rtmp.ParseVideo(m.Payload)
			require.NoError(t, err)
			switch v.Kind {
			case rtmp.TagConfig: // profile, constraints and level (ISO/IEC 14496-15, 5.3.3.1.2)
				c.codecs = fmt.Sprintf("avc1.%x", v.Data[1:4])
			case rtmp.TagFrame:
				pts := at + time.Duration(v.CompositionTime)*time.Millisecond
				c.video = append(c.video, frame{at, pts, v.Key, maphash.Bytes(seed, v.Data)})
			}
		case rtmp.TypeAudio:
			a, err := rtmp.ParseAudio(m.Payload)
			require.NoError(t, err)
			switch a.Kind {
			case rtmp.TagConfig:
				c.perSound = 1024 * time.Second / time.Duration(sampleRate(t, a.Data))
				sound = "mp4a.40.2"
			case rtmp.TagFrame:
				c.audio = append(c.audio, frame{at, at, true, maphash.Bytes(seed, a.Data)})
			}
		}
	}
	c.codecs = strings.Trim(c.codecs+","+sound, ",")
	if n := len(c.video); n > 1 {
		c.perFrame = (c.video[n-1].dts - c.video[0].dts) / time.Duration(n-1)
	}
	return c
}

// sampleRate reads an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
func sampleRate(t testing.TB, config []byte) int {
	t.Helper()
	rates := []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	require.GreaterOrEqual(t, len(config), 2)
	index := int(config[0]&7)<<1 | int(config[1]>>7)
	require.Less(t, index, len(rates))
	return rates[index]
}

// sums are the frames by their bytes.
func sums(frames []frame) []uint64 {
	out := make([]uint64, len(frames))
	for i, f := range frames {
		out[i] = f.sum
	}
	return out
}
