package codec

import "github.com/nareix/joy4/av"

// sampleRates is ISO/IEC 14496-3 table 1.18, by samplingFrequencyIndex.
var sampleRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// channelLayouts is table 1.19, by channelConfiguration, in the names that joy4 gives: the inner
// front pair of configuration 7 has none and is called the side pair.
var channelLayouts = [...]av.ChannelLayout{
	0: 0, // said in a program config element
	1: av.CH_MONO,
	2: av.CH_STEREO,
	3: av.CH_SURROUND,
	4: av.CH_SURROUND | av.CH_BACK_CENTER,
	5: av.CH_SURROUND | backPair,
	6: av.CH_SURROUND | backPair | av.CH_LOW_FREQ,
	7: av.CH_SURROUND | sidePair | backPair | av.CH_LOW_FREQ,
}

const (
	backPair = av.CH_BACK_LEFT | av.CH_BACK_RIGHT
	sidePair = av.CH_SIDE_LEFT | av.CH_SIDE_RIGHT
)

// objectType reads GetAudioObjectType, table 1.16.
func objectType(r *bitReader) int {
	t := int(r.u(5))
	if t == aotEscape {
		t = 32 + int(r.u(6))
	}
	return t
}

// sampleRate reads a samplingFrequencyIndex and what may follow it, in hertz; 0 for the two
// reserved indices.
func sampleRate(r *bitReader) int {
	index := r.u(4)
	switch {
	case index == 15:
		return int(r.u(24))
	case int(index) < len(sampleRates):
		return sampleRates[index]
	}
	return 0
}

// gaSpecificConfig reads GASpecificConfig, table 4.1, for the object types Main, LC and LTP.
// Not known: a program config element of no channel or too many.
func gaSpecificConfig(r *bitReader, a *AAC, channelConfig uint32) (layout av.ChannelLayout, known bool) {
	if r.flag() { // frameLengthFlag
		a.FrameSamples = 960
	}
	if r.flag() { // dependsOnCoreCoder
		r.skip(14)
	}
	extension := r.flag()
	layout, known = channelLayouts[channelConfig], true
	if channelConfig == 0 {
		layout, known = programConfig(r)
	}
	if extension {
		r.skip(1) // extensionFlag3
	}
	return layout, known
}

// syncExtension reads the backward compatible signalling at the end of an AudioSpecificConfig,
// table 1.15: present when the sync word 0x2b7 is there, and whole.
func syncExtension(r *bitReader, a *AAC) {
	if r.left() < 16 || r.u(11) != 0x2b7 || objectType(r) != aotSBR {
		return
	}
	sbr := r.flag()
	if !sbr {
		return
	}
	rate := sampleRate(r)
	ps := r.left() >= 12 && r.u(11) == 0x548 && r.flag()
	if !r.bad {
		a.SBR, a.PS, a.OutputSampleRate = true, ps, rate
	}
}

// programConfig reads program_config_element, table 4.2, as the channels that it lists. The
// standard gives each a direction but no name, and encoders do not agree on directions (FFmpeg
// calls the low frequency channel of 5.1(side) a side channel): the number is what counts.
// Not known: no channel at all, or more than maxChannels.
func programConfig(r *bitReader) (layout av.ChannelLayout, known bool) {
	r.skip(4 + 2 + 4) // element_instance_tag, object_type, sampling_frequency_index
	front, side, back := r.u(4), r.u(4), r.u(4)
	lfe, assoc, coupling := r.u(2), r.u(3), r.u(4)
	for range 2 { // mono_mixdown, stereo_mixdown
		if r.flag() {
			r.skip(4)
		}
	}
	if r.flag() { // matrix_mixdown
		r.skip(2 + 1)
	}

	channels := 0
	element := func(single, pair av.ChannelLayout, mayPair bool) {
		want := single
		if mayPair && r.flag() { // is_cpe
			want = pair
		}
		r.skip(4) // tag
		channels += want.Count()
		if channels <= maxChannels {
			layout |= freePlaces(layout, want)
		}
	}
	for range front {
		element(av.CH_FRONT_CENTER, av.CH_STEREO, true)
	}
	for range side {
		element(av.CH_SIDE_LEFT, sidePair, true)
	}
	for range back {
		element(av.CH_BACK_CENTER, backPair, true)
	}
	for range lfe {
		element(av.CH_LOW_FREQ, 0, false)
	}
	r.skip(int(4*assoc + 5*coupling))
	r.align()
	r.skip(8 * int(r.u(8))) // comment
	return layout, channels >= 1 && channels <= maxChannels
}

// freePlaces is want, or as many other places when one of these is taken. There are nine places,
// so one is left for each of maxChannels.
func freePlaces(taken, want av.ChannelLayout) av.ChannelLayout {
	if taken&want == 0 {
		return want
	}
	var found av.ChannelLayout
	for place := av.CH_NR >> 1; place != 0 && found.Count() < want.Count(); place >>= 1 {
		if taken&place == 0 {
			found |= place
		}
	}
	return found
}
