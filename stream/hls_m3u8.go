package stream

import "github.com/livepeer/m3u8"

// M3U8 returns a copy of the playlist of a rendition as a value of the m3u8 package, for
// programs that want to read or change it. What viewers get is MediaPlaylist: the m3u8
// package cannot write EXT-X-DISCONTINUITY-SEQUENCE or EXT-X-GAP, and two of its playlists
// must not be encoded at the same time. ErrNotFound when there is no such rendition (yet).
func (b *HLSBuffer) M3U8(rendition string) (*m3u8.MediaPlaylist, error) {
	v := b.find(rendition)
	if v == nil {
		return nil, ErrNotFound
	}
	list := v.entries[v.listed:]
	n := uint(len(list))
	p, err := m3u8.NewMediaPlaylist(n, n)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		err := p.AppendSegment(&m3u8.MediaSegment{
			SeqId:           e.seg.Seq,
			URI:             string(appendSegmentURI(nil, rendition, e.seg)),
			Duration:        e.extinf.Seconds(),
			Discontinuity:   e.seg.Discontinuity,
			ProgramDateTime: e.seg.ProgramTime.UTC(),
		})
		if err != nil {
			return nil, err
		}
	}
	p.SeqNo = list[0].seg.Seq
	p.TargetDuration = v.target.Seconds() // AppendSegment may have raised it
	p.Live = !v.ended
	return p, nil
}
