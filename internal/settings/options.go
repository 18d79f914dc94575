package settings

import (
	"slices"
	"strconv"
)

// option is one setting that people can give.
type option struct {
	name   string
	group  string // its heading in the help; those without are not listed
	arg    string // what its value is; empty for true or false
	def    string
	help   string
	secret bool // the value is never shown
	// only says that it is given on the command line only.
	only bool
	// of are the roles that have a use for it; zero is all of them.
	of  role
	set func(value string) error
}

// The headings of the help, in order.
const (
	groupAddresses = "Addresses"
	groupLadder    = "Ladder"
	groupIngest    = "Ingest"
	groupWatching  = "Watching"
	groupMachines  = "More machines"
	groupOperation = "Operation"
)

// optionsOf are all settings; what they set is s and j.
func optionsOf(s *Settings, j *judged) []option {
	return slices.Concat(addressOptions(s), ladderOptions(s, j), ingestOptions(s), watchingOptions(s),
		machineOptions(s), operationOptions(s), []option{
			// Published names that this version has no use for.
			{name: "objectStore", secret: true, set: textTo(&j.objectStore)},
			{name: "recordStore", secret: true, set: textTo(&j.recordStore)},
		})
}

// judged is what was given of the settings that the program only judges.
type judged struct {
	extra                    string
	objectStore, recordStore string
}

func addressOptions(s *Settings) []option {
	return []option{
		{name: "rtmpAddr", group: groupAddresses, arg: "host:port", def: "127.0.0.1:1935", of: broadcasting, set: addrTo(&s.RTMPAddr, "1935", true),
			help: `RTMP, to publish and play; or "off"`},
		{name: "httpAddr", group: groupAddresses, arg: "host:port", def: "127.0.0.1:8935", of: broadcasting, set: addrTo(&s.HTTPAddr, "8935", false),
			help: "HLS and HTTP push"},
		{name: "cliAddr", group: groupAddresses, arg: "host:port", def: "127.0.0.1:7935", set: addrTo(&s.CLIAddr, "7935", true),
			help: `private: admin API, metrics, pprof; or "off"`},
	}
}

func ladderOptions(s *Settings, j *judged) []option {
	return []option{
		{name: "transcodingOptions", group: groupLadder, arg: "list", of: broadcasting, set: textTo(&s.TranscodingOptions),
			help: `preset names, a JSON file or "none" (default: made for each source)`},
		{name: "extraRenditions", group: groupLadder, arg: "list", of: broadcasting, set: textTo(&j.extra),
			help: "preset names added to the automatic ladder, as 2G,audio"},
		{name: "maxAttempts", group: groupLadder, arg: "n", def: "3", of: broadcasting, set: intTo(&s.MaxAttempts, 0, 10),
			help: "tries for each segment; 0 makes no renditions"},
		{name: "onDemand", group: groupLadder, def: "false", of: broadcasting, set: boolTo(&s.OnDemand),
			help: "make renditions only while somebody watches them"},
		{name: "preset", group: groupLadder, arg: "name", def: "superfast", of: broadcasting | transcoding, set: oneOf(&s.Preset, x264Presets()),
			help: "x264's preset, from ultrafast to veryslow"},
		{name: "nvidia", group: groupLadder, arg: "device", of: broadcasting | transcoding, set: deviceTo(s),
			help: "transcode on this NVIDIA device, as 0 (default: on the CPU)"},
		{name: "jobs", group: groupLadder, arg: "n", def: "0", of: broadcasting | transcoding, set: intTo(&s.Jobs, 0, 256),
			help: "segments transcoded at the same time; 0 is as many as cores"},
	}
}

func ingestOptions(s *Settings) []option {
	return []option{
		{name: "publishKey", group: groupIngest, arg: "key", secret: true, of: broadcasting, set: keyTo(&s.PublishKey),
			help: "what publishers must give (NAME?key=KEY), or a file with it"},
		{name: "authWebhookUrl", group: groupIngest, arg: "url", secret: true, of: broadcasting, set: urlTo(&s.AuthWebhookURL),
			help: "address that is asked about every new stream"},
		{name: "httpIngest", group: groupIngest, def: "true", of: broadcasting, set: boolTo(&s.HTTPIngest),
			help: "take segments at /live/NAME/N.ts (POST or PUT)"},
		{name: "maxSessions", group: groupIngest, arg: "n", def: strconv.Itoa(maxSessions), of: broadcasting | transcoding, set: intTo(&s.MaxSessions, 1, 10000),
			help: "streams at once (default: 10); with -transcoder segments (measured)"},
		{name: "segmentDuration", group: groupIngest, arg: "time", def: "2s", of: broadcasting, set: durationTo(&s.SegmentDuration, minSegment, maxSegment),
			help: "wanted length of segments; the source's keyframes decide"},
		{name: "reconnectWait", group: groupIngest, arg: "time", def: "10s", of: broadcasting, set: durationTo(&s.ReconnectWait, 0, maxReconnect),
			help: "how long a stream waits for a lost publisher"},
		{name: "testSignal", group: groupIngest, arg: "names", of: broadcasting, set: namesTo(&s.TestSignals, maxTestSignals),
			help: "streams with a test picture: up to 4 names with commas"},
	}
}

