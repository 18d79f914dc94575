package codec

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/nareix/joy4/av"
	"github.com/nareix/joy4/codec/aacparser"
)

// Limits of an AAC configuration.
const (
	MaxAACConfigSize = 512   // bytes
	minSampleRate    = 7350  // hertz; the table of 14496-3 ends here
	maxSampleRate    = 96000 // hertz; and begins here
	maxChannels      = 8     // of a program config element
)

// Audio object types, ISO/IEC 14496-3 table 1.17. (The constants of joy4 are wrong after 9.)
const (
	aotMain   = 1
	aotLC     = 2
	aotLTP    = 4
	aotSBR    = 5
	aotPS     = 29
	aotEscape = 31
)

// AAC is the configuration of an AAC stream. The caller must not write to the slices in it.
type AAC struct {
	// Config is complete: its methods answer from what was read here and may all be called.
	// It describes the core (the part that ADTS headers and clocks are about): its ObjectType is
	// never SBR or PS, and PacketDuration, which assumes 1024 samples, is wrong for 960.
	// ChannelLayout has Channels channels; with a program config element (ChannelConfig 0) their
	// places are a guess. SampleRateIndex is the rate in hertz when the rate is not in the
	// standard's table, as joy4 has it.
	Config aacparser.CodecData

	ObjectType       int  // of the core: 1 Main, 2 LC, 4 LTP
	SampleRate       int  // of the core in hertz: the clock of FrameDuration
	OutputSampleRate int  // in hertz, of what a decoder gives: SampleRate, or SBR's, which is usually twice that
	Channels         int  // of what a decoder gives: parametric stereo makes 2 out of a mono core
	FrameSamples     int  // samples of a frame and channel at SampleRate: 1024 or 960
	SBR, PS          bool // explicitly signalled; decoders may find either without
}

// ParseAACConfig reads an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1), the body of an RTMP AAC
// sequence header, for AAC Main, LC and LTP, with SBR (HE-AAC) and PS (HE-AAC v2) signalled in
// front, as object type 5 or 29, or behind, where old decoders do not look (1.6.5); behind, a
// signal that is cut short counts as none, because the core decodes without. The bytes are
// copied: the caller may use its buffer again.
//
// Limits: MaxAACConfigSize; rates from 7350 to 96000 Hz; the channel configurations 1 to 7, or a
// program config element (configuration 0) of at most 8 channels.
// Errors wrap ErrConfig, ErrTooLarge or ErrUnsupported.
func ParseAACConfig(asc []byte) (*AAC, error) {
	if len(asc) > MaxAACConfigSize {
		return nil, fmt.Errorf("%w: AAC configuration of %d bytes", ErrTooLarge, len(asc))
	}
	asc = bytes.Clone(asc)
	r := &bitReader{data: asc}
	a := &AAC{FrameSamples: 1024}

	a.ObjectType = objectType(r)
	a.SampleRate = sampleRate(r)
	channelConfig := r.u(4)
	explicit := a.ObjectType == aotSBR || a.ObjectType == aotPS
	if explicit {
		a.SBR, a.PS = true, a.ObjectType == aotPS
		a.OutputSampleRate = sampleRate(r)
		a.ObjectType = objectType(r)
	}
	if r.bad {
		return nil, fmt.Errorf("%w: AAC configuration of %d bytes is cut short", ErrConfig, len(asc))
	}
	switch a.ObjectType {
	case aotMain, aotLC, aotLTP:
	default:
		return nil, fmt.Errorf("%w: audio object type %d", ErrUnsupported, a.ObjectType)
	}
	if channelConfig >= uint32(len(channelLayouts)) {
		return nil, fmt.Errorf("%w: AAC channel configuration %d", ErrUnsupported, channelConfig)
	}

	layout, known := gaSpecificConfig(r, a, channelConfig)
	if r.bad {
		return nil, fmt.Errorf("%w: AAC configuration of %d bytes is cut short", ErrConfig, len(asc))
	}
	if !known {
		return nil, fmt.Errorf("%w: AAC program config element without 1 to %d channels", ErrUnsupported, maxChannels)
	}
	if !explicit {
		syncExtension(r, a)
	}
	if !a.SBR {
		a.OutputSampleRate = a.SampleRate
	}
	for _, rate := range []int{a.SampleRate, a.OutputSampleRate} {
		if rate < minSampleRate || rate > maxSampleRate {
			return nil, fmt.Errorf("%w: AAC sample rate of %d Hz", ErrConfig, rate)
		}
	}

	if a.PS && layout == av.CH_MONO {
		layout = av.CH_STEREO
	}
	a.Channels = layout.Count()
	a.Config = aacparser.CodecData{
		ConfigBytes: asc,
		Config: aacparser.MPEG4AudioConfig{
			SampleRate:      a.SampleRate,
			ChannelLayout:   layout,
			ObjectType:      uint(a.ObjectType),
			SampleRateIndex: uint(a.SampleRate),
			ChannelConfig:   uint(channelConfig),
		},
	}
	for i, rate := range sampleRates {
		if rate == a.SampleRate {
			a.Config.Config.SampleRateIndex = uint(i)
		}
	}
	return a, nil
}

// CodecString is the name of the codec in MIME types and HLS playlists: RFC 6381 3.3. It names
// what a player must be able to do, however that was signalled: mp4a.40.2 for LC, mp4a.40.5 with
// SBR, mp4a.40.29 with PS.
func (a *AAC) CodecString() string {
	kind := a.ObjectType
	switch {
	case a.PS:
		kind = aotPS
	case a.SBR:
		kind = aotSBR
	}
	return fmt.Sprintf("mp4a.40.%d", kind)
}

// FrameDuration is the time that n frames last, rounded to the nearest nanosecond: the error does
// not grow with n. SBR doubles samples and rate alike and changes nothing here. Results past the
// range of a Duration are its largest or smallest value; the zero AAC gives 0.
func (a *AAC) FrameDuration(n int64) time.Duration {
	rate, samples := int64(a.SampleRate), int64(a.FrameSamples)
	if rate <= 0 || samples <= 0 {
		return 0
	}
	if n < 0 {
		if n == math.MinInt64 {
			return math.MinInt64
		}
		return -a.FrameDuration(-n)
	}
	// n*samples/rate seconds, by parts that do not overflow: whole groups of rate frames last
	// samples seconds.
	groups, n := n/rate, n%rate
	const second = int64(time.Second)
	if groups > math.MaxInt64/second/samples-1 {
		return math.MaxInt64
	}
	n *= samples
	seconds, rest := groups*samples+n/rate, n%rate
	return time.Duration(seconds*second + (rest*second+rate/2)/rate)
}
