package capacity

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/nareix/joy4/av"

	"github.com/livepeer/lpms/internal/testsignal"
	"github.com/livepeer/lpms/stream"
)

// recording is media that is played over and over.
type recording struct {
	packets  []stream.Packet
	duration time.Duration
}

// record makes so much of the test signal, as fast as it can.
func record(o testsignal.Options, length time.Duration) (*recording, error) {
	o.Unpaced, o.Duration = true, length
	src, err := testsignal.New(o)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	r := &recording{duration: length}
	for {
		p, err := src.ReadStreamPacket()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		r.packets = append(r.packets, p)
	}
	if len(r.packets) == 0 {
		return nil, errors.New("capacity: the test signal is empty")
	}
	first := r.packets[0].Time
	for i := range r.packets {
		r.packets[i].Time -= first
	}
	return r, nil
}

// replay is a publisher who plays a recording in real time, without end.
type replay struct {
	*recording
	start time.Time
	next  int
	round time.Duration

	once   sync.Once
	closed chan struct{}
}

// play begins after some time, so that publishers do not all send keyframes at once.
func (r *recording) play(after time.Duration) *replay {
	return &replay{recording: r, start: time.Now().Add(after), closed: make(chan struct{})}
}

// ReadStreamPacket implements stream.PacketSource. It blocks until the packet is due.
func (r *replay) ReadStreamPacket() (stream.Packet, error) {
	p := r.packets[r.next]
	p.Time += r.round
	if wait := time.Until(r.start.Add(p.Time)); wait > 0 {
		due := time.NewTimer(wait)
		defer due.Stop()
		select {
		case <-due.C:
		case <-r.closed:
			return stream.Packet{}, io.EOF
		}
	}
	if r.next++; r.next == len(r.packets) {
		r.next = 0
		r.round += r.duration
	}
	p.Arrival = time.Now().UnixNano()
	return p, nil
}

// Close ends a read.
func (r *replay) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

// Streams implements av.Demuxer.
func (r *replay) Streams() ([]av.CodecData, error) { return r.packets[0].Headers.Streams(), nil }

// ReadPacket implements av.Demuxer.
func (r *replay) ReadPacket() (av.Packet, error) {
	p, err := r.ReadStreamPacket()
	return p.Packet, err
}