func watchingOptions(s *Settings) []option {
	return []option{
		{name: "currentManifest", group: groupWatching, def: "false", of: broadcasting, set: boolTo(&s.CurrentManifest),
			help: "/stream/current.m3u8 is the newest stream"},
		{name: "watchPage", group: groupWatching, def: "true", of: broadcasting, set: boolTo(&s.WatchPage),
			help: "serve a page with a player"},
		{name: "realtime", group: groupWatching, def: "false", of: broadcasting, set: boolTo(&s.Realtime),
			help: "RTMP players get each packet at once, for more CPU time"},
	}
}

func machineOptions(s *Settings) []option {
	return []option{
		{name: "broadcaster", group: groupMachines, def: "false", set: boolTo(&s.Broadcaster),
			help: "take streams and serve them; with no role given, lpms does this"},
		{name: "orchestrator", group: groupMachines, def: "false", set: boolTo(&s.Orchestrator),
			help: "hand segments of broadcasters to transcoders"},
		{name: "transcoder", group: groupMachines, def: "false", set: boolTo(&s.Transcoder),
			help: "transcode what the orchestrator hands over"},
		{name: "serviceAddr", group: groupMachines, arg: "host:port", of: orchestrating, set: addrTo(&s.ServiceAddr, servicePort, false),
			help: "where the orchestrator listens, as :" + servicePort},
		{name: "serviceCert", group: groupMachines, arg: "file", of: orchestrating, set: fileTo(&s.ServiceCert),
			help: "the orchestrator's TLS certificate, PEM (default: it makes one)"},
		{name: "serviceKey", group: groupMachines, arg: "file", of: orchestrating, set: fileTo(&s.ServiceKey),
			help: "the private key of -serviceCert, PEM"},
		{name: "orchAddr", group: groupMachines, arg: "list", of: broadcasting | transcoding, set: hostsTo(&s.OrchAddr, servicePort),
			help: "the orchestrator's host:port; several with commas"},
		{name: "orchSecret", group: groupMachines, arg: "secret", secret: true, set: keyTo(&s.OrchSecret),
			help: "what all roles share, or a file with it"},
		{name: "orchFingerprint", group: groupMachines, arg: "list", of: broadcasting | transcoding, set: fingerprintsTo(&s.OrchFingerprints),
			help: "SHA-256 of the orchestrator's certificate, which it prints"},
		{name: "natsURL", group: groupMachines, arg: "list", secret: true, set: natsTo(&s.NATSURL),
			help: "a NATS server with JetStream instead of an orchestrator"},
		{name: "localFallback", group: groupMachines, def: "false", of: broadcasting, set: boolTo(&s.LocalFallback),
			help: "the broadcaster transcodes itself what no transcoder can"},
		{name: "segmentURL", group: groupMachines, arg: "url", of: broadcasting, set: baseURLTo(&s.SegmentURL),
			help: "where transcoders reach this -httpAddr, to fetch segments from there"},
		{name: "requireAccel", group: groupMachines, arg: "nvidia", of: broadcasting, set: accelTo(&s.RequireAccel),
			help: "only transcoders with such a device get segments"},
	}
}

func operationOptions(s *Settings) []option {
	return []option{
		{name: "config", group: groupOperation, arg: "file", set: textTo(&s.Config),
			help: "read settings from a file with lines of name and value"},
		{name: "monitor", group: groupOperation, def: "false", set: boolTo(&s.Monitor),
			help: "Prometheus metrics at /metrics of -cliAddr"},
		{name: "metricsPerStream", group: groupOperation, def: "false", set: boolTo(&s.MetricsPerStream),
			help: "metrics for each stream too; needs -monitor"},
		{name: "v", group: groupOperation, arg: "n", def: "3", set: intTo(&s.V, 0, 1000),
			help: "how much is logged"},
		{name: "version", group: groupOperation, def: "false", only: true, set: boolTo(&s.Version),
			help: "print the version"},
	}
}
