package main

import (
	"flag"
	"strconv"
)

// logTo sends the log to the standard error, with so much detail.
func logTo(v int) {
	_ = flag.CommandLine.Parse(nil) // glog complains otherwise
	_ = flag.Set("logtostderr", "true")
	_ = setLogLevel(v)
}

// logLevel is glog's -v.
func logLevel() int {
	n, _ := strconv.Atoi(flag.Lookup("v").Value.String())
	return n
}

func setLogLevel(v int) error { return flag.Set("v", strconv.Itoa(v)) }
