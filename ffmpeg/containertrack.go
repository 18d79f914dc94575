package ffmpeg

// #include <libavcodec/avcodec.h>
// #include <stdlib.h>
// #include "container.h"
// #include "muxer.h"
import "C"

import (
	"slices"
	"unsafe"
)

// containerTrack is one track and how its units must be changed for the container.
type containerTrack struct {
	params    *params // a copy
	codec     string
	video     bool
	extradata []byte // for the header
	known     bool   // extradata and params are complete
	stream    int    // number in the file; below zero when it is not in it

	nal      nalSyntax
	prefixed int    // bytes of the length fields before NAL units; 0 is Annex B
	sets     []byte // parameter sets, Annex B

	adts   adtsConfig
	framed bool // adts is known: raw frames can have headers
	group  adtsGroup

	started  bool
	last     clock // DTS
	num, den int64 // the time base
	begun    bool  // lastTick is set
	lastTick int64 // DTS
	nextTick int64 // where the last unit ends
	shift    int64 // MP4: the ticks that an edit list takes away again
}

// describe finds out how the track's units must be changed.
func (t *containerTrack) describe(format Format) {
	t.extradata = slices.Clone(t.params.extradata())
	t.known = true
	switch t.codec {
	case "h264", "hevc":
		t.nal = avcNAL
		if t.codec == "hevc" {
			t.nal = hevcNAL
		}
		var sets []byte
		if t.prefixed, sets = t.nal.configRecord(t.extradata); t.prefixed == 0 {
			sets = t.nal.parameterSets(t.extradata)
			t.known = false // those of the first keyframe are what its pictures refer to
		}
		t.sets = sets
		if format != FormatMP4 {
			t.extradata = nil // libavformat need not insert any
		}
	case "aac":
		t.known = len(t.extradata) > 0
		t.adts, t.framed = adtsFromASC(t.extradata)
	case "av1":
		t.known = len(t.extradata) > 0
	}
	if format != FormatMP4 {
		t.known = true
	} else if !t.described() {
		t.known = false
	}
	if par := t.params.c; format != FormatMP4 && !t.video && par.sample_rate <= 0 {
		par.sample_rate = 48000 // libavformat wants one; the stream does not depend on it
	}
}

// learn finds what a track carries in-band: its configuration, and what a transport stream
// does not say of it.
func (t *containerTrack) learn(u unit) error {
	if t.known || t.video && !u.key {
		return nil
	}
	if !t.described() {
		if err := t.learnParams(u); err != nil {
			return err
		}
	}
	found := true
	switch {
	case t.nal != noNAL && t.prefixed == 0:
		if sets := t.nal.parameterSets(u.data); sets != nil {
			t.sets = sets
		}
		t.extradata, found = t.sets, t.sets != nil
	case len(t.extradata) > 0:
	case t.codec == "aac":
		var a adtsConfig
		if a, _, _, found = readADTS(u.data); found {
			found = a.channels > 0
			t.extradata = a.asc()
		}
	case t.codec == "av1":
		t.extradata = av1SequenceHeader(u.data)
		found = t.extradata != nil
	}
	t.known = found && t.described()
	return nil
}

// described reports whether an MP4's header can be made of the parameters.
func (t *containerTrack) described() bool {
	par := t.params.c
	if t.codec == "vp9" && par.format < 0 {
		return false
	}
	if t.video {
		return par.width > 0 && par.height > 0
	}
	return par.sample_rate > 0 && par.ch_layout.nb_channels > 0
}

func (t *containerTrack) learnParams(u unit) error {
	par := t.params.c
	switch {
	case t.nal != noNAL || t.codec == "mpeg2video":
		return resultError(C.lpms_params_learn(par, (*C.uint8_t)(unsafe.SliceData(u.data)), C.int(len(u.data))))
	case t.codec == "vp9":
		if h, ok := readVP9(u.data); ok {
			par.format = C.int(h.pixelFormat())
		}
	case t.codec == "opus" && len(t.extradata) >= 19: // RFC 7845 5.1
		par.sample_rate = 48000
		C.av_channel_layout_default(&par.ch_layout, C.int(t.extradata[9]))
	case !t.video:
		if rate, channels := audioHeader(t.codec, u.data); rate > 0 {
			par.sample_rate = C.int(rate)
			C.av_channel_layout_default(&par.ch_layout, C.int(channels))
		}
	}
	return nil
}

// ticks are those of the track's time base.
func (t *containerTrack) ticks(c clock) int64 {
	return mulDiv(int64(c), t.den, int64(clockRate)*t.num)
}

// nalUnit gives the data of an access unit of H.264 or H.265.
func (t *containerTrack) nalUnit(u unit, format Format) (data []byte, err error) {
	data = u.data
	if format == FormatMP4 {
		// The parameter sets are in the header, and there only. libavformat replaces the
		// start codes.
		if t.prefixed == 0 && u.key {
			data = t.nal.withoutSets(data, t.sets)
		}
		if len(data) == 0 {
			return nil, errInvalid("read a NAL unit")
		}
		return data, nil
	}
	if t.prefixed > 0 {
		if data, err = toAnnexB(data, t.prefixed); err != nil {
			return nil, err
		}
	}
	if !u.key {
		return data, nil
	}
	// A decoder can start at each keyframe: with the sets in the segment.
	if sets := t.nal.parameterSets(data); sets != nil {
		t.sets = sets
	} else if t.sets != nil {
		data = t.nal.withSets(data, t.sets)
	}
	return data, nil
}
