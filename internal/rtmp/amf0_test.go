package rtmp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// amfCases is one table for encoding, decoding and fuzz seeds.
var amfCases = []struct {
	name   string
	values []any
}{
	{"nothing", nil},
	{"scalars", []any{"connect", 1.0, true, false, nil, Undefined{}, Date(1e12)}},
	{"object", []any{Object{{"app", "live"}, {"n", 3.5}, {"nested", Object{{"", "empty name"}}}}}},
	{"ecma array", []any{"onMetaData", ECMAArray{{"width", 1280.0}, {"encoder", "x"}}}},
	{"strict array", []any{[]any{1.0, "two", []any{nil}}}},
	{"long string", []any{strings.Repeat("x", 70000)}},
}

func TestAMF0RoundTrip(t *testing.T) {
	for _, c := range amfCases {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodeAMF0(AppendAMF0(nil, c.values...))
			require.NoError(t, err)
			require.Equal(t, c.values, got)
		})
	}
}

func TestAMF0EncodesForeignTypesAsUndefined(t *testing.T) {
	got, err := DecodeAMF0(AppendAMF0(nil, struct{}{}, 7))
	require.NoError(t, err)
	require.Equal(t, []any{Undefined{}, 7.0}, got)
}

// Each of these kills or stuffs a parser that believes what it is told.
func TestAMF0HostileInput(t *testing.T) {
	deep := []byte(strings.Repeat("\x0a\x00\x00\x00\x01", 1000))
	many := append([]byte{amfStrictArray, 0, 0, 0x10, 0}, make([]byte, 9*4096)...)
	for _, c := range []struct {
		name string
		in   []byte
		err  error
	}{
		{"strict array of 2^32-1 elements in 17 bytes", []byte("\x0a\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), ErrProtocol},
		{"nested without end", deep, ErrLimit},
		{"too many elements", many, ErrLimit},
		{"string longer than the message", []byte{amfString, 0xff, 0xff, 'a'}, ErrProtocol},
		{"long string of 4 GiB", []byte{amfLongString, 0xff, 0xff, 0xff, 0xff}, ErrProtocol},
		{"object without end", []byte{amfObject, 0, 1, 'a', amfNull}, ErrProtocol},
		{"number cut short", []byte{amfNumber, 0, 0}, ErrProtocol},
		{"unknown marker", []byte{0x42}, ErrProtocol},
		{"AMF3 value inside", []byte{0x11, 1}, ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := DecodeAMF0(c.in)
			require.ErrorIs(t, err, c.err)
		})
	}
}

func FuzzAMF0(f *testing.F) {
	for _, c := range amfCases {
		f.Add(AppendAMF0(nil, c.values...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeAMF0(b)
		if err != nil {
			return
		}
		// What was understood can be said again.
		again, err := DecodeAMF0(AppendAMF0(nil, v...))
		if err != nil || len(again) != len(v) {
			t.Fatalf("%d values became %d, %v", len(v), len(again), err)
		}
	})
}
