package ffmpeg

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"sync"
)

// output gathers the units of one rendition and writes them to its container in the order
// of their decoding times. Video and audio come from different goroutines.
type output struct {
	spec *Rendition
	sink io.Writer

	mu          sync.Mutex
	hasVideo    bool
	videoParams *params
	audioTrack  *params // nil without
	owned       *params // the same when it is to be closed
	c           *container
	waiting     [2][]unit
	last        [2]clock // DTS
	any         [2]bool  // last is set
	bytes       int      // waiting
	codecs      [2]string
	written     int64
	info        OutputInfo
	err         error
}

// maxWaiting is how many bytes of one track may wait for the other, in a file. It is what
// is written before a whole segment is there, too.
const maxWaiting = 8 << 20

const (
	videoTrack = iota
	audioTrack
)

// setVideo says what the video is; without video it is called with nil.
func (o *output) setVideo(video *params, w, h int, rate rational) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.c != nil {
		return nil
	}
	var tracks []*params
	if video != nil {
		o.hasVideo = true
		o.info.Width, o.info.Height = w, h
		if rate.num > 0 {
			o.info.FrameRate = rate.float()
		}
		tracks = append(tracks, video)
		o.codecs[videoTrack] = "" // known with the first keyframe
	}
	if o.audioTrack != nil {
		tracks = append(tracks, o.audioTrack)
		o.codecs[audioTrack] = codecString(o.audioTrack, nil)
	}
	c, err := newContainer(tracks, containerOptions{format: o.spec.Profile.Format, muxer: o.spec.Muxer, metadata: o.spec.Metadata})
	if err != nil {
		return err
	}
	o.c = c
	o.videoParams = video
	return nil
}

// video takes a unit of video.
func (o *output) video(u unit) { o.add(videoTrack, u) }

// audio takes a unit of audio.
func (o *output) audio(u unit) { o.add(audioTrack, u) }

func (o *output) add(track int, u unit) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return // there will be no output: nothing is gathered for it
	}
	if o.any[track] && u.dts <= o.last[track] {
		// Time went back, which no container takes: sound can be left out, pictures cannot.
		if track == videoTrack {
			o.err = ErrTimestamp
		}
		return
	}
	o.last[track], o.any[track] = u.dts, true
	if track == videoTrack && o.codecs[videoTrack] == "" && u.key && o.videoParams != nil {
		o.codecs[videoTrack] = codecString(o.videoParams, u.data)
		if o.info.Width == 0 { // a copy from a container that does not say it
			t := &o.c.tracks[videoTrack]
			_ = t.learnParams(u)
			o.info.Width, o.info.Height = int(t.params.c.width), int(t.params.c.height)
		}
	}
	if track == audioTrack && o.c != nil && o.audioTrack == nil {
		return // it began too late: the container has no place for it
	}
	o.waiting[track] = append(o.waiting[track], u)
	o.bytes += len(u.data) + unitSize
	both := o.hasVideo && o.audioTrack != nil
	if o.c == nil || o.bytes <= maxWaiting || both && len(o.waiting[1-track]) == 0 && o.bytes <= 2*maxWaiting {
		return
	}
	o.err = o.drain(false)
}

// unitSize is what a unit takes in memory beside its data, about.
const unitSize = 96

// fail says that there will be no output.
func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
}

// drain writes what waits: all, or as far as both tracks have come.
func (o *output) drain(all bool) error {
	v, a := o.waiting[videoTrack], o.waiting[audioTrack]
	audio := 0
	if o.hasVideo {
		audio = 1
	}
	for len(v) > 0 || len(a) > 0 {
		if !all && o.bytes <= maxWaiting && o.hasVideo && o.audioTrack != nil && (len(v) == 0 || len(a) == 0) {
			break
		}
		var u unit
		if len(a) == 0 || len(v) > 0 && cmp.Compare(v[0].dts, a[0].dts) <= 0 {
			u, v = v[0], v[1:]
			u.track = 0
		} else {
			u, a = a[0], a[1:]
			u.track = audio
		}
		o.bytes -= len(u.data) + unitSize
		err := o.c.write(u)
		if errors.Is(err, ErrTrack) && o.hasVideo && u.track == audio {
			continue // sound that began after the header was written
		}
		if err != nil {
			return err
		}
	}
	o.waiting = [2][]unit{slices.Clone(v), slices.Clone(a)}
	return o.flush()
}

func (o *output) flush() error {
	b := o.c.take()
	if len(b) == 0 {
		return nil
	}
	n, err := o.sink.Write(b)
	o.written += int64(n)
	return err
}

// finish completes the container.
func (o *output) finish() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	if err := o.drain(true); err != nil {
		return err
	}
	if err := o.c.finish(); err != nil {
		return err
	}
	o.info.Codecs = o.codecs[videoTrack]
	if a := o.codecs[audioTrack]; a != "" {
		if o.info.Codecs != "" {
			o.info.Codecs += ","
		}
		o.info.Codecs += a
	}
	return o.flush()
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.c != nil {
		o.c.close()
	}
	o.owned.close()
}

// setSound says what the sound is; it keeps a copy, because the encoder may not live on.
func (o *output) setSound(p *params) error {
	owned, err := p.clone()
	if err != nil {
		return err
	}
	o.owned, o.audioTrack = owned, owned
	return nil
}
