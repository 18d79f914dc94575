package settings

import "net/url"

// Public is what may be shown of the settings: by flag, what Parse has made of it, without
// secrets. The map is the caller's, and fit for JSON: texts, numbers, truth values and lists of texts. Of
// the addresses of the webhook and of NATS it has the scheme, host and path; of the key and the
// secret, whether there is one. "capacity" is no flag.
// "renditions" and "extraRenditions" are names.
func (s *Settings) Public() map[string]any {
	return map[string]any{
		"rtmpAddr": s.RTMPAddr,
		"httpAddr": s.HTTPAddr,
		"cliAddr":  s.CLIAddr,

		"auto":               s.Auto,
		"transcodingOptions": s.TranscodingOptions,
		"renditions":         Names(s.Renditions),
		"extraRenditions":    Names(s.ExtraRenditions),
		"maxAttempts":        s.MaxAttempts,
		"onDemand":           s.OnDemand,
		"preset":             s.Preset,
		"nvidia":             s.Device,
		"jobs":               s.Jobs,

		"publishKeySet":   s.PublishKey != "",
		"authWebhookUrl":  publicURL(s.AuthWebhookURL),
		"httpIngest":      s.HTTPIngest,
		"maxSessions":     s.MaxSessions,
		"segmentDuration": short(s.SegmentDuration),
		"reconnectWait":   short(max(s.ReconnectWait, 0)),
		"testSignal":      append([]string{}, s.TestSignals...),

		"currentManifest": s.CurrentManifest,
		"watchPage":       s.WatchPage,
		"realtime":        s.Realtime,

		"broadcaster":     s.Broadcaster,
		"orchestrator":    s.Orchestrator,
		"transcoder":      s.Transcoder,
		"serviceAddr":     s.ServiceAddr,
		"serviceCert":     s.ServiceCert,
		"serviceKey":      s.ServiceKey, // the name of a file
		"orchAddr":        append([]string{}, s.OrchAddr...),
		"orchSecretSet":   s.OrchSecret != "",
		"orchFingerprint": append([]string{}, s.OrchFingerprints...),
		"natsURL":         publicURLs(s.NATSURL),
		"localFallback":   s.LocalFallback,
		"segmentURL":      s.SegmentURL,
		"requireAccel":    accelName(s.RequireAccel),
		"capacity":        s.Capacity,

		"config":           s.Config,
		"monitor":          s.Monitor,
		"metricsPerStream": s.MetricsPerStream,
		"v":                s.V,
	}
}

func publicURLs(texts []string) []string {
	urls := []string{}
	for _, text := range texts {
		urls = append(urls, publicURL(text))
	}
	return urls
}

// publicURL leaves out where tokens stand: the user, and the query.
func publicURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || text == "" {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
