package cluster

import (
	"strings"
	"time"
)

// Protocol is the version of the messages. Machines of different versions share no subject but
// those of members, so that they can be seen.
const Protocol = 1

// The names in NATS. Tokens in angle brackets:
//
//	lpms1.job.<need>.<lane>.<origin>.<stream>   a job, kept by the stream LPMS1_JOBS
//	lpms1.res.<origin>.<worker>                 what a worker tells an origin: taken, results, failures
//	lpms1.get.<origin>                          a worker asks for the bytes of a large segment
//	lpms1.worker.<worker>                       an origin tells a worker: cancel, bench
//	lpms.member.<worker>                        a worker says how it is, once a second
//	lpms.hello                                  workers should say so at once
//	_INBOX.<role>.<id>.>                        answers
const (
	JobsStream   = "LPMS1_JOBS"
	jobPrefix    = "lpms1.job."
	resultPrefix = "lpms1.res."
	getPrefix    = "lpms1.get."
	workerPrefix = "lpms1.worker."
	memberPrefix = "lpms.member."
	helloSubject = "lpms.hello"
	inboxPrefix  = "_INBOX."
	nextPrefix   = "$JS.API.CONSUMER.MSG.NEXT." + JobsStream + "."
	ackPrefix    = "$JS.ACK." + JobsStream + "."
	messageID    = "Nats-Msg-Id"
	statusHeader = "Status"
	descHeader   = "Description"
	// deliverLimit is how often the queue gives one message to somebody, who may not be meant.
	deliverLimit = 100
	// takerLimit is how many workers may begin with one job, one after the other: what is the end of
	// workers must not be the end of all.
	takerLimit    = 3
	maxWaiting    = 8192
	maxAckPending = 65536
)

// Times.
const (
	// ackWait is how long the queue hears nothing of a job before it gives it to another worker.
	// A worker says that it goes on every progressInterval.
	ackWait          = time.Second
	progressInterval = 200 * time.Millisecond
	// jobAge is how long a job may stay in the queue: longer than nearly all segments have time.
	// One that nobody waits for any more ends when a worker begins with it.
	jobAge = 2 * time.Minute
	// maxBudget is how long a worker is at a job at the most.
	maxBudget = 5 * time.Minute
	// memberInterval is how often a worker says how it is; memberTimeout is how long it may be
	// silent before it counts as gone.
	memberInterval = time.Second
	memberTimeout  = 3500 * time.Millisecond
	// repeatWindow is how long the queue knows a job that it has.
	repeatWindow = 10 * time.Second
)

// Sizes, in bytes.
const (
	// MaxPayload is what the orchestrator takes as one message.
	MaxPayload = 8 << 20
	// maxInline is how large a segment travels in its job. A larger one is fetched from the origin
	// in parts, as are all when the server takes less.
	maxInline  = 4 << 20
	maxPart    = 1 << 20
	minPart    = 4 << 10
	maxHead    = 60 << 10 // of a message: everything but media; JetStream takes 64 KiB of headers
	maxSegment = 64 << 20 // that of lpms: media of a job, and of one result
	// maxResults is what the results of one job may have together.
	maxResults = 128 << 20
	// perStream is how many jobs of one stream the queue keeps: the one that is stuck has to wait,
	// not everybody.
	perStream = 16
)

// Role is what a connection may do.
type Role string

const (
	Broadcaster Role = "broadcaster"
	Transcoder  Role = "transcoder"
)

// isInbox reports whether somebody who asks waits for the answer there, and it is not a subject of
// something else that we have the right to, and he has not.
func isInbox(reply string) bool { return strings.HasPrefix(reply, inboxPrefix+string(Transcoder)+".") }

// ValidID reports whether a text can be the id of a connection: it is a part of subjects.
func ValidID(id string) bool {
	return len(id) >= 8 && len(id) <= 64 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == ""
}

func inboxOf(r Role, id string) string { return inboxPrefix + string(r) + "." + id }

// Access says which subjects a connection may publish and subscribe. An empty id stands for
// everyone's of that role, for servers that know users only.
func Access(r Role, id string) (publish, subscribe []string) {
	if id == "" {
		id = "*"
	}
	switch r {
	case Broadcaster:
		return []string{jobPrefix + "*.*." + id + ".>", workerPrefix + "*", helloSubject},
			[]string{resultPrefix + id + ".*", getPrefix + id, memberPrefix + "*", inboxOf(r, id) + ".>"}
	case Transcoder:
		return []string{nextPrefix + "*", ackPrefix + ">", resultPrefix + "*." + id, getPrefix + "*", memberPrefix + id},
			[]string{workerPrefix + id, helloSubject, inboxOf(r, id) + ".>"}
	}
	return nil, nil
}

// lane is a queue of jobs: by what a worker must have for them, and by how urgent they are.
type lane struct {
	need   need
	pushed bool // pushed work waits for live work
}

func (l lane) name() string {
	if l.pushed {
		return l.need.String() + "_pushed"
	}
	return l.need.String() + "_live"
}

func (l lane) filter() string { return strings.Replace(jobPrefix+l.name(), "_", ".", 1) + ".>" }

// subject of a job. A dot would begin another token; no name of a stream has "=".
func (l lane) subject(origin, stream string) string {
	return strings.TrimSuffix(l.filter(), ">") + origin + "." + strings.ReplaceAll(stream, ".", "=")
}

// originOf reads the origin out of the subject of a job; empty when it is none. The server has
// checked that the origin is who it says.
func originOf(subject string) string {
	rest, ok := strings.CutPrefix(subject, jobPrefix)
	parts := strings.SplitN(rest, ".", 4)
	if !ok || len(parts) < 4 || !ValidID(parts[2]) {
		return ""
	}
	return parts[2]
}
