package ffmpeg

// startsClean reports whether a decoder that knows nothing can decode u and all that
// follows.
func startsClean(p *params, u *unit) bool {
	var s nalSyntax
	switch p.codecName() {
	case "h264":
		s = avcNAL
	case "hevc":
		s = hevcNAL
	default:
		return u.key
	}
	data := u.data
	if size, _ := s.configRecord(p.extradata()); size > 0 {
		var err error
		if data, err = toAnnexB(data, size); err != nil {
			return false
		}
	}
	_, at := s.head(data)
	for at < len(data) && data[at] == 0 {
		at++ // to the one that ends the start code
	}
	if at+1 >= len(data) {
		return false
	}
	if s == hevcNAL {
		// ISO/IEC 23008-2 table 7-1: BLA and IDR, but not CRA, which leading pictures may
		// follow that refer to pictures before it.
		kind := data[at+1] >> 1 & 0x3f
		return kind >= 16 && kind <= 20
	}
	return data[at+1]&0x1f == 5 // ISO/IEC 14496-10 table 7-1: IDR
}
