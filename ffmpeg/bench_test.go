package ffmpeg

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchMedia is a stream of 2.5 Mbit/s and 128 kbit/s with a keyframe every two seconds.
func benchMedia(tb testing.TB) media {
	flv, err := runFFmpeg("-f lavfi -i testsrc2=size=1280x720:rate=30,noise=alls=20 "+testAudio+"-t 4 "+x264+
		"-b:v 2500k -minrate 2500k -maxrate 2500k -bufsize 2500k -nal-hrd cbr "+aac, "bench.flv")
	require.NoError(tb, err)
	return readFLV(tb, flv)
}

func BenchmarkSegment(b *testing.B) {
	m := benchMedia(b)
	var group []mediaPacket
	for _, p := range m.packets {
		if p.DTS >= 2*time.Second {
			break
		}
		group = append(group, p)
	}
	mux, err := NewMuxer(FormatMPEGTS, m.tracks...)
	require.NoError(b, err)
	defer mux.Close()
	base, size := time.Duration(0), 0
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range group {
			p.DTS += base
			p.PTS += base
			if err := mux.WritePacket(p.track, p.Packet); err != nil {
				b.Fatal(err)
			}
		}
		base += 2 * time.Second
		segment, err := mux.Cut()
		if err != nil {
			b.Fatal(err)
		}
		size = len(segment)
	}
	b.ReportMetric(float64(len(group)), "packets/op")
	b.ReportMetric(float64(size), "bytes/op")
}

func BenchmarkNewMuxer(b *testing.B) {
	m := recorded(b)
	b.ReportAllocs()
	for b.Loop() {
		mux, err := NewMuxer(FormatMPEGTS, m.tracks...)
		if err != nil {
			b.Fatal(err)
		}
		mux.Close()
	}
}

// residentKB is the process's resident memory.
func residentKB(tb testing.TB) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(tb, err)
			return n
		}
	}
	tb.Skip("no VmRSS")
	return 0
}

// instrumented reports whether the race detector or a sanitizer is in the binary.
func instrumented() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return (s.Key == "-race" || s.Key == "-asan" || s.Key == "-msan") && s.Value == "true"
	})
}

// Hundreds of muxers are open in a server: one must stay small, right after it was
// opened and after it has written segments.
func TestMuxerMemory(t *testing.T) {
	if testing.Short() || instrumented() {
		t.Skip("measures memory")
	}
	const n = 500
	m := recorded(t)
	settle := func() int {
		runtime.GC()
		debug.FreeOSMemory()
		return residentKB(t)
	}
	before := settle()
	muxers := make([]*Muxer, n)
	for i := range muxers {
		var err error
		muxers[i], err = NewMuxer(FormatMPEGTS, m.tracks...)
		require.NoError(t, err)
		defer muxers[i].Close()
	}
	open := settle()
	full := 0
	for range 3 {
		for k, p := range m.packets[:200] {
			for _, mux := range muxers {
				p := p
				p.DTS += time.Duration(full) * time.Hour
				p.PTS += time.Duration(full) * time.Hour
				if err := mux.WritePacket(p.track, p.Packet); err != nil {
					t.Fatal(k, err)
				}
			}
		}
		full++
		for _, mux := range muxers {
			if _, err := mux.Cut(); err != nil {
				t.Fatal(err)
			}
		}
	}
	used := settle()
	t.Logf("per muxer: %d kB opened, %d kB after three segments", (open-before)/n, (used-before)/n)
	require.Less(t, (open-before)/n, 64)
	require.Less(t, (used-before)/n, 128)
}
