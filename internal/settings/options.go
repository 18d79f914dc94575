package settings

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
	set  func(value string) error
}

// The headings of the help, in order.
const (
	groupAddresses = "Addresses"
	groupLadder    = "Ladder"
	groupIngest    = "Ingest"
	groupWatching  = "Watching"
	groupOperation = "Operation"
)

// optionsOf are all settings; what they set is s.
func optionsOf(s *Settings, r *roles) []option {
	return []option{
		{name: "rtmpAddr", group: groupAddresses, arg: "host:port", def: "127.0.0.1:1935", set: addrTo(&s.RTMPAddr, "1935", true),
			help: `RTMP, to publish and play; or "off"`},
		{name: "httpAddr", group: groupAddresses, arg: "host:port", def: "127.0.0.1:8935", set: addrTo(&s.HTTPAddr, "8935", false),
			help: "HLS and HTTP push"},
		{name: "cliAddr", group: groupAddresses, arg: "host:port", def: "127.0.0.1:7935", set: addrTo(&s.CLIAddr, "7935", true),
			help: `private: admin API, metrics, pprof; or "off"`},

		{name: "transcodingOptions", group: groupLadder, arg: "list", set: textTo(&s.TranscodingOptions),
			help: `preset names, a JSON file or "none" (default: made for each source)`},
		{name: "extraRenditions", group: groupLadder, arg: "list", set: textTo(&r.extra),
			help: "preset names added to the automatic ladder, as 2G,audio"},
		{name: "maxAttempts", group: groupLadder, arg: "n", def: "3", set: intTo(&s.MaxAttempts, 0, 10),
			help: "tries for each segment; 0 makes no renditions"},
		{name: "onDemand", group: groupLadder, def: "false", set: boolTo(&s.OnDemand),
			help: "make renditions only while somebody watches them"},
		{name: "preset", group: groupLadder, arg: "name", def: "superfast", set: oneOf(&s.Preset, x264Presets()),
			help: "x264's preset, from ultrafast to veryslow"},
		{name: "nvidia", group: groupLadder, arg: "device", set: deviceTo(s),
			help: "transcode on this NVIDIA device, as 0 (default: on the CPU)"},
		{name: "jobs", group: groupLadder, arg: "n", def: "0", set: intTo(&s.Jobs, 0, 256),
			help: "segments transcoded at the same time; 0 is as many as cores"},

		{name: "publishKey", group: groupIngest, arg: "key", secret: true, set: keyTo(&s.PublishKey),
			help: "what publishers must give (NAME?key=KEY), or a file with it"},
		{name: "authWebhookUrl", group: groupIngest, arg: "url", secret: true, set: urlTo(&s.AuthWebhookURL),
			help: "address that is asked about every new stream"},
		{name: "httpIngest", group: groupIngest, def: "true", set: boolTo(&s.HTTPIngest),
			help: "take segments at /live/NAME/N.ts (POST or PUT)"},
		{name: "maxSessions", group: groupIngest, arg: "n", def: "10", set: intTo(&s.MaxSessions, 1, 10000),
			help: "streams at the same time"},
		{name: "segmentDuration", group: groupIngest, arg: "time", def: "2s", set: durationTo(&s.SegmentDuration, minSegment, maxSegment),
			help: "wanted length of segments; the source's keyframes decide"},
		{name: "reconnectWait", group: groupIngest, arg: "time", def: "10s", set: durationTo(&s.ReconnectWait, 0, maxReconnect),
			help: "how long a stream waits for a lost publisher"},
		{name: "testSignal", group: groupIngest, arg: "names", set: namesTo(&s.TestSignals, maxTestSignals),
			help: "streams with a test picture: up to 4 names with commas"},

		{name: "currentManifest", group: groupWatching, def: "false", set: boolTo(&s.CurrentManifest),
			help: "/stream/current.m3u8 is the newest stream"},
		{name: "watchPage", group: groupWatching, def: "true", set: boolTo(&s.WatchPage),
			help: "serve a page with a player"},
		{name: "realtime", group: groupWatching, def: "false", set: boolTo(&s.Realtime),
			help: "RTMP players get each packet at once, for more CPU time"},

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

		// Published names that this version has no use for.
		{name: "broadcaster", def: "false", set: boolTo(&r.broadcaster)},
		{name: "orchestrator", def: "false", set: boolTo(&r.orchestrator)},
		{name: "transcoder", def: "false", set: boolTo(&r.transcoder)},
		{name: "orchAddr", set: textTo(&r.orchAddr)},
		{name: "serviceAddr", set: textTo(&r.serviceAddr)},
		{name: "orchSecret", secret: true, set: textTo(&r.orchSecret)},
		{name: "objectStore", secret: true, set: textTo(&r.objectStore)},
		{name: "recordStore", secret: true, set: textTo(&r.recordStore)},
	}
}

// roles is what was given of the settings that the program only judges.
type roles struct {
	extra                                 string
	broadcaster, orchestrator, transcoder bool
	orchAddr, serviceAddr, orchSecret     string
	objectStore, recordStore              string
}
