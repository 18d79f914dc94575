// Package codec reads the codec configuration that a publisher sends and the little that a
// server must know about the coded frames after it.
//
// It stands at the entrance: what RTMP (or any other ingest) delivers as an H.264 or AAC
// sequence header goes through [ParseAVCConfig] or [ParseAACConfig] once, before anything else
// looks at it. Frames are asked with [HasIDR], [ValidAU] and [X264Keyint].
//
//	avc, err := codec.ParseAVCConfig(tag)
//	if err != nil {
//		return err // errors.Is: ErrConfig, ErrTooLarge or ErrUnsupported
//	}
//	streams := []av.CodecData{avc.Config}
//	keyframe := codec.HasIDR(pkt.Data, avc.NALLengthSize)
//
// Every byte comes from strangers. Reads are checked against the end, counts against the largest
// value that the standard allows; memory and work are at most in proportion to the input. Nothing
// here panics, keeps the caller's buffers, starts a goroutine, or calls the parsing functions of
// the joy4 packages whose value types it fills in.
//
// The package does not decode pictures or sound, does not convert between Annex B and length
// prefixes, and does not look for parameter sets inside access units: a decoder that obeys those
// needs a pixel limit of its own.
package codec
