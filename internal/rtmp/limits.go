package rtmp

import "time"

// Limits bounds what one connection may cost. The zero value of a field means
// its default, so Limits{} is a sound setting.
type Limits struct {
	// HandshakeTimeout is the time for the whole handshake, not for one read.
	// Default 10 s.
	HandshakeTimeout time.Duration
	// CommandTimeout is the time from the end of the handshake to publish or
	// play. Default 10 s.
	CommandTimeout time.Duration
	// IdleTimeout ends a publisher that sends nothing. Default 30 s.
	IdleTimeout time.Duration
	// PingAfter is the silence after which a publisher is asked whether it is
	// still there. Default 10 s.
	PingAfter time.Duration
	// WriteTimeout ends a peer that takes none of our bytes. Default 10 s.
	WriteTimeout time.Duration

	// CommandMessage is the largest message before publish or play is accepted.
	// Default 64 KiB.
	CommandMessage int
	// MediaMessage is the largest message of an accepted publisher. Default 16 MiB.
	MediaMessage int
	// CommandPartial and MediaPartial bound the bytes of all messages that have
	// begun and not ended, before and after publish is accepted.
	// Defaults 1 MiB and 32 MiB.
	CommandPartial, MediaPartial int
	// ChunkStreams is how many chunk streams a peer may use. Default 64.
	ChunkStreams int
	// ChunkSize is the largest chunk size that a peer may announce.
	// Default 16 MiB.
	ChunkSize int
	// CreateStreams is how often a peer may call createStream. Default 16.
	CreateStreams int
	// Commands is how many commands a peer may send before publish or play.
	// Default 64.
	Commands int
	// Metadata is the largest onMetaData that is kept. Default 64 KiB.
	Metadata int

	// OutChunkSize is the chunk size that we announce. Frames up to this size
	// travel as one chunk. Default 65,536: the largest that every known player
	// accepts.
	OutChunkSize int
	// ReadBuffer is the size of the read buffer of a connection. Default 4 KiB:
	// larger payloads are read past it, straight into their message.
	ReadBuffer int
}

const (
	maxAMFDepth   = 32
	maxAMFMembers = 1024
	windowAckSize = 2_500_000
)

// withDefaults returns l with its zero fields filled.
func (l Limits) withDefaults() Limits {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	defTime := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	defTime(&l.HandshakeTimeout, 10*time.Second)
	defTime(&l.CommandTimeout, 10*time.Second)
	defTime(&l.IdleTimeout, 30*time.Second)
	defTime(&l.PingAfter, min(10*time.Second, l.IdleTimeout/2))
	defTime(&l.WriteTimeout, 10*time.Second)
	def(&l.CommandMessage, 64<<10)
	def(&l.MediaMessage, 16<<20)
	def(&l.CommandPartial, 1<<20)
	def(&l.MediaPartial, 32<<20)
	def(&l.ChunkStreams, 64)
	def(&l.ChunkSize, 16<<20)
	def(&l.CreateStreams, 16)
	def(&l.Commands, 64)
	def(&l.Metadata, 64<<10)
	def(&l.OutChunkSize, 65536)
	def(&l.ReadBuffer, 4<<10)
	return l
}
