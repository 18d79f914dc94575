package backend

import (
	"net"
	"runtime"
	"slices"
	"time"

	"github.com/livepeer/lpms/internal/machine"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/stream"
	"github.com/livepeer/lpms/transcoder"
)

// Status says what the back-end is doing. It may be called from any goroutine.
func (b *Backend) Status() status.Status {
	now := time.Now()
	st := status.Status{
		Version: b.opts.Version, Now: now, Started: b.started,
		RTMPAddr: addrString(b.server.RTMPAddr()), HTTPAddr: addrString(b.server.HTTPAddr()),
		Machine: status.Machine{
			Cores: machine.Cores(), CPU: b.meter.Last(), Memory: machine.ResidentMemory(), Goroutines: runtime.NumGoroutine(),
		},
	}
	b.overload.Lock()
	st.Machine.Shed, st.Machine.Sheds = b.overload.missing, b.overload.sheds
	b.overload.Unlock()
	st.Machine.Overloaded = st.Machine.Shed > 0
	for _, s := range b.all() {
		st.Streams = append(st.Streams, s.status(now))
	}
	return st
}

func addrString(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

func (s *show) status(now time.Time) status.Stream {
	made := s.tr.Stats()
	held := s.buf.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := status.Stream{
		Name: s.name, Ingest: s.ingest, Live: s.live && !held.Ended, Since: s.since,
		Viewers: status.Viewers{HLS: s.viewers.count(now, s.watchTime()), RTMP: int(s.rtmpViewers.Load())},
		Bitrate: s.bitrate, Width: s.source.Width, Height: s.source.Height,
		FrameRate: s.source.FrameRate, Codecs: s.source.Codecs, Advice: slices.Clone(s.advice.said),
		Queue: made.Queue, Working: made.Working, Waiting: made.Waiting.Seconds(),
		Segments: made.Segments, Skipped: made.Skipped, Retried: made.Retried,
	}
	if st.Live {
		st.Uptime = now.Sub(s.since).Seconds()
	}
	_, _, shed := s.wanted(now)
	names := []string{stream.Source}
	for _, r := range s.rungs {
		names = append(names, r.Profile.Name)
	}
	for _, h := range held.Renditions {
		if !slices.Contains(names, h.Name) {
			names = append(names, h.Name) // of an earlier ladder
		}
	}
	for _, name := range names {
		st.Renditions = append(st.Renditions, rendition(name, &held, &made, slices.Contains(shed, name)))
	}
	return st
}

// rendition puts together what is known of one.
func rendition(name string, held *stream.HLSStats, made *transcoder.Stats, shed bool) status.Rendition {
	r := status.Rendition{Name: name, State: status.Waiting}
	for _, h := range held.Renditions {
		if h.Name != name {
			continue
		}
		r.First, r.Last, r.Held, r.Bytes = h.First, h.Last, h.Held, h.Bytes
		r.Bandwidth, r.AverageBandwidth = h.Bandwidth, h.Average
		if h.Info != nil {
			r.Width, r.Height, r.FrameRate, r.Codecs = h.Info.Width, h.Info.Height, h.Info.FrameRate, h.Info.Codecs
		}
		switch {
		case h.Resting:
			r.State = status.Resting
		case held.Ended:
			r.State = status.Ended
		case !h.Ended:
			r.State = status.Live
		}
	}
	for _, m := range made.Renditions {
		if m.Name != name {
			continue
		}
		r.Done, r.Failed, r.Skipped = m.Done, m.Failed, m.Skipped
		r.Lag, r.Took, r.Behind, r.BehindMedia = m.Lag.Seconds(), m.Took.Seconds(), m.Behind, m.BehindMedia.Seconds()
		if m.Ended {
			r.State = status.Failing
		}
	}
	if shed {
		r.State = status.Shed
	}
	return r
}
