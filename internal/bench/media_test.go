//go:build linux

package main

import (
	"errors"
	"slices"
	"testing"

	"github.com/livepeer/lpms/internal/rtmp"
)

// flvTag appends one tag of an FLV file.
func flvTag(b []byte, typ rtmp.MessageType, at uint32, data []byte) []byte {
	n := len(data)
	b = append(b, byte(typ), byte(n>>16), byte(n>>8), byte(n), byte(at>>16), byte(at>>8), byte(at), byte(at>>24), 0, 0, 0)
	b = append(b, data...)
	n += 11
	return append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func flvHeader() []byte { return []byte{'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0} }

func TestParseFLV(t *testing.T) {
	b := flvTag(flvHeader(), rtmp.TypeVideo, 0x01020304, []byte{0x17, 1, 0, 0, 0, 9})
	b = flvTag(b, rtmp.TypeAudio, 5, nil)
	b = flvTag(b, rtmp.TypeAudio, 6, []byte{0xaf, 1, 7})
	tags, err := parseFLV(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(tags) != 2 || tags[0].at != 0x01020304 || tags[0].typ != rtmp.TypeVideo || tags[1].at != 6 || string(tags[1].data) != "\xaf\x01\x07" {
		t.Errorf("got %+v", tags)
	}
	for n := range len(b) - 4 { // the last size may be missing
		if got, err := parseFLV(b[:n]); err == nil && len(got) == len(tags) {
			t.Errorf("the first %d of %d bytes give all tags", n, len(b))
		} else if err != nil && !errors.Is(err, errFLV) {
			t.Error(err)
		}
	}
}

func TestNewClip(t *testing.T) {
	config, key, frame := []byte{0x17, 0, 0, 0, 0, 1}, []byte{0x17, 1, 0, 0, 0, 1}, []byte{0x27, 1, 0, 0, 0, 1}
	asc, audio := []byte{0xaf, 0, 1}, []byte{0xaf, 1, 1}
	b := flvTag(flvHeader(), rtmp.TypeDataAMF0, 0, rtmp.AppendAMF0(nil, "onMetaData", rtmp.Object{}))
	b = flvTag(b, rtmp.TypeVideo, 0, config)
	b = flvTag(b, rtmp.TypeAudio, 0, asc)
	b = flvTag(b, rtmp.TypeVideo, 0, key)
	b = flvTag(b, rtmp.TypeAudio, 30, audio)
	b = flvTag(b, rtmp.TypeVideo, 40, frame)
	b = flvTag(b, rtmp.TypeVideo, 80, key)
	b = flvTag(b, rtmp.TypeAudio, 90, audio)
	b = flvTag(b, rtmp.TypeVideo, 120, frame)
	b = flvTag(b, rtmp.TypeAudio, 170, audio) // folded to 10
	b = flvTag(b, rtmp.TypeAudio, 190, audio) // is the frame at 30 again
	tags, err := parseFLV(b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newClip(tags)
	if err != nil {
		t.Fatal(err)
	}
	var at []uint32
	for _, tag := range c.tags {
		at = append(at, tag.at)
	}
	if want := []uint32{0, 10, 30, 40, 80, 90, 120}; !slices.Equal(at, want) {
		t.Errorf("frames at %v, want %v", at, want)
	}
	if c.period != 160 || len(c.heads) != 3 {
		t.Errorf("period %d with %d heads, want 160 with 3", c.period, len(c.heads))
	}
	if at, ok := c.keyTime(1); !ok || at != 80 {
		t.Errorf("the second keyframe is at %d, %v, want 80", at, ok)
	}
	values, err := rtmp.DecodeAMF0(c.heads[0].data)
	if err != nil || len(values) != 3 || values[0] != "@setDataFrame" {
		t.Errorf("metadata is %v, %v", values, err)
	}
	if _, err := newClip(nil); err == nil {
		t.Error("a clip without video is accepted")
	}
}
