package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// signatures are those of renditions of a file.
func signatures(t testing.TB, in string, ps ...TranscodeOptions) [][]byte {
	t.Helper()
	dir := t.TempDir()
	for i := range ps {
		ps[i].Oname = filepath.Join(dir, fmt.Sprintf("%d.ts", i))
		ps[i].CalcSign = true
	}
	_, err := Transcode3(&TranscodeOptionsIn{Fname: in}, ps)
	require.NoError(t, err)
	var all [][]byte
	for _, p := range ps {
		require.FileExists(t, p.Oname)
		all = append(all, readPath(t, p.Oname+".bin"))
	}
	return all
}

func TestSignature(t *testing.T) {
	const from = "-f lavfi -i "
	const enc = " -c:v libx264 -preset ultrafast -b:v 4M -pix_fmt yuv420p"
	option := func(size, bitrate string, fps uint) TranscodeOptions {
		p := smallOutput
		p.Profile.Resolution, p.Profile.Bitrate, p.Profile.Framerate = size, bitrate, fps
		return p
	}
	for _, filter := range []string{"testsrc2=size=320x180:rate=30", "mandelbrot=size=320x180:rate=30", "testsrc=size=320x180:rate=30"} {
		t.Run(filter, func(t *testing.T) {
			same := signatures(t, madeFile(t, from+filter+" -t 3"+enc, "a.ts"), option("320x180", "2M", 0), option("256x144", "400k", 0),
				option("256x144", "100k", 0), option("160x90", "200k", 15))
			for i, a := range same {
				for _, b := range same[i:] {
					ok, err := CompareSignatureByBuffer(a, b)
					require.NoError(t, err)
					require.True(t, ok, "rendition %d and another", i)
				}
			}
			others := map[string][]byte{
				"shifted":  signatures(t, madeFile(t, from+filter+" -ss 1 -t 3"+enc, "b.ts"), option("320x180", "2M", 0))[0],
				"shorter":  signatures(t, madeFile(t, from+filter+" -t 2.5"+enc, "b.ts"), option("320x180", "2M", 0))[0],
				"another":  signatures(t, madeFile(t, from+"smptebars=size=320x180:rate=30 -t 3"+enc, "b.ts"), option("320x180", "2M", 0))[0],
				"mirrored": signatures(t, madeFile(t, from+filter+" -vf hflip -t 3"+enc, "b.ts"), option("320x180", "2M", 0))[0],
			}
			for name, b := range others {
				for _, a := range same {
					for _, pair := range [][2][]byte{{a, b}, {b, a}} {
						ok, err := CompareSignatureByBuffer(pair[0], pair[1])
						require.NoError(t, err)
						require.False(t, ok, name)
					}
				}
			}
		})
	}
	black := signatures(t, madeFile(t, from+"color=black:size=64x64:rate=30 -t 1"+enc, "a.ts"), option("64x64", "50k", 0), option("32x32", "50k", 5))
	ok, err := CompareSignatureByBuffer(black[0], black[1])
	require.NoError(t, err)
	require.True(t, ok, "where nothing moves, nothing can be shifted")
}

