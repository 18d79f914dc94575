// Package status says what the Streaming Back-End is doing, in the words of its /status.
//
// It is a vocabulary: values that are filled in by the back-end and read by the admin
// interface, the metrics and the watch page. It holds no logic and no reference to what
// it describes.
package status

import "time"

// Status is a snapshot of one process. Durations are in seconds, bitrates in bit/s, sizes
// in bytes.
type Status struct {
	Version  string    `json:"version"`
	Now      time.Time `json:"now"`
	Started  time.Time `json:"started"`
	RTMPAddr string    `json:"rtmpAddr"` // "host:port" that is listened on, empty when off
	HTTPAddr string    `json:"httpAddr"`
	Machine  Machine   `json:"machine"`
	Streams  []Stream  `json:"streams"` // by name
	Roles    []string  `json:"roles"`   // "broadcaster", "orchestrator", "transcoder"
	Engines  []Engine  `json:"engines,omitempty"`
	Workers  []Worker  `json:"workers,omitempty"` // those that are known, by name
}

// Engine is a connection to an orchestrator, or to a NATS cluster.
type Engine struct {
	Addr      string `json:"addr"` // "host:port", or several of a cluster
	Connected bool   `json:"connected"`
	Error     string `json:"error,omitempty"` // why not
	Queue     int    `json:"queue"`           // segments that wait for a worker or are with one, where this process is the orchestrator
}

// WorkerState is what a worker does.
type WorkerState string

const (
	WorkerReady   WorkerState = "ready"   // it takes jobs
	WorkerBenched WorkerState = "benched" // it takes none for some time, because its results were no good
	WorkerLeaving WorkerState = "leaving" // it finishes what it has
	WorkerForeign WorkerState = "foreign" // it speaks another version of the protocol
)

// Worker is a process that transcodes for others.
type Worker struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"` // of its machine
	Version  string      `json:"version"`
	State    WorkerState `json:"state"`
	Reason   string      `json:"reason,omitempty"` // why it is benched
	Capacity int         `json:"capacity"`         // segments at the same time
	Load     int         `json:"load"`             // segments now
	// Speed is how many seconds of media it transcodes in a second of work, for one segment at a
	// time: lately, and 0 before its first segment.
	Speed    float64   `json:"speed"`
	Done     uint64    `json:"done"`    // jobs
	Failed   uint64    `json:"failed"`  // jobs
	Refused  uint64    `json:"refused"` // jobs whose results this process refused
	Encoders []string  `json:"encoders"`
	Accel    string    `json:"accel"`
	Started  time.Time `json:"started"`
	Seen     float64   `json:"seen"` // seconds ago
}

// Machine is what the process uses of it.
type Machine struct {
	Cores      int     `json:"cores"`
	CPU        float64 `json:"cpu"`    // cores in use by the process, over the last seconds
	Memory     int64   `json:"memory"` // resident
	Goroutines int     `json:"goroutines"`
	Overloaded bool    `json:"overloaded"` // renditions are being shed, or were and are not back
	Shed       int     `json:"shed"`       // renditions that are not made for want of room
	Sheds      uint64  `json:"sheds"`      // how often a rendition was shed so far
}

// Ingest is how a stream comes in.
type Ingest string

const (
	RTMP Ingest = "rtmp"
	Push Ingest = "push" // HTTP
	Test Ingest = "test" // the test signal
)

// Stream is one presentation.
type Stream struct {
	Name    string    `json:"name"`
	Ingest  Ingest    `json:"ingest"`
	Live    bool      `json:"live"`  // a publisher is there
	Since   time.Time `json:"since"` // when it came
	Uptime  float64   `json:"uptime"`
	Viewers Viewers   `json:"viewers"`
	// Bitrate is that of the source's newest segments. Zero values are not known yet.
	Bitrate   uint64   `json:"bitrate"`
	Width     int      `json:"width"`
	Height    int      `json:"height"`
	FrameRate float64  `json:"frameRate"`
	Codecs    string   `json:"codecs"`
	Advice    []string `json:"advice,omitempty"` // what the publisher should change

	Queue    int     `json:"queue"`   // segments that wait to be transcoded
	Working  int     `json:"working"` // segments that are being transcoded
	Waiting  float64 `json:"waiting"` // how long the oldest of both has been there
	Segments uint64  `json:"segments"`
	Skipped  uint64  `json:"skipped"` // too late to be transcoded
	Retried  uint64  `json:"retried"`

	Renditions []Rendition `json:"renditions"` // the source first
}

// Viewers are counted by what they asked for in the last seconds.
type Viewers struct {
	HLS  int `json:"hls"`
	RTMP int `json:"rtmp"`
}

// State is what becomes of a rendition.
type State string

const (
	Live    State = "live"    // it has segments
	Waiting State = "waiting" // its first segment is not there yet
	Resting State = "resting" // nobody watches it (on demand)
	Shed    State = "shed"    // the machine has no room for it
	Failing State = "failing" // it left the presentation because it failed again and again
	Ended   State = "ended"   // the stream is over, and still served
)

// Rendition is one rendition of a stream, the source included.
type Rendition struct {
	Name             string  `json:"name"`
	State            State   `json:"state"`
	Width            int     `json:"width"`
	Height           int     `json:"height"`
	FrameRate        float64 `json:"frameRate"`
	Codecs           string  `json:"codecs"`
	Bandwidth        uint64  `json:"bandwidth"` // peak
	AverageBandwidth uint64  `json:"averageBandwidth"`
	First            uint64  `json:"first"` // media sequence numbers listed
	Last             uint64  `json:"last"`
	Held             int     `json:"held"`  // segments in memory
	Bytes            int64   `json:"bytes"` // in memory

	// Of a transcoded rendition.
	Done        uint64  `json:"done"`
	Failed      uint64  `json:"failed"`
	Skipped     uint64  `json:"skipped"`
	Lag         float64 `json:"lag"`         // of the newest segment, behind the source's
	Took        float64 `json:"took"`        // the part of it that was work
	Behind      int     `json:"behind"`      // segments
	BehindMedia float64 `json:"behindMedia"` // seconds of media
}
