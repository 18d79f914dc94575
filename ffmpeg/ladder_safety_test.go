package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// typed reports whether a caller can tell what an error is about.
func typed(err error) bool {
	for _, want := range []error{ErrTranscoderVid, ErrTranscoderHw, ErrTranscoderRes, ErrProfile} {
		if errors.Is(err, want) {
			return true
		}
	}
	return known(err)
}

// A context that ends stops the work at once, with its cause, and nothing is left. The
// Ladder can be used again.
func TestLadderCancel(t *testing.T) {
	data := clip(t, "a.ts", "-f lavfi -i testsrc2=size=640x360:rate=30 "+sine+"-t 20 -c:v libx264 -preset ultrafast -pix_fmt yuv420p "+aac+asIs)
	small := clip(t, "a.ts", smallVideo+"-t 0.5 "+fastX264+asIs)
	name := fileOf(t, data)
	enough := errors.New("enough")
	for _, continuous := range []bool{false, true} {
		before := LiveHandles()
		p := profile("640x360", 0, 1, FormatMPEGTS)
		l, err := NewLadder(LadderOptions{Continuous: continuous, Preset: "medium", Renditions: []Rendition{{Profile: p}, {Profile: profile("320x180", 0, 1, FormatMP4)}}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		var at time.Time
		res, err := l.TranscodeTo(ctx, Input{Path: name}, []io.Writer{io.Discard, io.Discard}, func(read time.Duration) {
			if read > time.Second && at.IsZero() {
				at = time.Now()
				cancel(enough)
			}
		})
		took := time.Since(at)
		require.ErrorIs(t, err, enough)
		require.Nil(t, res)
		require.False(t, at.IsZero())
		t.Logf("continuous %v: stopped %v after", continuous, took)
		require.Less(t, took, time.Second)
		transcode(t, l, small)

		_, err = l.Transcode(ctx, Input{Data: small}, nil)
		require.ErrorIs(t, err, enough, "a context that has ended")
		l.Close()
		l.Close()
		require.Equal(t, before, LiveHandles())
		_, err = l.Transcode(t.Context(), Input{Data: small}, nil)
		require.ErrorIs(t, err, ErrClosed)
	}
}

// A rendition that fails is alone with it, also when others are scaled from it.
func TestLadderFailsAlone(t *testing.T) {
	data := clip(t, "a.ts", smallVideo+sine+"-t 1 "+fastX264+aac+asIs)
	good := Rendition{Profile: profile("80x45", 0, 1, FormatMPEGTS)}
	bad := Rendition{Profile: profile("320x180", 0, 1, FormatMPEGTS), Video: ComponentOptions{Opts: map[string]string{"no-such-option": "1"}}}
	badMuxer := good
	badMuxer.Muxer.Opts = map[string]string{"no-such-option": "1"}
	badSound := good
	badSound.Audio = ComponentOptions{Name: "aac", Opts: map[string]string{"no-such-option": "1"}}
	for name, b := range map[string]Rendition{"encoder": bad, "muxer": badMuxer, "sound": badSound} {
		for _, continuous := range []bool{false, true} {
			l := ladder(t, LadderOptions{Continuous: continuous, Renditions: []Rendition{good, b, good}})
			for range 2 {
				told := make(chan int, 8)
				res, err := l.Transcode(t.Context(), Input{Data: data}, func(i int, o Output) { told <- i })
				require.NoError(t, err, name)
				require.Len(t, told, 3, "each is told of once")
				require.Error(t, res.Outputs[1].Err, name)
				require.True(t, typed(res.Outputs[1].Err), res.Outputs[1].Err)
				require.ErrorContains(t, res.Outputs[1].Err, "no-such-option")
				for _, i := range []int{0, 2} {
					require.NoError(t, res.Outputs[i].Err, "%s: rendition %d", name, i)
					require.Equal(t, 30, inspect(t, res.Outputs[i].Data).Video.decoded)
				}
			}
		}
	}
}

type brokenSink struct{}

var errFull = errors.New("the disk is full")

func (brokenSink) Write([]byte) (int, error) { return 0, errFull }

func TestLadderBrokenSink(t *testing.T) {
	data := clip(t, "a.ts", smallVideo+sine+"-t 1 "+fastX264+aac+asIs)
	l := ladder(t, all(copied))
	var good bytes.Buffer
	res, err := l.TranscodeTo(t.Context(), Input{Data: data}, []io.Writer{brokenSink{}, &good}, nil)
	require.NoError(t, err)
	require.ErrorIs(t, res.Outputs[0].Err, errFull)
	require.NoError(t, res.Outputs[1].Err)
	require.Equal(t, 15, inspect(t, good.Bytes()).Video.decoded)
}

func randomBytes(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// One broken segment never stops a stream: those that are good come out complete.
func TestLadderBrokenSegments(t *testing.T) {
	t.Parallel()
	segments := pieces(t, liveSource)
	noise := randomBytes(188 * 500)
	for i := 0; i < len(noise); i += 188 {
		noise[i] = 0x47
	}
	damaged := bytes.Clone(segments[1])
	r := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		damaged[188*8+r.IntN(len(damaged)-188*8)] ^= byte(r.Uint32())
	}
	opts := all(ComponentOptions{Name: "aac"})
	opts.Continuous = true
	opts.Renditions = append(opts.Renditions, Rendition{Video: copied})
	l := ladder(t, opts)
	for i, s := range []struct {
		name string
		data []byte
		good bool
	}{
		{"good", segments[0], true},
		{"garbage", randomBytes(100_000), false},
		{"good", segments[1], true},
		{"truncated", segments[2][:len(segments[2])/3/188*188+50], false},
		{"good", segments[2], true},
		{"noise in TS packets", noise, false},
		{"empty", []byte{}, false},
		{"damaged", damaged, false},
		{"text", bytes.Repeat([]byte("not a segment "), 1000), false},
		{"good", segments[3], true},
	} {
		res, err := l.Transcode(t.Context(), Input{Data: s.data}, nil)
		if !s.good {
			if err != nil {
				require.True(t, typed(err), "%s: %v", s.name, err)
				require.False(t, Retryable(err), "%s: %v", s.name, err)
			} else {
				for _, o := range res.Outputs {
					require.True(t, o.Err == nil || typed(o.Err), o.Err)
					if o.Err == nil && s.name == "truncated" {
						require.NotZero(t, inspectLoose(t, o.Data).Video.decoded)
					}
				}
			}
			continue
		}
		require.NoError(t, err, "segment %d", i)
		want := decodedTimes(t, s.data)
		for k, o := range res.Outputs {
			require.NoError(t, o.Err)
			out := inspectLoose(t, o.Data)
			require.NotNil(t, out.Audio, "segment %d, rendition %d", i, k)
			if k != 1 {
				requireTimes(t, want, out.Video.times())
			}
			if k == 0 {
				require.Greater(t, similarity(t, o.Data, s.data, "null"), 0.93)
			}
		}
	}
}

// What is no media is refused with an error that says whether to try again.
func TestLadderHostile(t *testing.T) {
	t.Parallel()
	claim := []byte{0x05, 0xf5, 0xe1, 0x00} // 100 million
	ftyp := box("ftyp", []byte("isom\x00\x00\x02\x00isom"))
	huge := clip(t, "a.ts", "-f lavfi -i color=size=8192x4864:rate=1 -frames:v 1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p "+asIs)
	good := clip(t, "a.mp4", smallVideo+sine+"-t 1 "+fastX264+aac+"-movflags +faststart")
	far := bytes.Clone(good) // a time scale of 1 makes the times very large
	if i := bytes.Index(far, []byte("mdhd")); i > 0 {
		copy(far[i+16:], []byte{0, 0, 0, 1})
	}
	if i := bytes.Index(far, []byte("stts")); i > 0 {
		copy(far[i+16:], []byte{0x7f, 0xff, 0xff, 0xff})
	}
	for name, data := range map[string][]byte{
		"no bytes":        {},
		"one byte":        {0x47},
		"text":            []byte("hello"),
		"playlist":        []byte("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
		"zip":             append([]byte("PK\x03\x04"), randomBytes(1000)...),
		"a large picture": huge,
		"ftyp":            ftyp,
		"many samples":    append(bytes.Clone(ftyp), box("moov", box("trak", box("mdia", box("minf", box("stbl", box("stsz", make([]byte, 4), []byte{0, 0, 0, 1}, claim))))))...),
		"null packets":    bytes.Repeat(append([]byte{0x47, 0x1f, 0xff, 0x10}, make([]byte, 184)...), 100),
		"empty FLV":       []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"),
		"FLV of noise":    append([]byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"), randomBytes(5000)...),
		"only a header":   good[:600],
		"far times":       far,
	} {
		t.Run(name, func(t *testing.T) {
			l := ladder(t, all(ComponentOptions{Name: "aac"}))
			start := time.Now()
			res, err := l.Transcode(t.Context(), Input{Data: data}, nil)
			require.Less(t, time.Since(start), 10*time.Second)
			t.Log(err)
			if name == "far times" {
				require.True(t, err == nil || typed(err), err)
				if err == nil {
					for _, o := range res.Outputs {
						require.True(t, o.Err == nil || typed(o.Err), o.Err)
					}
				}
				return
			}
			require.Error(t, err)
			require.True(t, typed(err), err)
			require.False(t, Retryable(err))
		})
	}
	l := ladder(t, all(copied))
	_, err := l.Transcode(t.Context(), Input{}, nil)
	require.ErrorIs(t, err, ErrFormat)
	_, err = l.Transcode(t.Context(), Input{Data: good, Path: "x"}, nil)
	require.ErrorIs(t, err, ErrFormat)
	_, err = l.Transcode(t.Context(), Input{Path: t.TempDir() + "/none"}, nil)
	require.Error(t, err)
	_, err = l.TranscodeTo(t.Context(), Input{Data: good}, nil, nil)
	require.Error(t, err)
}

// Every size of libav's allocations fails once: there is an error with a type, or it works,
// and nothing is left open. x264 has allocations of its own, which are not touched.
func TestLadderAllocationFailures(t *testing.T) {
	defer limitAllocations(noLimit)
	data := clip(t, "a.ts", "-f lavfi -i testsrc2=size=64x48:rate=10 "+sine+"-t 0.4 "+fastX264+"-bf 2 "+aac+asIs)
	opts := LadderOptions{Threads: 1, Renditions: []Rendition{
		{Profile: profile("32x24", 0, 1, FormatMPEGTS), Audio: ComponentOptions{Name: "aac"}},
		{Profile: profile("64x48", 15, 1, FormatMP4)},
		{Profile: VideoProfile{Format: FormatMPEGTS}, Video: copied},
	}}
	require.NoError(t, transcodeLimited(t, opts, data, noLimit))
	failed, worked := 0, 0
	for size := 1; size < 16<<20; size += 1 + size/3 {
		opts.Continuous = !opts.Continuous
		if transcodeLimited(t, opts, data, size) != nil {
			failed++
		} else {
			worked++
		}
	}
	t.Logf("%d sizes failed, %d worked", failed, worked)
	require.Greater(t, failed, 5)
	require.Positive(t, worked)
}

// transcodeLimited returns the first error of a transcode with an allocation limit, and has
// it done again without.
func transcodeLimited(t *testing.T, opts LadderOptions, data []byte, size int) error {
	before := LiveHandles()
	limitAllocations(size)
	defer limitAllocations(noLimit)
	l, err := NewLadder(opts)
	if err != nil {
		require.True(t, typed(err), "limit %d: %v", size, err)
		return err
	}
	res, err := l.Transcode(t.Context(), Input{Data: data}, nil)
	if err != nil {
		require.True(t, typed(err), "limit %d: %v", size, err)
	} else {
		for _, o := range res.Outputs {
			if o.Err != nil {
				require.True(t, typed(o.Err), "limit %d: %v", size, o.Err)
				err = o.Err
			}
		}
	}
	limitAllocations(noLimit)
	again, failure := l.Transcode(t.Context(), Input{Data: data, Discontinuity: true}, nil)
	require.NoError(t, failure, "after limit %d", size)
	for _, o := range again.Outputs {
		require.NoError(t, o.Err, "after limit %d", size)
	}
	require.Equal(t, []int{4, 6}, []int{again.Outputs[0].Media.Frames, again.Outputs[1].Media.Frames}, "after limit %d", size)
	l.Close()
	require.Equal(t, before, LiveHandles(), "limit %d", size)
	return err
}
