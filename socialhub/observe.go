package socialhub

import "time"

// Operation is what a request is for: a closed set.
type Operation string

const (
	OpChannel  Operation = "channel"
	OpCreate   Operation = "create"
	OpUpdate   Operation = "update"
	OpManifest Operation = "manifest"
	// OpCallback tells what came of an action.
	OpCallback Operation = "callback"
)

// Operations are all of them.
var Operations = []Operation{OpChannel, OpCreate, OpUpdate, OpManifest, OpCallback}

// Exchange is one request that was sent, for whoever counts them: without content and without ids.
type Exchange struct {
	Operation Operation
	// Outcome is the one that the caller gets.
	Outcome Outcome
	// Took is the time from the request to the end of the answer, or of the attempt.
	Took time.Duration
	// Limit is what the answer said of it.
	Limit RateLimit
}
