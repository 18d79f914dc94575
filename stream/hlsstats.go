package stream

// HLSStats is what a presentation holds.
type HLSStats struct {
	Version    uint64
	Ended      bool
	Renditions []RenditionStats // the source first
}

// RenditionStats is what one rendition holds. Numbers without a gap are listed, from First
// to Last.
type RenditionStats struct {
	Name        string
	First, Last uint64 // listed
	Listed      int    // entries of the playlist
	Held        int    // segments in memory, listed or not
	Bytes       int64  // in memory
	Bandwidth   uint64 // highest so far, in bit/s
	Average     uint64 // bandwidth so far, in bit/s
	Resting     bool   // RestRendition
	Ended       bool   // EndRendition: it is not listed in the master playlist
	Info        *RenditionInfo
}

// Stats says what the presentation holds.
func (b *HLSBuffer) Stats() HLSStats {
	s := HLSStats{Version: b.Version(), Ended: b.Ended()}
	for _, name := range b.Renditions() {
		v := b.find(name)
		if v == nil {
			continue
		}
		rs := RenditionStats{
			Name:      name,
			First:     v.entries[v.listed].seg.Seq,
			Last:      v.entries[len(v.entries)-1].seg.Seq,
			Listed:    len(v.entries) - v.listed,
			Bandwidth: v.peak, Average: v.average, Resting: v.resting, Ended: v.closed && !v.ended, Info: v.info,
		}
		for _, e := range v.entries {
			rs.Bytes += int64(len(e.seg.Data))
			if !e.gap() {
				rs.Held++
			}
		}
		s.Renditions = append(s.Renditions, rs)
	}
	return s
}