func TestSignatureRefuses(t *testing.T) {
	good := signatures(t, madeFile(t, testPattern("30", 0.2), "a.ts"), smallOutput)[0]
	require.Len(t, good, len(signatureMagic)+6*signatureRecord)
	back, still := slices.Clone(good), slices.Clone(good)
	back[len(signatureMagic)] = 1
	copy(still[len(signatureMagic)+signatureRecord:], still[len(signatureMagic):][:4])
	for name, bad := range map[string][]byte{
		"nothing": nil, "other bytes": []byte("hello world"), "no pictures": good[:len(signatureMagic)], "cut": good[:len(good)-1],
		"another version": append([]byte("LPMSsig\x02"), good[len(signatureMagic):]...), "times go back": back, "a time twice": still,
		"too long": append([]byte(signatureMagic), make([]byte, (maxSignature+1)*signatureRecord)...),
	} {
		_, err := CompareSignatureByBuffer(good, bad)
		require.ErrorIs(t, err, ErrFormat, name)
		_, err = CompareSignatureByBuffer(bad, good)
		require.ErrorIs(t, err, ErrFormat, name)
	}
	// Nothing to sign.
	out := filepath.Join(t.TempDir(), "out.ts")
	in := mediaFile(t, recorded(t).segments(t)[0], "a.ts")
	_, err := Transcode3(&TranscodeOptionsIn{Fname: in}, []TranscodeOptions{{Oname: out, CalcSign: true, VideoEncoder: ComponentOptions{Name: "drop"}}})
	require.ErrorIs(t, err, ErrTranscoderVid)
	require.Empty(t, namesIn(t, filepath.Dir(out)))
}

// The longest signatures are compared in reasonable time.
func TestSignatureIsBounded(t *testing.T) {
	long := append([]byte(signatureMagic), make([]byte, maxSignature*signatureRecord)...)
	for i := range maxSignature {
		binary.BigEndian.PutUint32(long[len(signatureMagic)+i*signatureRecord:], uint32(i))
	}
	start := time.Now()
	_, err := CompareSignatureByBuffer(long, long)
	require.NoError(t, err)
	require.Less(t, time.Since(start), time.Minute)
}

func FuzzCompareSignature(f *testing.F) {
	good := []byte(signatureMagic)
	for i := range 5 {
		good = append(good, 0, byte(i), 0, 0)
		good = append(good, bytes.Repeat([]byte{byte(40 * i)}, signatureCells)...)
	}
	f.Add(good, good)
	f.Add(good, good[:len(good)-signatureRecord])
	f.Add([]byte(signatureMagic), []byte(nil))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		ab, errA := CompareSignatureByBuffer(a, b)
		_, errB := CompareSignatureByBuffer(b, a)
		if (errA == nil) != (errB == nil) {
			t.Fatal(errA, errB)
		}
		if same, err := CompareSignatureByBuffer(a, a); err == nil && !same {
			t.Fatal("not the same as itself")
		}
		if ab && errA != nil {
			t.Fatal("the same, and an error")
		}
	})
}

func TestCompareVideo(t *testing.T) {
	dir := t.TempDir()
	in := madeFile(t, testPattern("30", 1), "a.ts")
	path := func(name string) string { return filepath.Join(dir, name) }
	sharp, lower := outputTo(smallOutput, path("sharp.ts")), outputTo(smallOutput, path("lower.ts"))
	sharp.Profile.Bitrate = "1M"
	lower.Profile.Resolution = "64x48"
	clipped := outputTo(smallOutput, path("clipped.ts"))
	clipped.To = 900 * time.Millisecond
	ps := []TranscodeOptions{outputTo(smallOutput, path("base.ts")), sharp, lower, clipped, atRate(outputTo(smallOutput, path("rate.ts")), 15, 1)}
	_, err := Transcode3(&TranscodeOptionsIn{Fname: in}, ps)
	require.NoError(t, err)
	base := readPath(t, path("base.ts"))
	for name, want := range map[string]bool{"base.ts": true, "sharp.ts": true, "lower.ts": false, "clipped.ts": false, "rate.ts": false} {
		got, err := CompareVideoByBuffer(base, readPath(t, path(name)))
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
	segments := recorded(t).segments(t)
	for i, want := range []bool{true, false} {
		got, err := CompareVideoByBuffer(segments[0], segments[i])
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, err := CompareVideoByBuffer(segments[0], base)
	require.NoError(t, err)
	require.False(t, got, "sound and none")
	for _, bad := range [][]byte{nil, {}, []byte("hello"), make([]byte, 1000)} {
		_, err := CompareVideoByBuffer(base, bad)
		require.Error(t, err)
		_, err = CompareVideoByBuffer(bad, base)
		require.Error(t, err)
	}
}
