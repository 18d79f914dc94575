//go:build linux

package main

import (
	"slices"
	"testing"
	"time"
)

func TestParsePlaylist(t *testing.T) {
	const body = "#EXTM3U\r\n#EXT-X-TARGETDURATION:2\r\n#EXTINF:2.0,\r\nsource/1.ts\r\n#EXTINF:2.0,\n/x/2.ts\n"
	p, err := parsePlaylist("http://h:1/stream/a/source.m3u8", []byte(body))
	want := []string{"http://h:1/stream/a/source/1.ts", "http://h:1/x/2.ts"}
	if err != nil || p.target != 2*time.Second || !slices.Equal(p.segments, want) {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := parsePlaylist("http://h/", []byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n")); err == nil {
		t.Error("a playlist without segments is accepted")
	}
}

func TestNewSegments(t *testing.T) {
	listed := []string{"a", "b", "c"}
	for _, c := range []struct {
		seen string
		want []string
	}{
		{"", []string{"c"}}, {"a", []string{"b", "c"}}, {"c", nil}, {"gone", []string{"c"}},
	} {
		if got := newSegments(listed, c.seen); !slices.Equal(got, c.want) {
			t.Errorf("after %q: got %v, want %v", c.seen, got, c.want)
		}
	}
}
