package testsignal

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/nareix/joy4/av"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/codec"
	"github.com/livepeer/lpms/stream"
)

// Source is one test signal. It implements av.DemuxCloser and stream.PacketSource. One
// goroutine reads; Close may be called from any.
type Source struct {
	opts    Options
	headers *stream.Headers
	aac     *codec.AAC
	done    chan struct{} // closed by Close
	once    sync.Once

	mu      sync.Mutex // held while reading; what follows belongs to the reader
	closed  bool
	video   *ffmpeg.RawVideoEncoder
	audio   *ffmpeg.RawAudioEncoder
	card    *card
	busy    *busy // or nil: the card is not shown
	tone    *tone
	pcm     []float32
	started bool
	line    timeline
	picture int64 // the number of the next picture
	frame   int64 // the number of the next audio frame
	brk     bool  // the next packet follows a discontinuity
	pending []stream.Packet
}

// New opens the encoders and draws the picture; time starts with the first packet that is read. A
// bad option is an *OptionError, an FFmpeg without x264 or AAC an *ffmpeg.Error.
func New(opts Options) (*Source, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Source{opts: opts, done: make(chan struct{})}
	if err := s.open(); err != nil {
		s.Close()
		return nil, fmt.Errorf("testsignal: %w", err)
	}
	s.card = newCard(&s.opts)
	if s.opts.Busy {
		s.busy = newBusy(&s.opts)
	}
	return s, nil
}

func (s *Source) open() (err error) {
	o := &s.opts
	s.video, err = ffmpeg.NewRawVideoEncoder(ffmpeg.RawVideoOptions{
		Width: o.Width, Height: o.Height, FrameRate: o.FrameRate, GOP: o.gop(), Bitrate: o.Bitrate, Preset: preset,
	})
	if err != nil {
		return err
	}
	s.audio, err = ffmpeg.NewRawAudioEncoder(ffmpeg.RawAudioOptions{SampleRate: o.SampleRate, Channels: 2, Bitrate: o.AudioBitrate})
	if err != nil {
		return err
	}
	avc, err := codec.ParseAVCConfig(s.video.Extradata())
	if err != nil {
		return err
	}
	if s.aac, err = codec.ParseAACConfig(s.audio.Extradata()); err != nil {
		return err
	}
	s.headers = &stream.Headers{Video: avc.Config, Audio: s.aac.Config}
	s.pcm = make([]float32, 2*s.audio.FrameSamples())
	return nil
}

// preset of x264: the next one, superfast, takes half as much CPU again for the same picture.
const preset = "ultrafast"

// Close ends a read, and every later one, with io.EOF, and frees the encoders. It may be called
// from any goroutine, and again; it returns when no read is going on any more.
func (s *Source) Close() error {
	s.once.Do(func() {
		close(s.done)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = true
		if s.video != nil {
			s.video.Close()
		}
		if s.audio != nil {
			s.audio.Close()
		}
	})
	return nil
}

// Streams implements av.Demuxer. It does not block.
func (s *Source) Streams() ([]av.CodecData, error) { return s.headers.Streams(), nil }

// ReadPacket implements av.Demuxer.
func (s *Source) ReadPacket() (av.Packet, error) {
	p, err := s.ReadStreamPacket()
	return p.Packet, err
}

// ReadStreamPacket implements stream.PacketSource. It blocks until the packet's time has come;
// sound may come with the next picture, up to 40 ms later.
// io.EOF is the end by Options.Duration or Close; every other error is an encoder's.
func (s *Source) ReadStreamPacket() (stream.Packet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) == 0 {
		if s.closed {
			return stream.Packet{}, io.EOF
		}
		if err := s.next(); err != nil {
			return stream.Packet{}, err
		}
	}
	p := s.pending[0]
	s.pending = s.pending[1:]
	return p, nil
}

// soundWait is how long sound waits for the next picture at most: each wake-up costs. A
// microphone's sound would be late by as much, because a frame of it must be complete.
const soundWait = 40 * time.Millisecond

// next waits for the time of the next packet and makes it, or only waits.
func (s *Source) next() error {
	now := s.opts.Now()
	if !s.started {
		s.started = true
		s.line = newTimeline(now, s.opts.FrameRate)
		s.tone = newTone(s.opts.SampleRate, s.line.sampleOffset(s.opts.SampleRate))
	}
	if !s.opts.Unpaced {
		s.leaveOut(now.Sub(s.line.begin))
	}
	video, audio := s.line.time(s.picture), s.aac.FrameDuration(s.frame)
	at := min(video, audio)
	switch early := min(video, audio+soundWait) - now.Sub(s.line.begin); {
	case s.opts.Duration > 0 && at >= s.opts.Duration:
		return io.EOF
	case early > 0 && !s.opts.Unpaced:
		return s.wait(early)
	case s.opts.Unpaced:
		now = s.line.begin.Add(at)
	}
	if video <= audio {
		return s.makeVideo(now)
	}
	return s.makeAudio(now)
}

// wait returns after d, or with io.EOF when the source is closed.
func (s *Source) wait(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.done:
		return io.EOF
	}
}

// leaveOut skips what is too late to be sent.
func (s *Source) leaveOut(elapsed time.Duration) {
	if elapsed-s.line.time(s.picture) > maxLag {
		s.picture = s.line.numberAt(elapsed - maxLag)
	}
	if late := elapsed - s.aac.FrameDuration(s.frame); late > maxHole {
		frames := int64((late - maxLag) / s.aac.FrameDuration(1))
		s.frame += frames
		s.tone.skip(frames * int64(s.audio.FrameSamples()))
		s.brk = true
	}
}

func (s *Source) makeVideo(now time.Time) error {
	shown := s.card.planes
	if s.busy != nil {
		shown = s.busy.planes
		s.busy.update(s.picture)
	} else {
		sec, rest := s.line.wall(s.picture)
		s.card.update(s.picture, sec, rest)
	}
	packets, err := s.video.Encode(s.picture, shown.y, shown.u, shown.v)
	if err != nil {
		return fmt.Errorf("testsignal: picture %d: %w", s.picture, err)
	}
	s.picture++
	for _, p := range packets {
		out := stream.Packet{Packet: av.Packet{IsKeyFrame: p.Key, Time: p.DTS, CompositionTime: p.PTS - p.DTS, Data: p.Data}}
		s.give(out, now)
	}
	return nil
}

// errNoSound is an AAC encoder that takes sound and gives nothing.
var errNoSound = errors.New("testsignal: the audio encoder gives no packets")

// makeAudio feeds the encoder, which is a frame behind, until the next packet is there.
func (s *Source) makeAudio(now time.Time) error {
	for range 8 {
		s.tone.read(s.pcm)
		packets, err := s.audio.Encode(s.pcm)
		if err != nil {
			return fmt.Errorf("testsignal: sound: %w", err)
		}
		for _, p := range packets {
			if p.PTS < 0 {
				continue // it only prepares the decoder for the next one
			}
			s.give(stream.Packet{Packet: av.Packet{Time: s.aac.FrameDuration(s.frame), Data: p.Data}, Audio: true}, now)
			s.frame++
		}
		if len(s.pending) > 0 {
			return nil
		}
	}
	return errNoSound
}

func (s *Source) give(p stream.Packet, now time.Time) {
	p.Headers, p.Arrival = s.headers, now.UnixNano()
	p.Idx = s.headers.Index(p.Audio)
	p.Discontinuity, s.brk = s.brk, false
	s.pending = append(s.pending, p)
}
