package settings

import (
	"errors"
	"flag"
	"io"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
)

// Off as an address keeps a port closed.
const Off = "off"

// Settings are what the program was told, checked and complete. The slices are the caller's.
type Settings struct {
	// Version asks for the version only: nothing else is set then.
	Version bool
	// Config is the file that was read; empty for none.
	Config string
	// V is how much is logged: glog's "v".
	V int

	// What this process is; at least one of them. Broadcaster takes streams and serves them,
	// Orchestrator hands segments to workers, and Transcoder is a worker. When none was
	// given it is Broadcaster.
	Broadcaster, Orchestrator, Transcoder bool

	// The addresses, as host:port, :port or Off. Without Broadcaster, RTMPAddr and HTTPAddr
	// are Off; with it, HTTPAddr never is. Port 0 takes a free one.
	RTMPAddr, HTTPAddr, CLIAddr string

	// ServiceAddr is where an Orchestrator listens, as host:port or :port, port 0 for a free
	// one; empty without Orchestrator.
	ServiceAddr string
	// ServiceCert and ServiceKey are the files with its certificate and private key, which
	// could be read when Parse looked; what is in them was not looked at. Both are empty for
	// those it makes itself.
	ServiceCert, ServiceKey string
	// OrchAddr is where Transcoder and Broadcaster find the orchestrator: up to 8 host:port,
	// none when it is in this process, or NATSURL is given.
	OrchAddr []string
	// OrchFingerprints are what its certificate may have: SHA-256 of the DER in lower-case hex, 8 at
	// most. None leaves it to the system's roots and the host name.
	OrchFingerprints []string
	// OrchSecret is what all roles share: never empty with Orchestrator or OrchAddr. With NATSURL
	// it is the password, or the token, for those URLs that have none themselves, and may be
	// empty. It is a secret.
	OrchSecret string
	// NATSURL are servers to use in place of an orchestrator, up to 8, as
	// nats://user:password@host:port or tls://…, the port always there. They may hold
	// secrets.
	NATSURL []string
	// LocalFallback has a broadcaster that UsesWorkers transcode itself what none of them can.
	LocalFallback bool
	// SegmentURL is where transcoders reach HTTPAddr, without a slash at its end; empty has
	// segments travel through the orchestrator.
	SegmentURL string
	// RequireAccel is what a worker must have to get this broadcaster's segments; Software
	// asks for nothing.
	RequireAccel ffmpeg.Acceleration
	// Capacity is how many segments a Transcoder works on at the same time; 0 leaves it to a
	// measurement of the machine, as it is without Transcoder.
	Capacity int

	// What follows is for a Broadcaster. Others have the defaults there, except for Preset,
	// Accel, Device and Jobs, which are a Transcoder's, too.

	// Auto makes the ladder of each stream from its source, with ExtraRenditions added.
	// Without it, Renditions are made of every stream; none of them is the source only.
	Auto            bool
	Renditions      []ffmpeg.Rendition
	ExtraRenditions []ffmpeg.Rendition
	// TranscodingOptions is the text that says so, for people: preset names, JSON, or the name
	// of a file.
	TranscodingOptions string
	// Preset, Accel and Device are those of ffmpeg.LadderOptions.
	Preset string
	Accel  ffmpeg.Acceleration
	Device string
	// MaxAttempts is how often a segment is tried before it is a gap, at least 1; with 0
	// there are no renditions, and Auto, Renditions and ExtraRenditions say so too.
	MaxAttempts int
	// Jobs is how many segments are transcoded at the same time; 0 is one for each core.
	Jobs int
	// OnDemand makes renditions only while somebody watches them.
	OnDemand bool

	// HTTPIngest takes segments at /live/.
	HTTPIngest bool
	// PublishKey is what publishers must give; empty lets anybody publish. It is a secret.
	PublishKey string
	// AuthWebhookURL is asked about every new stream; empty asks nobody. It may hold a secret.
	AuthWebhookURL string
	// MaxSessions is how many streams there are at the same time.
	MaxSessions int
	// SegmentDuration is how long segments should be.
	SegmentDuration time.Duration
	// ReconnectWait is how long a stream waits for a publisher that was lost. It is negative
	// for not at all, as in lpms.Options.
	ReconnectWait time.Duration
	// TestSignals are the names of streams that the program makes itself.
	TestSignals []string

	// CurrentManifest serves the newest stream at /stream/current.m3u8.
	CurrentManifest bool
	// WatchPage serves a page with a player.
	WatchPage bool
	// Realtime writes each packet to RTMP players at once.
	Realtime bool

	// For all roles again: Monitor serves metrics at CLIAddr; MetricsPerStream has them for each stream.
	Monitor, MetricsPerStream bool

	// Warnings are sentences about settings that work and may surprise.
	Warnings []string
}

// Parse reads the settings of a command line without the program's name. env looks a variable up,
// as os.LookupEnv does; nil looks nowhere, and a variable that is empty counts as none. It
// blocks only for reading the files that settings name, 64 KiB at most of each.
//
// The error joins all problems that were found, 20 at most, each an *Error of one line. With
// -help the text goes to out, and the error is flag.ErrHelp. With -version nothing else is
// looked at.
func Parse(args []string, env func(string) (string, bool), out io.Writer) (*Settings, error) {
	p := newParser()
	if err := p.commandLine(args); errors.Is(err, flag.ErrHelp) {
		if _, err := io.WriteString(out, help(p.options)); err != nil {
			return nil, err
		}
		return nil, flag.ErrHelp
	}
	if p.s.Version {
		return &Settings{Version: true}, nil
	}
	if env != nil {
		p.environment(env)
	}
	p.configFile()
	p.takeRoles()
	p.assign()
	p.check()
	p.ladder()
	if len(p.problems) > 0 {
		return nil, errors.Join(p.problems...)
	}
	return p.s, nil
}

// warn adds a sentence for the operator.
func (p *parser) warn(sentence string) {
	p.s.Warnings = append(p.s.Warnings, sentence)
}
